-- name: candidates
-- Versions that listen to the resource and the action and were not over when the event was received; of triggers that
-- were deleted before, only those of the last week. The ones of every project stand in another part of the index.
SELECT trigger_id, version, kept ->> 'filter' AS written, at > $4 AS later, deleted, active, service_id
FROM trigger_version
WHERE project_id = $1
  AND resource = $2
  AND $3 = ANY (actions)
  AND (until IS NULL OR until > $4)
  AND (NOT deleted OR at > $4::timestamptz - interval '7 days')
UNION ALL
SELECT trigger_id, version, kept ->> 'filter' AS written, at > $4 AS later, deleted, active, service_id
FROM trigger_version
WHERE project_id IS NULL
  AND resource = $2
  AND $3 = ANY (actions)
  AND (until IS NULL OR until > $4)
  AND (NOT deleted OR at > $4::timestamptz - interval '7 days')

-- name: versions of
-- Of one trigger, those that were in force then or later.
SELECT trigger_id, version, at, until, active, deleted, service_id, project_id, resource, actions
FROM trigger_version
WHERE trigger_id = $1
  AND (until IS NULL OR until > $2)
ORDER BY version

-- name: versions
SELECT version.trigger_id, version.version, version.at, version.until, version.kept ->> 'name' AS name,
       version.kept ->> 'filter' AS written
FROM unnest($1::text[], $2::integer[]) AS wanted (trigger_id, version)
CROSS JOIN LATERAL (
    SELECT *
    FROM trigger_version
    WHERE trigger_version.trigger_id = wanted.trigger_id
      AND trigger_version.version = wanted.version
) AS version

-- name: stopped services
-- Those of these that were not active at that moment.
SELECT service_id
FROM (
    SELECT DISTINCT ON (service_id) service_id, active
    FROM service_activity
    WHERE service_id = ANY ($1::text[])
      AND at <= $2
    ORDER BY service_id, at DESC
) AS latest
WHERE NOT active

-- name: activity
SELECT service_id, at, active
FROM service_activity
WHERE service_id = ANY ($1::text[])
ORDER BY at

-- name: executions of event
-- Their ids begin with the moment when the event was received.
SELECT trigger_id, id, status::text, trigger_version
FROM execution
WHERE id >= $1
  AND id < $2
  AND event_id = $3
  AND project_id = $4::uuid
  AND trigger_id IS NOT NULL

-- name: stops of event
SELECT trigger_id, reason, causation
FROM stopped_match
WHERE event_id = $1
  AND project_id = $2::uuid

-- name: claims
-- Of versions that fire once, with the places in which they were asked for. A trigger of every project has its entities
-- beside the project.
SELECT wanted.place, claim.event_id, claim.execution_id, claim.claimed_at
FROM unnest($1::text[], $2::integer[], $3::text[], $4::text[]) WITH ORDINALITY
    AS wanted (trigger_id, version, project_id, entity_id, place)
CROSS JOIN LATERAL (
    SELECT project_id IS NULL AS org_wide
    FROM trigger_version
    WHERE trigger_version.trigger_id = wanted.trigger_id
      AND trigger_version.version = wanted.version
      AND kept ->> 'mode' = 'Once'
) AS version
CROSS JOIN LATERAL (
    SELECT *
    FROM claim
    WHERE claim.trigger_id = wanted.trigger_id
      AND claim.entity_id = CASE WHEN version.org_wide THEN wanted.project_id || '/' ELSE '' END || wanted.entity_id
) AS claim

-- name: unreadable
SELECT reason
FROM dead_letter
WHERE source = 'match'
  AND position = $1
  AND project_id = $2
LIMIT 1

-- name: is waiting
-- Beyond what the engine has read, also while it has read nothing at all.
SELECT NOT EXISTS (
    SELECT
    FROM event
    JOIN reader ON reader.name = 'engine' AND (event.xid, event.seq) <= (reader.xid, reader.seq)
    WHERE event.id = $1
      AND event.project_id = $2::uuid
)

-- name: removed events
-- In each removed day the only row where the hash of the id may stand.
SELECT part.day, part.hashes, int8send(hashtextextended($1, 0)) AS hash
FROM (SELECT DISTINCT day FROM removed_events) AS removed
CROSS JOIN LATERAL (
    SELECT day, hashes
    FROM removed_events
    WHERE removed_events.day = removed.day
      AND first <= hashtextextended($1, 0)
    ORDER BY first DESC
    LIMIT 1
) AS part

-- name: oldest day
SELECT min(day)
FROM event

-- name: executions of trigger
-- By the moments that their ids begin with.
SELECT id, project_id::text, event_id, status::text, trigger_version
FROM execution
WHERE id >= $2
  AND trigger_id = $1
ORDER BY id DESC
LIMIT $3

-- name: stops of trigger
SELECT project_id::text, event_id, reason, causation
FROM stopped_match
WHERE trigger_id = $1
  AND at >= $2
ORDER BY at DESC
LIMIT $3

-- name: events since
SELECT *
FROM event
WHERE day >= ($1::timestamptz AT TIME ZONE 'UTC')::date
  AND received >= $1
  AND ($2::uuid IS NULL OR project_id = $2)
  AND resource = ANY ($3::text[])
  AND action = ANY ($4::text[])
ORDER BY xid DESC, seq DESC
LIMIT $5
