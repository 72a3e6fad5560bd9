-- name: record
-- One batch of matches: claim, execution and place in the queue, or none of them. A match that came before changes
-- nothing. What many matches share stands once in $6 to $16; each match names it by number.
WITH match AS (
    SELECT id, event_id, entity_id, came_by, place,
           ($6::uuid[])[kind] AS project_id, ($7::text[])[kind] AS service_id, ($8::text[])[kind] AS trigger_id,
           ($9::text[])[kind] AS function_name, ($10::smallint[])[kind] AS max_attempts,
           ($11::date[])[kind] AS event_day, ($12::text[])[kind] AS resource, ($13::text[])[kind] AS action,
           ($14::text[])[kind] AS claim_prefix, ($15::bytea[])[kind] AS input,
           ($16::integer[])[kind] AS trigger_version
    FROM unnest($1::uuid[], $2::integer[], $3::text[], $4::text[], $5::bytea[]) WITH ORDINALITY
         AS m (id, kind, event_id, entity_id, came_by, place)
),
claimed AS (
    INSERT INTO claim (trigger_id, entity_id, execution_id, event_id)
    SELECT trigger_id, claim_prefix || entity_id, id, event_id
    FROM match
    WHERE claim_prefix IS NOT NULL
    -- All writers in one order: nobody waits for a claim of somebody who waits for one of his.
    ORDER BY trigger_id, claim_prefix || entity_id, place
    ON CONFLICT (trigger_id, entity_id) DO NOTHING
    RETURNING execution_id
),
recorded AS (
    INSERT INTO execution (id, project_id, service_id, trigger_id, function_name, status, max_attempts, event_day,
                           event_id, resource, action, entity_id, came_by, input, trigger_version, creator)
    SELECT id, project_id, service_id, trigger_id, function_name,
           CASE WHEN $17 THEN 'queued' ELSE 'created' END::execution_status,
           max_attempts, event_day, event_id, resource, action, entity_id, came_by, input, trigger_version, 'piper'
    FROM match
    WHERE claim_prefix IS NULL
       OR id IN (SELECT execution_id FROM claimed)
    ON CONFLICT (id) DO NOTHING
    RETURNING id, service_id, attempt
),
queued AS (
    INSERT INTO queue (service_id, execution_id, attempt)
    SELECT service_id, id, attempt
    FROM recorded
    WHERE $17
),
waiting AS (
    INSERT INTO pending (execution_id, attempt, service_id, due)
    SELECT id, attempt, service_id, now()
    FROM recorded
    WHERE NOT $17
)
SELECT id, service_id
FROM recorded
-- In this very transaction, as its commit does not wait for the disk: those who wait for the queue hear of it.
CROSS JOIN (SELECT count(pg_notify(channel, '')) FROM unnest($18::text[]) AS channel) AS told
UNION ALL
-- The execution was there, and its claim was not: it was freed, and the event came again.
SELECT execution_id, NULL
FROM claimed
WHERE execution_id NOT IN (SELECT id FROM recorded)

-- name: settle
-- Each row says the state it expects: the attempt it reports on, not ended. What was settled before changes nothing.
-- The log gets a line for the start and one for the end of an attempt, from whoever tells of it first; one line for
-- both where both are told at once.
WITH told AS (
    SELECT id, to_timestamp(started) AS started_at, to_timestamp(ended) AS ended_at, duration, output, message,
           traceback, to_timestamp(due) AS due,
           ($10::smallint[])[kind] AS attempt, ($11::text[])[kind]::execution_status AS status,
           ($12::smallint[])[kind] AS next_attempt, ($13::text[])[kind] AS ended_as, ($14::smallint[])[kind] AS percent
    FROM unnest($1::uuid[], $2::integer[], $3::float8[], $4::float8[], $5::real[], $6::bytea[], $7::text[],
                $8::text[], $9::float8[])
         AS t (id, kind, started, ended, duration, output, message, traceback, due)
),
moved AS (
    UPDATE execution
    SET status = told.status,
        attempt = told.next_attempt,
        started_at = coalesce(told.started_at, execution.started_at),
        finished_at = CASE WHEN told.status >= 'success' THEN told.ended_at END,
        duration = coalesce(told.duration, execution.duration),
        percent = coalesce(told.percent, execution.percent),
        output = coalesce(told.output, execution.output),
        message = CASE WHEN told.ended_as IS NULL THEN coalesce(told.message, execution.message) ELSE told.message END,
        traceback = told.traceback
    FROM told
    WHERE execution.id = ANY ($1)
      AND execution.id = told.id
      AND execution.attempt = told.attempt
      AND execution.status IN ('created', 'queued', 'in-progress')
    RETURNING execution.id, execution.service_id, told.attempt, told.next_attempt, told.status, told.started_at,
              told.ended_at, told.ended_as, told.percent, told.message, told.due
),
released AS (
    DELETE FROM lease
    WHERE execution_id = ANY (ARRAY (SELECT id FROM moved WHERE status <> 'in-progress'))
),
waiting AS (
    INSERT INTO pending (execution_id, attempt, service_id, due)
    SELECT id, next_attempt, service_id, due
    FROM moved
    WHERE due IS NOT NULL
    ON CONFLICT (execution_id, attempt) DO NOTHING
),
logged AS (
    INSERT INTO status_line (execution_id, attempt, number, at, status, percent, message, started_at)
    SELECT id, attempt, 0, started_at, 'in-progress', NULL, NULL, NULL
    FROM moved
    WHERE started_at IS NOT NULL
      AND ended_as IS NULL
    UNION ALL
    SELECT id, attempt, 999999999, ended_at, ended_as, percent, message, started_at
    FROM moved
    WHERE ended_as IS NOT NULL
    ON CONFLICT (execution_id, attempt, number) DO NOTHING
)
SELECT id, status::text
FROM moved

