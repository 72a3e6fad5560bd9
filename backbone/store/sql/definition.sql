-- name: project by name
SELECT id, name, created_at
FROM project
WHERE name = $1

-- name: project by id
SELECT id, name, created_at
FROM project
WHERE id = $1

-- name: projects
SELECT id, name, created_at
FROM project
ORDER BY name
LIMIT $1

-- name: make project
INSERT INTO project (name)
VALUES ($1)
ON CONFLICT (name) DO UPDATE SET name = excluded.name
RETURNING id, name, created_at

-- name: put codebase
INSERT INTO codebase (id, sha256, content)
VALUES ($1, $2, $3)
ON CONFLICT (sha256) DO UPDATE SET sha256 = excluded.sha256
RETURNING id

-- name: codebase
SELECT content
FROM codebase
WHERE id = $1

-- name: has codebase
SELECT EXISTS (SELECT FROM codebase WHERE id = $1)

-- name: put package
INSERT INTO package (id, project_id, name, creator)
VALUES ($1, $2, $3, $4)
ON CONFLICT (project_id, name) DO UPDATE SET latest = package.latest + 1, updated_at = now()
RETURNING id, latest

-- name: revise package
UPDATE package
SET latest = latest + 1,
    updated_at = now()
WHERE id = $1
RETURNING latest

-- name: put package revision
INSERT INTO package_revision (package_id, revision, modules, codebase_id)
VALUES ($1, $2, $3, $4)

-- name: package
SELECT package.id, package.project_id, package.name, revision.revision, revision.modules, revision.codebase_id,
       package.created_at, package.updated_at, package.creator, package.latest
FROM package
JOIN package_revision AS revision ON revision.package_id = package.id
WHERE package.id = $1
  AND revision.revision = coalesce($2, package.latest)

-- name: package revisions
SELECT package.id, package.project_id, package.name, revision.revision, revision.modules, revision.codebase_id,
       package.created_at, revision.created_at AS updated_at, package.creator, package.latest
FROM package
JOIN package_revision AS revision ON revision.package_id = package.id
WHERE package.id = $1
ORDER BY revision.revision DESC
LIMIT $2

-- name: packages
SELECT package.id, package.project_id, package.name, revision.revision, revision.modules, revision.codebase_id,
       package.created_at, package.updated_at, package.creator, package.latest
FROM package
JOIN package_revision AS revision ON revision.package_id = package.id AND revision.revision = package.latest
WHERE ($1::uuid IS NULL OR package.project_id = $1)
  AND ($2::text IS NULL OR package.name = $2)
ORDER BY package.id

-- name: delete package
DELETE FROM package
WHERE id = $1
RETURNING id

-- name: make service
INSERT INTO service (id, project_id, name, package_id, package_revision, module_name, runtime, init_params,
                     execution_timeout, drain_time, max_attempts, on_reset, active, creator)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
ON CONFLICT (project_id, name) DO NOTHING
RETURNING id

-- name: change service
UPDATE service
SET package_revision = $2,
    module_name = $3,
    runtime = $4,
    init_params = $5,
    execution_timeout = $6,
    drain_time = $7,
    max_attempts = $8,
    on_reset = $9,
    active = $10,
    version = version + 1,
    updated_at = now()
WHERE id = $1
RETURNING id

-- name: set service active
UPDATE service
SET active = $2,
    version = version + 1,
    updated_at = now()
WHERE id = $1
RETURNING id

-- name: service
SELECT *
FROM service
WHERE id = $1

-- name: service to change
SELECT *
FROM service
WHERE id = $1
FOR UPDATE

-- name: service ids
SELECT id
FROM service

-- name: services
SELECT *
FROM service
WHERE ($1::uuid IS NULL OR project_id = $1)
  AND ($2::text IS NULL OR name = $2)
ORDER BY id

-- name: delete service
-- What waits for it would wait for ever, and keep its day from being pruned.
WITH deleted AS (
    DELETE FROM service
    WHERE id = $1
    RETURNING id
),
canceled AS (
    UPDATE execution
    SET status = 'canceled',
        finished_at = now(),
        message = 'its service was deleted'
    FROM deleted
    WHERE execution.service_id = deleted.id
      AND execution.status IN ('created', 'queued')
    RETURNING execution.id, execution.attempt
),
forgotten AS (
    DELETE FROM pending
    WHERE execution_id = ANY (ARRAY (SELECT id FROM canceled))
),
taken_back AS (
    DELETE FROM queue
    WHERE service_id = $1
),
logged AS (
    INSERT INTO status_line (execution_id, attempt, number, at, status, message)
    SELECT id, attempt, 999999999, now(), 'canceled', 'its service was deleted'
    FROM canceled
    ON CONFLICT (execution_id, attempt, number) DO NOTHING
)
SELECT id
FROM deleted

-- name: make trigger
INSERT INTO trigger (id, project_id, service_id, name, function_name, resource, actions, filter, mode, input, active,
                     scans, schedule, loop_protection, once_means, creator)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)

-- name: change trigger
UPDATE trigger
SET service_id = $2,
    name = $3,
    function_name = $4,
    resource = $5,
    actions = $6,
    filter = $7,
    mode = $8,
    input = $9,
    active = $10,
    scans = $11,
    schedule = $12,
    loop_protection = $13,
    once_means = $14,
    version = version + 1,
    updated_at = now()
WHERE id = $1
RETURNING id

-- name: hold scanning triggers
-- Taken after one's own trigger was written and before counting, whoever holds it waits for nobody.
SELECT pg_advisory_xact_lock(hashtextextended('scanning triggers ' || coalesce($1::uuid::text, ''), 0))

-- name: count scanning triggers
SELECT count(*)
FROM trigger
WHERE scans
  AND active
  AND project_id IS NOT DISTINCT FROM $1::uuid

-- name: trigger
SELECT *
FROM trigger
WHERE id = $1

-- name: trigger to change
SELECT *
FROM trigger
WHERE id = $1
FOR UPDATE

-- name: triggers
SELECT *
FROM trigger
WHERE ($1::uuid IS NULL OR project_id = $1)
  AND ($2::text IS NULL OR name = $2)
ORDER BY id

-- name: delete trigger
DELETE FROM trigger
WHERE id = $1
RETURNING id
