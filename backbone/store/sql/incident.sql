-- name: record stopped
INSERT INTO stopped_match (trigger_id, event_id, project_id, entity_id, reason, causation)
SELECT *
FROM unnest($1::text[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::bytea[])
ON CONFLICT (trigger_id, project_id, event_id) DO NOTHING
RETURNING trigger_id

-- name: list stopped
SELECT stopped_match.trigger_id, trigger.name AS trigger_name, stopped_match.event_id, stopped_match.project_id,
       stopped_match.entity_id, stopped_match.reason, stopped_match.causation, stopped_match.at
FROM stopped_match
LEFT JOIN trigger ON trigger.id = stopped_match.trigger_id
WHERE ($1::uuid IS NULL OR stopped_match.project_id = $1)
ORDER BY stopped_match.at DESC
LIMIT $2

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
