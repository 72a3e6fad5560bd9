-- Pages of what is stored. Every column that may be asked for has one parameter: null asks for nothing.

-- name: be patient
-- For this transaction: plans for the very values that are asked for, and an end to what takes too long.
SELECT set_config('plan_cache_mode', 'force_custom_plan', true), set_config('statement_timeout', $1, true)

-- name: packages
SELECT package.id, package.project_id, package.name, revision.revision, revision.modules, revision.codebase_id,
       package.created_at, package.updated_at, package.creator, package.latest
FROM package
JOIN package_revision AS revision ON revision.package_id = package.id AND revision.revision = package.latest
WHERE ($1::text[] IS NULL OR package.id = ANY ($1))
  AND ($2::uuid[] IS NULL OR package.project_id = ANY ($2))
  AND ($3::text[] IS NULL OR package.name = ANY ($3))
ORDER BY package.id
LIMIT $4 OFFSET $5

-- name: count packages
SELECT count(*)
FROM (
    SELECT
    FROM package
    WHERE ($1::text[] IS NULL OR id = ANY ($1))
      AND ($2::uuid[] IS NULL OR project_id = ANY ($2))
      AND ($3::text[] IS NULL OR name = ANY ($3))
    LIMIT $4
) AS found

-- name: services
SELECT *
FROM service
WHERE ($1::text[] IS NULL OR id = ANY ($1))
  AND ($2::uuid[] IS NULL OR project_id = ANY ($2))
  AND ($3::text[] IS NULL OR name = ANY ($3))
  AND ($4::text[] IS NULL OR package_id = ANY ($4))
ORDER BY id
LIMIT $5 OFFSET $6

-- name: count services
SELECT count(*)
FROM (
    SELECT
    FROM service
    WHERE ($1::text[] IS NULL OR id = ANY ($1))
      AND ($2::uuid[] IS NULL OR project_id = ANY ($2))
      AND ($3::text[] IS NULL OR name = ANY ($3))
      AND ($4::text[] IS NULL OR package_id = ANY ($4))
    LIMIT $5
) AS found

-- name: triggers
SELECT *
FROM trigger
WHERE ($1::text[] IS NULL OR id = ANY ($1))
  AND ($2::uuid[] IS NULL OR project_id = ANY ($2))
  AND ($3::text[] IS NULL OR name = ANY ($3))
  AND ($4::text[] IS NULL OR service_id = ANY ($4))
  AND ($5::boolean[] IS NULL OR (project_id IS NULL) = ANY ($5))
ORDER BY id
LIMIT $6 OFFSET $7

-- name: count triggers
SELECT count(*)
FROM (
    SELECT
    FROM trigger
    WHERE ($1::text[] IS NULL OR id = ANY ($1))
      AND ($2::uuid[] IS NULL OR project_id = ANY ($2))
      AND ($3::text[] IS NULL OR name = ANY ($3))
      AND ($4::text[] IS NULL OR service_id = ANY ($4))
      AND ($5::boolean[] IS NULL OR (project_id IS NULL) = ANY ($5))
    LIMIT $6
) AS found

-- name: executions
-- Newest first: the id begins with the time.
SELECT execution.*, service.name AS service_name, service.module_name, service.package_id, service.package_revision,
       event.entity
FROM (
    SELECT *
    FROM execution
    WHERE ($1::uuid[] IS NULL OR id = ANY ($1))
      AND ($2::uuid[] IS NULL OR project_id = ANY ($2))
      AND ($3::text[] IS NULL OR service_id = ANY ($3))
      AND ($4::text[] IS NULL OR trigger_id = ANY ($4))
      AND ($5::text[] IS NULL OR function_name = ANY ($5))
      AND ($6::text[] IS NULL OR status::text = ANY ($6))
    ORDER BY id DESC
    LIMIT $7 OFFSET $8
) AS execution
LEFT JOIN service ON service.id = execution.service_id
LEFT JOIN event ON event.id = execution.event_id
    AND event.project_id = execution.project_id
    AND event.day = execution.event_day
ORDER BY execution.id DESC

-- name: count executions
SELECT count(*)
FROM (
    SELECT
    FROM execution
    WHERE ($1::uuid[] IS NULL OR id = ANY ($1))
      AND ($2::uuid[] IS NULL OR project_id = ANY ($2))
      AND ($3::text[] IS NULL OR service_id = ANY ($3))
      AND ($4::text[] IS NULL OR trigger_id = ANY ($4))
      AND ($5::text[] IS NULL OR function_name = ANY ($5))
      AND ($6::text[] IS NULL OR status::text = ANY ($6))
    LIMIT $7
) AS found

-- name: status lines
-- Of each execution the latest lines.
SELECT line.*
FROM unnest($1::uuid[]) AS wanted (id)
CROSS JOIN LATERAL (
    SELECT execution_id, attempt, number, at, status, percent, message, output
    FROM status_log
    WHERE execution_id = wanted.id
    ORDER BY attempt DESC, number DESC
    LIMIT $2
) AS line
ORDER BY line.execution_id, line.at, line.attempt, line.number

-- name: log chunks
-- The latest, first.
SELECT attempt, number, at, lines
FROM log_chunk
WHERE execution_id = $1
ORDER BY attempt DESC, number DESC
LIMIT $2

-- name: agents
SELECT id, lease_until
FROM agent_session
WHERE service_id = $1
  AND lease_until > now()
ORDER BY id
LIMIT $2
