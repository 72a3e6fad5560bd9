-- name: snapshot
SELECT pg_current_snapshot()::text

-- name: changed since
-- What the snapshot does not see. In a database restored from a dump are numbers that this cluster has not reached;
-- without the upper bound they would be new each time.
WITH change AS (
    SELECT kind, id
    FROM definition_change
    WHERE xid >= pg_snapshot_xmin($1::text::pg_snapshot)
      AND xid < pg_snapshot_xmax(pg_current_snapshot())
      AND NOT pg_visible_in_snapshot(xid, $1::text::pg_snapshot)
)
SELECT id
FROM change
WHERE kind = 'trigger'
UNION
SELECT trigger.id
FROM change
JOIN trigger ON trigger.service_id = change.id
WHERE change.kind = 'service'

-- name: forget changes
DELETE FROM definition_change
WHERE at < now() - $1::interval

-- name: count
SELECT count(*)
FROM trigger
JOIN service ON service.id = trigger.service_id
WHERE trigger.active
  AND trigger.schedule IS NULL
  AND service.active

-- name: versions after
-- A change of the service is a change of its triggers: they carry its limits.
SELECT trigger.id, trigger.version::bigint * 1000000 + service.version AS version
FROM trigger
JOIN service ON service.id = trigger.service_id
WHERE trigger.active
  AND trigger.schedule IS NULL
  AND service.active
  AND trigger.id > $1
ORDER BY trigger.id
LIMIT $2

-- name: after
SELECT trigger.id, trigger.name, trigger.version::bigint * 1000000 + service.version AS version, trigger.project_id,
       trigger.service_id, trigger.function_name, trigger.resource, trigger.actions, trigger.filter, trigger.mode,
       trigger.input, trigger.loop_protection, service.max_attempts
FROM trigger
JOIN service ON service.id = trigger.service_id
WHERE trigger.active
  AND trigger.schedule IS NULL
  AND service.active
  AND trigger.id > $1
ORDER BY trigger.id
LIMIT $2

-- name: by id
SELECT trigger.id, trigger.name, trigger.version::bigint * 1000000 + service.version AS version, trigger.project_id,
       trigger.service_id, trigger.function_name, trigger.resource, trigger.actions, trigger.filter, trigger.mode,
       trigger.input, trigger.loop_protection, service.max_attempts
FROM trigger
JOIN service ON service.id = trigger.service_id
WHERE trigger.active
  AND trigger.schedule IS NULL
  AND service.active
  AND trigger.id = ANY ($1::text[])
