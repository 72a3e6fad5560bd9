-- name: record
-- One batch of matches: claim, execution and place in the queue, or none of them. A match that came before changes nothing.
WITH match AS (
    SELECT *
    FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::smallint[], $7::date[], $8::text[],
                $9::text[], $10::text[], $11::text[], $12::boolean[], $13::bytea[], $14::bytea[], $15::text[])
         AS m (id, project_id, service_id, trigger_id, function_name, max_attempts, event_day, event_id,
               resource, action, entity_id, once, causation, input, creator)
),
claimed AS (
    INSERT INTO claim (trigger_id, entity_id, execution_id, event_id)
    SELECT trigger_id, entity_id, id, event_id
    FROM match
    WHERE once
    ON CONFLICT (trigger_id, entity_id) DO NOTHING
    RETURNING execution_id
),
recorded AS (
    INSERT INTO execution (id, project_id, service_id, trigger_id, function_name, status, max_attempts, event_day,
                           event_id, resource, action, entity_id, causation, input, creator)
    SELECT id, project_id, service_id, trigger_id, function_name,
           CASE WHEN $16 THEN 'queued' ELSE 'created' END::execution_status,
           max_attempts, event_day, event_id, resource, action, entity_id, causation, input, creator
    FROM match
    WHERE NOT once
       OR id IN (SELECT execution_id FROM claimed)
    ON CONFLICT (id) DO NOTHING
    RETURNING id, service_id, attempt
),
queued AS (
    INSERT INTO queue (service_id, execution_id, attempt)
    SELECT service_id, id, attempt
    FROM recorded
    WHERE $16
),
waiting AS (
    INSERT INTO pending (execution_id, attempt, due)
    SELECT id, attempt, now()
    FROM recorded
    WHERE NOT $16
)
SELECT id, service_id
FROM recorded

-- name: settle
-- Each row says the state it expects: the attempt it reports on, not ended. What was settled before changes nothing.
WITH told AS (
    SELECT *
    FROM unnest($1::uuid[], $2::smallint[], $3::text[], $4::smallint[], $5::timestamptz[], $6::timestamptz[],
                $7::real[], $8::smallint[], $9::bytea[], $10::text[], $11::text[], $12::timestamptz[])
         AS t (id, attempt, status, next_attempt, started_at, finished_at, duration, percent, output, message,
               traceback, due)
),
moved AS (
    UPDATE execution
    SET status = told.status::execution_status,
        attempt = told.next_attempt,
        started_at = coalesce(told.started_at, execution.started_at),
        finished_at = told.finished_at,
        duration = coalesce(told.duration, execution.duration),
        percent = coalesce(told.percent, execution.percent),
        output = coalesce(told.output, execution.output),
        message = told.message,
        traceback = told.traceback
    FROM told
    WHERE execution.id = ANY ($1)
      AND execution.id = told.id
      AND execution.attempt = told.attempt
      AND execution.status IN ('queued', 'in-progress')
    RETURNING execution.id, told.attempt, told.next_attempt, told.status, told.due
),
released AS (
    DELETE FROM lease
    WHERE execution_id = ANY (ARRAY (SELECT id FROM moved WHERE status <> 'in-progress'))
),
waiting AS (
    INSERT INTO pending (execution_id, attempt, due)
    SELECT id, next_attempt, due
    FROM moved
    WHERE due IS NOT NULL
    ON CONFLICT (execution_id, attempt) DO NOTHING
)
SELECT id, status
FROM moved

-- name: append status log
INSERT INTO status_log (execution_id, attempt, number, at, status, percent, message, output)
SELECT *
FROM unnest($1::uuid[], $2::smallint[], $3::integer[], $4::timestamptz[], $5::text[], $6::smallint[], $7::text[],
            $8::bytea[])
ON CONFLICT (execution_id, attempt, number) DO NOTHING

-- name: append log lines
INSERT INTO log_chunk (execution_id, attempt, number, at, lines)
SELECT *
FROM unnest($1::uuid[], $2::smallint[], $3::integer[], $4::timestamptz[], $5::bytea[])
ON CONFLICT (execution_id, attempt, number) DO NOTHING

-- name: create
-- An execution that a person asked for.
WITH recorded AS (
    INSERT INTO execution (id, project_id, service_id, function_name, status, max_attempts, input, creator)
    VALUES ($1, $2, $3, $4, CASE WHEN $8 THEN 'queued' ELSE 'created' END::execution_status, $5, $6, $7)
    RETURNING id, service_id, attempt
),
queued AS (
    INSERT INTO queue (service_id, execution_id, attempt)
    SELECT service_id, id, attempt
    FROM recorded
    WHERE $8
)
INSERT INTO pending (execution_id, attempt, due)
SELECT id, attempt, now()
FROM recorded
WHERE NOT $8

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
    RETURNING id, attempt
)
INSERT INTO pending (execution_id, attempt, due)
SELECT id, attempt, now()
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
INSERT INTO status_log (execution_id, attempt, number, at, status, message)
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
FROM status_log
WHERE execution_id = $1
  AND attempt = $2
  AND number >= 1000000000
  AND number < 2000000000

-- name: status log
SELECT attempt, number, at, status, percent, message, output
FROM status_log
WHERE execution_id = ANY ($1::uuid[])
ORDER BY execution_id, at, attempt, number

-- name: status logs
SELECT execution_id, attempt, number, at, status, percent, message, output
FROM status_log
WHERE execution_id = ANY ($1::uuid[])
ORDER BY execution_id, attempt, number, at

-- name: log lines
SELECT attempt, number, at, lines
FROM log_chunk
WHERE execution_id = $1
ORDER BY attempt, number

-- name: unfinished
SELECT count(*)
FROM execution
WHERE status < 'success'