-- name: append status log
INSERT INTO status_line (execution_id, attempt, number, at, status, percent, message, output)
SELECT *
FROM unnest($1::uuid[], $2::smallint[], $3::integer[], $4::timestamptz[], $5::text[], $6::smallint[], $7::text[],
            $8::bytea[])
ON CONFLICT (execution_id, attempt, number) DO NOTHING

-- name: append log lines
-- Of executions that are there: the day of one whose lines come very late may have been pruned.
INSERT INTO log_chunk (execution_id, attempt, number, at, lines)
SELECT *
FROM unnest($1::uuid[], $2::smallint[], $3::integer[], $4::timestamptz[], $5::bytea[])
     AS chunk (execution_id, attempt, number, at, lines)
WHERE execution_id = ANY (ARRAY (SELECT id FROM execution WHERE id = ANY ($1)))
ON CONFLICT (execution_id, attempt, number) DO NOTHING

-- name: create
-- An execution that a person asked for, or another execution.
WITH recorded AS (
    INSERT INTO execution (id, project_id, service_id, function_name, status, max_attempts, input, creator, came_by)
    VALUES ($1, $2, $3, $4, CASE WHEN $8 THEN 'queued' ELSE 'created' END::execution_status, $5, $6, $7, $9)
    RETURNING id, service_id, attempt
),
queued AS (
    INSERT INTO queue (service_id, execution_id, attempt)
    SELECT service_id, id, attempt
    FROM recorded
    WHERE $8
)
INSERT INTO pending (execution_id, attempt, service_id, due)
SELECT id, attempt, service_id, now()
FROM recorded
WHERE NOT $8

-- name: input of
SELECT execution.input, event.entity
FROM execution
LEFT JOIN LATERAL (
    SELECT entity
    FROM event
    WHERE event.id = execution.event_id
      AND event.project_id = execution.project_id
      AND event.day = execution.event_day
    OFFSET 0
) AS event ON true
WHERE execution.id = $1
  AND execution.service_id = $2

-- name: rerun
-- The same id goes round again; its log stays. Only what has ended may.
WITH again AS (
    UPDATE execution
    SET status = 'created',
        attempt = attempt + 1,
        max_attempts = attempt + $2,
        to_terminate = false,
        percent = 0,
        started_at = NULL,
        finished_at = NULL,
        duration = NULL,
        output = NULL,
        message = NULL,
        traceback = NULL
    WHERE id = $1
      AND status >= 'success'
    RETURNING id, service_id, attempt
),
released AS (
    -- An agent may still be at the attempt that a person ended; its lease would keep the next one from being taken.
    DELETE FROM lease
    USING again
    WHERE lease.execution_id = again.id
)
INSERT INTO pending (execution_id, attempt, service_id, due)
SELECT id, attempt, service_id, now()
FROM again
RETURNING execution_id

-- name: ask to terminate
UPDATE execution
SET to_terminate = true
WHERE id = $1
  AND status < 'success'
RETURNING id, service_id, status

-- name: cancel waiting
-- What no agent holds ends at once; its place in the queue is passed over when it is taken.
WITH ended AS (
    UPDATE execution
    SET status = 'terminated',
        finished_at = now(),
        message = $2
    WHERE id = $1
      AND status IN ('created', 'queued')
      AND NOT EXISTS (SELECT FROM lease WHERE execution_id = $1)
    RETURNING id, attempt
),
forgotten AS (
    DELETE FROM pending
    USING ended
    WHERE pending.execution_id = ended.id
)
INSERT INTO status_line (execution_id, attempt, number, at, status, message)
SELECT id, attempt, 2000000000, now(), 'terminated', $2
FROM ended
RETURNING execution_id

-- name: to terminate
-- Of those that a session holds, the ones that somebody asked to end.
SELECT execution.id
FROM lease
CROSS JOIN LATERAL (
    SELECT id
    FROM execution
    WHERE execution.id = lease.execution_id
      AND execution.to_terminate
    OFFSET 0
) AS execution
WHERE lease.session_id = $1

-- name: progress
UPDATE execution
SET percent = coalesce($2, percent),
    message = coalesce($3, message),
    output = coalesce($4, output)
WHERE id = $1
RETURNING attempt

-- name: next log number
SELECT coalesce(max(number), 1000000000) + 1
FROM status_line
WHERE execution_id = $1
  AND attempt = $2
  AND number >= 1000000000
  AND number < 2000000000
