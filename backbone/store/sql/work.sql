-- name: put
INSERT INTO queue (service_id, execution_id, attempt)
SELECT *
FROM unnest($1::text[], $2::uuid[], $3::smallint[])

-- name: take
-- Taking is deleting and leasing in one. An item that came twice, or whose execution has moved on, falls away here.
-- Where a queue confirms by itself, an item may be taken before `confirm` has said `queued`: `created` will do.
-- Two agents that take the same execution's two items at once: the second's insert fails, and it looks again.
WITH next AS (
    SELECT id
    FROM queue
    WHERE service_id = $1
    ORDER BY id
    LIMIT $3
    FOR UPDATE SKIP LOCKED
),
taken AS (
    DELETE FROM queue
    WHERE service_id = $1
      AND id = ANY (ARRAY (SELECT id FROM next))
    RETURNING execution_id, attempt
),
startable AS (
    SELECT DISTINCT ON (execution.id) execution.*
    FROM taken
    CROSS JOIN LATERAL (
        SELECT *
        FROM execution
        WHERE execution.id = taken.execution_id
          AND execution.attempt = taken.attempt
          AND execution.status IN ('created', 'queued')
          AND NOT EXISTS (SELECT FROM lease WHERE lease.execution_id = taken.execution_id)
        OFFSET 0
    ) AS execution
    ORDER BY execution.id
),
leased AS (
    INSERT INTO lease (execution_id, attempt, session_id)
    SELECT id, attempt, $2
    FROM startable
)
SELECT startable.id, startable.attempt, startable.max_attempts, startable.service_id, startable.project_id,
       startable.function_name, startable.created_at, startable.input, startable.trigger_id, startable.event_id, startable.resource,
       startable.action, startable.came_by, event.entity, event.occurred, event.actor
FROM startable
LEFT JOIN LATERAL (
    SELECT entity, occurred, actor
    FROM event
    WHERE event.id = startable.event_id
      AND event.project_id = startable.project_id
      AND event.day = startable.event_day
    OFFSET 0
) AS event ON true

-- name: depth
SELECT service_id, count(*) AS items
FROM queue
GROUP BY service_id

-- name: due
-- What is to be put in the queue now, oldest first; it stays until it is confirmed.
SELECT pending.execution_id, pending.attempt, execution.max_attempts, execution.service_id, execution.project_id,
       execution.function_name, execution.created_at, execution.input, execution.trigger_id, execution.event_id, execution.resource,
       execution.action, execution.came_by, event.entity, event.occurred, event.actor
FROM (
    SELECT execution_id, attempt, due
    FROM pending
    WHERE due <= now()
    ORDER BY due
    LIMIT $1
) AS pending
CROSS JOIN LATERAL (
    SELECT *
    FROM execution
    WHERE execution.id = pending.execution_id
    OFFSET 0
) AS execution
LEFT JOIN LATERAL (
    SELECT entity, occurred, actor
    FROM event
    WHERE event.id = execution.event_id
      AND event.project_id = execution.project_id
      AND event.day = execution.event_day
    OFFSET 0
) AS event ON true
ORDER BY pending.due

-- name: next due
SELECT extract(epoch FROM min(due) - now())::float8
FROM pending

-- name: confirm
-- The queue has them: say so, and forget that they were to be put there.
WITH put AS (
    DELETE FROM pending
    USING unnest($1::uuid[], $2::smallint[]) AS done (execution_id, attempt)
    WHERE pending.execution_id = done.execution_id
      AND pending.attempt = done.attempt
    RETURNING pending.execution_id, pending.attempt
)
UPDATE execution
SET status = 'queued'
FROM put
WHERE execution.id = put.execution_id
  AND execution.attempt = put.attempt
  AND execution.status = 'created'

