-- name: suspect
-- A suspect is held from now on, unless its trigger allows everything, or it is held already.
INSERT INTO circuit (trigger_id, kind, loop, project_id, state, rate, witnesses, reason, causation)
SELECT trigger.id, $2, $3, $4, 'watched', $5, $6, $7, $8
FROM trigger
WHERE trigger.id = $1
  AND trigger.loop_protection <> 'allow-all'
ON CONFLICT (trigger_id, kind, loop) DO UPDATE
SET state = 'watched', since = now(), until = NULL, rate = excluded.rate, witnesses = excluded.witnesses,
    reason = excluded.reason, causation = excluded.causation
WHERE circuit.state = 'closed'
RETURNING trigger_id

-- name: known
-- Those that hold something, and those that were found ordinary lately.
SELECT trigger_id, kind, loop, state, rate
FROM circuit
WHERE state <> 'closed'
   OR until > now()

-- name: allowed
SELECT DISTINCT trigger_id, kind, loop
FROM incident
WHERE state = 'allowed'

-- name: lock undecided
-- Each by one engine at a time.
SELECT trigger_id, kind, loop, project_id, state, extract(epoch FROM since)::float8 AS since,
       extract(epoch FROM now())::float8 AS now, opened, closed, rate, witnesses, reason, causation
FROM circuit
WHERE state IN ('watched', 'probed')
   OR (state = 'open' AND until <= now())
ORDER BY since
LIMIT $1
FOR UPDATE SKIP LOCKED

-- name: runs
SELECT id, extract(epoch FROM started_at)::float8 AS started, extract(epoch FROM finished_at)::float8 AS ended
FROM execution
WHERE id = ANY ($1::uuid[])

-- name: arrivals
SELECT extract(epoch FROM received)::float8 AS received
FROM stopped_match
WHERE trigger_id = $1
  AND kind = $2
  AND loop = $3
  AND waits
ORDER BY received DESC
LIMIT $4

-- name: remember witnesses
UPDATE circuit
SET witnesses = $4
WHERE trigger_id = $1
  AND kind = $2
  AND loop = $3

-- name: move
UPDATE circuit
SET state = $4, since = now(), until = now() + $5::interval, witnesses = $6, rate = $7,
    opened = opened + ($4 = 'open')::integer, closed = closed + ($4 = 'closed')::integer
WHERE trigger_id = $1
  AND kind = $2
  AND loop = $3

-- name: raise
-- A loop that was found by experiment is an incident, once however often it is found again.
INSERT INTO incident (trigger_id, project_id, kind, loop, reason, causation, event_id, entity_id, stopped)
SELECT $1, $2, $3, $4, $5, $6, coalesce(first.event_id, ''), coalesce(first.entity_id, ''), held.stopped
FROM (
    SELECT count(*) AS stopped
    FROM stopped_match
    WHERE trigger_id = $1
      AND kind = $3
      AND loop = $4
      AND waits
) AS held
LEFT JOIN LATERAL (
    SELECT event_id, entity_id
    FROM stopped_match
    WHERE trigger_id = $1
      AND kind = $3
      AND loop = $4
      AND waits
    ORDER BY received
    LIMIT 1
) AS first ON true
ON CONFLICT (trigger_id, project_id, kind, loop) WHERE state = 'open'
DO UPDATE SET stopped = incident.stopped + 1, last_at = now()
RETURNING xmax = 0 AS is_new

-- name: next held
-- The oldest that one circuit holds.
SELECT trigger_id, project_id, event_id, execution
FROM stopped_match
WHERE trigger_id = $1
  AND kind = $2
  AND loop = $3
  AND waits
ORDER BY received
LIMIT $4
FOR UPDATE SKIP LOCKED

-- name: next going on
-- What waits and is held by nobody any more.
SELECT stopped_match.trigger_id, stopped_match.project_id, stopped_match.event_id, stopped_match.execution
FROM stopped_match
WHERE waits
  AND NOT EXISTS (
      SELECT
      FROM circuit
      WHERE circuit.trigger_id = stopped_match.trigger_id
        AND circuit.kind = stopped_match.kind
        AND circuit.loop = stopped_match.loop
        AND circuit.state <> 'closed'
  )
ORDER BY received
LIMIT $1
FOR UPDATE OF stopped_match SKIP LOCKED

-- name: went on
UPDATE stopped_match
SET waits = false, released_at = now()
FROM unnest($1::text[], $2::uuid[], $3::text[]) AS done (trigger_id, project_id, event_id)
WHERE stopped_match.trigger_id = done.trigger_id
  AND stopped_match.project_id = done.project_id
  AND stopped_match.event_id = done.event_id

-- name: live triggers
SELECT trigger.id
FROM trigger
WHERE trigger.id = ANY ($1::text[])

-- name: forget
DELETE FROM circuit
WHERE state = 'closed'
  AND until < now() - interval '1 day'
