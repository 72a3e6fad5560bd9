-- name: record stopped
-- Each stopped match once, and each loop as one incident. What a circuit holds is none yet: it may be ordinary.
WITH stopped AS (
    INSERT INTO stopped_match (trigger_id, event_id, project_id, entity_id, kind, loop, reason, causation, execution,
                               received, waits)
    SELECT trigger_id, event_id, project_id, entity_id, kind, loop, reason, causation, execution,
           to_timestamp(received), kind IN ('entity', 'trigger')
    FROM unnest($1::text[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bytea[],
                $9::bytea[], $10::float8[])
         AS s (trigger_id, event_id, project_id, entity_id, kind, loop, reason, causation, execution, received)
    ON CONFLICT (trigger_id, project_id, event_id) DO NOTHING
    RETURNING trigger_id, event_id, project_id, entity_id, kind, loop, reason, causation, waits
),
raised AS (
    INSERT INTO incident (trigger_id, project_id, kind, loop, reason, causation, event_id, entity_id, stopped)
    SELECT DISTINCT ON (trigger_id, project_id, kind, loop)
           trigger_id, project_id, kind, loop, reason, causation, event_id, entity_id,
           count(*) OVER (PARTITION BY trigger_id, project_id, kind, loop)
    FROM stopped
    WHERE NOT waits
    ON CONFLICT (trigger_id, project_id, kind, loop) WHERE state = 'open'
    DO UPDATE SET stopped = incident.stopped + excluded.stopped, last_at = now()
    RETURNING xmax = 0 AS is_new
)
SELECT (SELECT count(*) FROM stopped WHERE NOT waits) AS stopped, (SELECT count(*) FROM stopped WHERE waits) AS held,
       (SELECT count(*) FROM raised WHERE is_new) AS raised

-- name: raise call
-- Refused where it came in: nothing waits, and it is called again when somebody has allowed it.
INSERT INTO incident (trigger_id, project_id, kind, loop, reason, causation, event_id, entity_id, stopped)
SELECT $1, $2, $3, $4, $5, $6, $7, '', 1
WHERE NOT EXISTS (
    SELECT
    FROM incident
    WHERE trigger_id = $1
      AND project_id = $2
      AND kind = $3
      AND loop = $4
      AND state = 'allowed'
)
ON CONFLICT (trigger_id, project_id, kind, loop) WHERE state = 'open'
DO UPDATE SET stopped = incident.stopped + 1, last_at = now()
RETURNING id, xmax = 0 AS is_new

-- name: list
SELECT incident.*, trigger.name AS trigger_name, circuit.state AS circuit, circuit.until,
       (
           SELECT count(*)
           FROM stopped_match
           WHERE stopped_match.trigger_id = incident.trigger_id
             AND stopped_match.kind = incident.kind
             AND stopped_match.loop = incident.loop
             AND stopped_match.waits
       ) AS waiting
FROM incident
LEFT JOIN trigger ON trigger.id = incident.trigger_id
LEFT JOIN circuit ON circuit.trigger_id = incident.trigger_id
                 AND circuit.kind = incident.kind
                 AND circuit.loop = incident.loop
WHERE ($1::uuid IS NULL OR incident.project_id = $1)
  AND ($2::bigint IS NULL OR incident.id = $2)
ORDER BY incident.last_at DESC, incident.id DESC
LIMIT $3

-- name: latest stopped
SELECT event_id, entity_id, at, released_at
FROM stopped_match
WHERE trigger_id = $1
  AND project_id = $2
  AND kind = $3
  AND loop = $4
ORDER BY at DESC
LIMIT $5

-- name: settle incident
-- A person lets what was stopped go on (`released`), from now on always (`allowed`). An open circuit is closed by it.
WITH settled AS (
    UPDATE incident
    SET state = $2
    WHERE id = $1
    RETURNING trigger_id, project_id, kind, loop
),
closed AS (
    UPDATE circuit
    SET state = 'closed', since = now(), until = now() + $3::interval, closed = circuit.closed + 1
    FROM settled
    WHERE circuit.trigger_id = settled.trigger_id
      AND circuit.kind = settled.kind
      AND circuit.loop = settled.loop
),
going_on AS (
    UPDATE stopped_match
    SET waits = true
    FROM settled
    WHERE stopped_match.trigger_id = settled.trigger_id
      AND stopped_match.project_id = settled.project_id
      AND stopped_match.kind = settled.kind
      AND stopped_match.loop = settled.loop
      AND stopped_match.released_at IS NULL
      AND stopped_match.execution IS NOT NULL
    RETURNING stopped_match.event_id
)
SELECT (SELECT count(*) FROM settled) AS settled, (SELECT count(*) FROM going_on) AS going_on

-- name: prune incidents
DELETE FROM incident
WHERE last_at < now() - $1::interval
  AND state <> 'allowed'

-- name: trigger names
SELECT id, name
FROM trigger
WHERE id = ANY ($1::text[])

-- name: record dead letters
INSERT INTO dead_letter (source, position, project_id, path, reason, body)
SELECT *
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[])
RETURNING id

-- name: list dead letters
SELECT id, at, source, position, project_id, path, reason, length(body) AS size
FROM dead_letter
WHERE id < $1
ORDER BY id DESC
LIMIT $2

-- name: get dead letter
SELECT id, at, source, position, project_id, path, reason, body, length(body) AS size
FROM dead_letter
WHERE id = $1

-- name: drop dead letters
DELETE FROM dead_letter
WHERE id = ANY ($1::bigint[])
RETURNING id

-- name: prune dead letters
DELETE FROM dead_letter
WHERE at < now() - $1::interval

-- name: prune stopped
DELETE FROM stopped_match
WHERE at < now() - $1::interval

-- name: tell part
INSERT INTO part (name, role, ready, detail)
VALUES ($1, $2, $3, $4)
ON CONFLICT (name) DO UPDATE SET ready = excluded.ready, detail = excluded.detail, told_at = now()

-- name: parts
SELECT name, role, ready, detail, extract(epoch FROM now() - told_at)::float8 AS silence
FROM part
ORDER BY role, name

-- name: forget part
DELETE FROM part
WHERE name = $1

-- name: prune parts
DELETE FROM part
WHERE told_at < now() - interval '1 minute'