-- name: put and confirm
-- The queue is in this database: both in one transaction.
WITH put AS (
    DELETE FROM pending
    USING unnest($1::uuid[], $2::smallint[]) AS done (execution_id, attempt)
    WHERE pending.execution_id = done.execution_id
      AND pending.attempt = done.attempt
    RETURNING pending.execution_id, pending.attempt
),
moved AS (
    UPDATE execution
    SET status = 'queued'
    FROM put
    WHERE execution.id = put.execution_id
      AND execution.attempt = put.attempt
      AND execution.status = 'created'
    RETURNING execution.id, execution.service_id, execution.attempt
)
INSERT INTO queue (service_id, execution_id, attempt)
SELECT service_id, id, attempt
FROM moved

-- name: send reports
INSERT INTO report (body)
VALUES ($1)

-- name: receive reports
SELECT id, body
FROM report
ORDER BY id
LIMIT $1

-- name: acknowledge reports
DELETE FROM report
WHERE id = ANY ($1::bigint[])

-- name: beat
INSERT INTO agent_session (id, service_id, lease_until)
VALUES ($1, $2, now() + $3::interval)
ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until

-- name: leave
UPDATE agent_session
SET lease_until = now()
WHERE id = $1

-- name: expired leases
-- Held by a session that is silent too long, or that was gone before it said a word; or taken and not begun for as
-- long, when the answer to the taking was lost on its way to an agent that lives on and does not know. What was
-- reported in time is settled first: an execution that ended must not be taken for lost because its report waits.
SELECT lease.execution_id, lease.attempt, execution.status, execution.max_attempts, execution.service_id,
       coalesce(service.on_reset, 'failed') AS on_reset
FROM lease
LEFT JOIN execution ON execution.id = lease.execution_id AND execution.attempt = lease.attempt
LEFT JOIN service ON service.id = execution.service_id
LEFT JOIN agent_session ON agent_session.id = lease.session_id
CROSS JOIN LATERAL (
    SELECT CASE
               WHEN execution.status IN ('created', 'queued')
                   THEN least(agent_session.lease_until, lease.taken_at + $1::interval)
               ELSE coalesce(agent_session.lease_until, lease.taken_at + $1::interval)
           END AS ended_at
) AS hearing
WHERE hearing.ended_at < now()
  AND NOT EXISTS (
      SELECT
      FROM report
      WHERE report.sent_at <= hearing.ended_at
  )
LIMIT $2

-- name: drop leases
-- Of attempts that are over otherwise.
DELETE FROM lease
USING unnest($1::uuid[], $2::smallint[]) AS lost (execution_id, attempt)
WHERE lease.execution_id = lost.execution_id
  AND lease.attempt = lost.attempt

-- name: give back
-- Taken and never started: it goes to the end of the queue, and no attempt is counted.
-- One that was started meanwhile keeps its lease: who began it lives, or is found again.
WITH moved AS (
    UPDATE execution
    SET status = 'created'
    FROM unnest($1::uuid[], $2::smallint[]) AS lost (execution_id, attempt)
    WHERE execution.id = ANY ($1)
      AND execution.id = lost.execution_id
      AND execution.attempt = lost.attempt
      AND execution.status IN ('created', 'queued')
    RETURNING execution.id, execution.attempt
),
freed AS (
    DELETE FROM lease
    USING moved
    WHERE lease.execution_id = moved.id
      AND lease.attempt = moved.attempt
)
INSERT INTO pending (execution_id, attempt, due)
SELECT id, attempt, now()
FROM moved
ON CONFLICT (execution_id, attempt) DO NOTHING

-- name: forget pending
-- Of executions that are gone.
DELETE FROM pending
WHERE NOT EXISTS (SELECT FROM execution WHERE execution.id = pending.execution_id)

-- name: forget sessions
DELETE FROM agent_session
WHERE lease_until < now() - $1::interval
  AND NOT EXISTS (SELECT FROM lease WHERE lease.session_id = agent_session.id)

-- name: try lock
SELECT pg_try_advisory_lock(hashtextextended($1, 0))

-- name: horizon age
SELECT coalesce(extract(epoch FROM max(now() - xact_start)), 0)::float8
FROM pg_stat_activity
WHERE backend_xid IS NOT NULL
