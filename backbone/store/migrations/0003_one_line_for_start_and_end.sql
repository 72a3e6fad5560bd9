-- Mostly the start and the end of an attempt are told together: then one line has both, and the status log shows two.

ALTER TABLE status_log RENAME TO status_line;

DO $$
DECLARE
    part regclass;
BEGIN
    FOR part IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'status_line'::regclass LOOP
        EXECUTE format('ALTER TABLE %s RENAME TO %I', part, replace(part::text, 'status_log', 'status_line'));
    END LOOP;
END
$$;

ALTER TABLE status_line ADD COLUMN started_at timestamptz;

CREATE VIEW status_log AS
SELECT execution_id, attempt, number, at, status, percent, message, output
FROM status_line
UNION ALL
SELECT execution_id, attempt, 0, started_at, 'in-progress', NULL, NULL, NULL
FROM status_line AS ended
WHERE started_at IS NOT NULL
  -- Told before its end, too.
  AND NOT EXISTS (
      SELECT
      FROM status_line AS started
      WHERE started.execution_id = ended.execution_id
        AND started.attempt = ended.attempt
        AND started.number = 0
  );
