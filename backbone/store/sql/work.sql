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
       startable.action, startable.came_by, event.entity, event.occurred, event.actor, event.traceparent,
       event.tracestate, (SELECT key FROM signing_key) AS key
FROM startable
LEFT JOIN LATERAL (
    SELECT entity, occurred, actor, traceparent, tracestate
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

-- name: waiting
-- The services of which something waits to be put in the queue, and in how many seconds the first of it is due.
WITH RECURSIVE first AS (
    (
        SELECT service_id, due
        FROM pending
        WHERE published_at IS NULL
        ORDER BY service_id, due
        LIMIT 1
    )
    UNION ALL
    SELECT next.service_id, next.due
    FROM first
    CROSS JOIN LATERAL (
        SELECT service_id, due
        FROM pending
        WHERE published_at IS NULL
          AND pending.service_id > first.service_id
        ORDER BY service_id, due
        LIMIT 1
    ) AS next
)
SELECT service_id, extract(epoch FROM due - now())::float8 AS due_in
FROM first

-- name: published
-- What a queue elsewhere has, as far as we know, and how much of it for longer than $1.
WITH RECURSIVE first AS (
    (
        SELECT service_id
        FROM pending
        WHERE published_at IS NOT NULL
        ORDER BY service_id
        LIMIT 1
    )
    UNION ALL
    SELECT next.service_id
    FROM first
    CROSS JOIN LATERAL (
        SELECT service_id
        FROM pending
        WHERE published_at IS NOT NULL
          AND pending.service_id > first.service_id
        ORDER BY service_id
        LIMIT 1
    ) AS next
)
SELECT first.service_id, counted.items, counted.overdue
FROM first
CROSS JOIN LATERAL (
    SELECT count(*) AS items, count(*) FILTER (WHERE published_at < now() - $1::interval) AS overdue
    FROM pending
    WHERE pending.service_id = first.service_id
      AND published_at IS NOT NULL
) AS counted

-- name: due
-- What is to be put in the queue now, so many of each service and the oldest first; it stays until it is confirmed.
-- Executions and events are found by the batch, of the days that it is of: one by one they take a third longer.
WITH chosen AS MATERIALIZED (
    SELECT pending.execution_id, pending.attempt, row_number() OVER () AS place
    FROM unnest($1::text[], $2::integer[]) AS room (service_id, items)
    CROSS JOIN LATERAL (
        SELECT execution_id, attempt
        FROM pending
        WHERE pending.service_id = room.service_id
          AND published_at IS NULL
          AND due <= now()
        ORDER BY due
        LIMIT room.items
    ) AS pending
),
found AS MATERIALIZED (
    SELECT *
    FROM execution
    WHERE id = ANY (ARRAY (SELECT execution_id FROM chosen))
)
SELECT chosen.execution_id, chosen.attempt, execution.max_attempts, execution.service_id, execution.project_id,
       execution.function_name, execution.created_at, execution.input, execution.trigger_id, execution.event_id, execution.resource,
       execution.action, execution.came_by, event.entity, event.occurred, event.actor, event.traceparent,
       event.tracestate, (SELECT key FROM signing_key) AS key
FROM chosen
JOIN found AS execution ON execution.id = chosen.execution_id
LEFT JOIN (
    SELECT id, project_id, day, entity, occurred, actor, traceparent, tracestate
    FROM event
    WHERE id = ANY (ARRAY (SELECT event_id FROM found))
      AND day BETWEEN (SELECT min(event_day) FROM found) AND (SELECT max(event_day) FROM found)
    OFFSET 0
) AS event ON event.id = execution.event_id
    AND event.project_id = execution.project_id
    AND event.day = execution.event_day
ORDER BY chosen.place

-- name: confirm
-- The queue elsewhere has them. They stay among the pending until an agent has them too: no broker holds the only copy.
WITH put AS (
    UPDATE pending
    SET published_at = now()
    FROM unnest($1::uuid[], $2::smallint[]) AS done (execution_id, attempt)
    WHERE pending.execution_id = ANY ($1)
      AND pending.execution_id = done.execution_id
      AND pending.attempt = done.attempt
    RETURNING pending.execution_id, pending.attempt
)
UPDATE execution
SET status = 'queued'
FROM put
WHERE execution.id = ANY ($1)
  AND execution.id = put.execution_id
  AND execution.attempt = put.attempt
  AND execution.status = 'created'

-- name: publish again
-- The $2 oldest of a service that were published longer than $3 ago.
UPDATE pending
SET published_at = NULL, due = now()
WHERE (execution_id, attempt) IN (
    SELECT execution_id, attempt
    FROM pending
    WHERE service_id = $1
      AND published_at < now() - $3::interval
    ORDER BY published_at
    LIMIT $2
)
  AND published_at IS NOT NULL
RETURNING execution_id

-- name: put and confirm
-- The queue is in this database: both in one transaction.
WITH put AS (
    DELETE FROM pending
    USING unnest($1::uuid[], $2::smallint[]) AS done (execution_id, attempt)
    WHERE pending.execution_id = ANY ($1)
      AND pending.execution_id = done.execution_id
      AND pending.attempt = done.attempt
    RETURNING pending.execution_id, pending.attempt
),
moved AS (
    UPDATE execution
    SET status = 'queued'
    FROM put
    WHERE execution.id = ANY ($1)
      AND execution.id = put.execution_id
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

-- name: keep
-- Begun, or ended, while nothing can be reported: to who looks for leases that were taken and never begun, the taking
-- is now. One that somebody else has in hand is being settled.
UPDATE lease
SET taken_at = now()
FROM (
    SELECT lease.execution_id
    FROM unnest($1::uuid[], $2::uuid[]) AS untold (session_id, execution_id)
    CROSS JOIN LATERAL (
        SELECT execution_id
        FROM lease
        WHERE lease.execution_id = untold.execution_id
          AND lease.session_id = untold.session_id
        FOR UPDATE SKIP LOCKED
    ) AS lease
) AS held
WHERE lease.execution_id = held.execution_id

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
WHERE lease.execution_id = ANY ($1)
  AND lease.execution_id = lost.execution_id
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
    RETURNING execution.id, execution.service_id, execution.attempt
),
freed AS (
    DELETE FROM lease
    USING moved
    WHERE lease.execution_id = moved.id
      AND lease.attempt = moved.attempt
)
INSERT INTO pending (execution_id, attempt, service_id, due)
SELECT id, attempt, service_id, now()
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

-- name: lease
-- What agents ask for whose queue is elsewhere: those they may begin.
SELECT asking, execution_id
FROM lease_attempts($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::smallint[])

-- name: beats
-- Of many sessions at once.
INSERT INTO agent_session (id, service_id, lease_until)
SELECT DISTINCT ON (id) id, service_id, now() + lease
FROM unnest($1::uuid[], $2::text[], $3::interval[]) AS beat (id, service_id, lease)
ORDER BY id
ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until
    WHERE agent_session.service_id = excluded.service_id

-- name: sessions
SELECT id, service_id
FROM agent_session
WHERE id = ANY ($1::uuid[])

-- name: to terminate
-- Of those that these sessions hold, the ones that somebody asked to end.
SELECT lease.session_id, execution.id
FROM lease
CROSS JOIN LATERAL (
    SELECT id
    FROM execution
    WHERE execution.id = lease.execution_id
      AND execution.to_terminate
    OFFSET 0
) AS execution
WHERE lease.session_id = ANY ($1::uuid[])

-- name: leaves
UPDATE agent_session
SET lease_until = now()
WHERE id = ANY ($1::uuid[])
