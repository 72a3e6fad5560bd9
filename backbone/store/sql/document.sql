-- Documents as the API shows them, made by PostgreSQL so that filters and orders can be asked of them; clients get those
-- that Python makes, and a test holds the two together (tests/integration/test_documents_in_sql.py).

-- name: packages
SELECT package.id,
       jsonb_build_object(
           'id', package.id,
           'name', package.name,
           'projectId', package.project_id,
           'version', '1.0.' || revision.revision,
           'revision', revision.revision,
           'modules', revision.modules::jsonb,
           'codebase', jsonb_build_object('type', 'item', 'itemId', revision.codebase_id),
           'createdAt', written_time(package.created_at),
           'updatedAt', written_time(package.updated_at),
           'creator', package.creator,
           'type', 'faas'
       ) AS document
FROM package
JOIN package_revision AS revision ON revision.package_id = package.id AND revision.revision = package.latest
WHERE ($1::text[] IS NULL OR package.id = ANY ($1))
  AND ($2::uuid[] IS NULL OR package.project_id = ANY ($2))
  AND ($3::text[] IS NULL OR package.name = ANY ($3))
LIMIT $4

-- name: services
SELECT id,
       jsonb_build_object(
           'id', id,
           'name', name,
           'projectId', project_id,
           'packageId', package_id,
           'packageRevision', '1.0.' || package_revision,
           'moduleName', module_name,
           'runtime', runtime::jsonb,
           'initParams', init_params::jsonb,
           'executionTimeout', trunc(extract(epoch FROM execution_timeout))::bigint,
           'drainTime', trunc(extract(epoch FROM drain_time))::bigint,
           'maxAttempts', max_attempts,
           'onReset', on_reset,
           'active', active,
           'version', '1.0.' || version,
           'botUserName', id || '@bot.trigger-engine',
           'createdAt', written_time(created_at),
           'updatedAt', written_time(updated_at),
           'creator', creator,
           'runExecutionAsProcess', false,
           'type', 'regular'
       ) AS document
FROM service
WHERE ($1::text[] IS NULL OR id = ANY ($1))
  AND ($2::uuid[] IS NULL OR project_id = ANY ($2))
  AND ($3::text[] IS NULL OR name = ANY ($3))
  AND ($4::text[] IS NULL OR package_id = ANY ($4))
LIMIT $5

-- name: triggers
SELECT id,
       jsonb_build_object(
           'id', id,
           'name', name,
           'type', CASE WHEN schedule IS NULL THEN 'Event' ELSE 'Cron' END,
           'projectId', project_id,
           'global', project_id IS NULL,
           'active', active,
           'version', version,
           'createdAt', written_time(created_at),
           'updatedAt', written_time(updated_at),
           'creator', creator,
           'spec', CASE
               WHEN schedule IS NULL
               THEN jsonb_build_object(
                   'resource', resource, 'actions', actions, 'filter', filter::jsonb, 'executionMode', mode,
                   'onceMeans', once_means, 'loopProtection', loop_protection
               )
               ELSE schedule::jsonb
           END || jsonb_build_object(
               'input', input::jsonb,
               'operation', jsonb_build_object(
                   'type', 'function', 'serviceId', service_id, 'functionName', function_name
               )
           )
       ) AS document
FROM trigger
WHERE ($1::text[] IS NULL OR id = ANY ($1))
  AND ($2::uuid[] IS NULL OR project_id = ANY ($2))
  AND ($3::text[] IS NULL OR name = ANY ($3))
  AND ($4::text[] IS NULL OR service_id = ANY ($4))
  AND ($5::boolean[] IS NULL OR (project_id IS NULL) = ANY ($5))
LIMIT $6

-- name: executions
-- OFFSET 0: what is read from bytes is read once, and not wherever it is mentioned.
SELECT execution.id,
       jsonb_build_object(
           'id', execution.id,
           'projectId', execution.project_id,
           'serviceId', execution.service_id,
           'serviceName', service.name,
           'moduleName', service.module_name,
           'packageId', service.package_id,
           'packageRevision', '1.0.' || service.package_revision,
           'functionName', execution.function_name,
           'triggerId', execution.trigger_id,
           'input', CASE
               WHEN about.type IS NULL THEN kept.input
               ELSE kept.input || jsonb_build_object(
                   lower(about.type),
                   about.parents || jsonb_build_object(lower(about.type) || '_id', execution.entity_id)
               )
           END,
           'output', kept.output,
           'status', status.lines,
           'statusLog', status.lines,
           'latestStatus', jsonb_build_object(
               'timestamp', written_time(status.latest),
               'status', execution.status,
               'percentComplete', execution.percent,
               'message', execution.message,
               'error', execution.traceback,
               'output', kept.output
           ),
           'attempts', execution.attempt,
           'maxAttempts', execution.max_attempts,
           'toTerminate', execution.to_terminate,
           'duration', execution.duration::float8,
           'resources', CASE
               WHEN about.type IS NULL THEN '[]'
               ELSE jsonb_build_array(jsonb_build_object('id', execution.entity_id, 'type', about.type))
           END,
           'eventContext', CASE
               WHEN about.type IS NOT NULL AND execution.event_id IS NOT NULL AND execution.action IS NOT NULL
               THEN jsonb_build_object(
                   'resource', CASE execution.resource
                       WHEN 'ItemStatus' THEN 'items.status'
                       ELSE lower(execution.resource) || 's'
                   END,
                   'action', lower(left(execution.action, 1)) || substr(execution.action, 2),
                   'source', 'unknown',
                   'resourceId', execution.entity_id,
                   'datasetId', dql_text(kept.entity -> 'datasetId'),
                   'projectId', execution.project_id,
                   'eventId', execution.event_id
               )
           END,
           'causation', jsonb_build_object('chain', coalesce(kept.came_by -> 'chain', '[]') || jsonb_build_object(
               'event', coalesce(execution.event_id, ''), 'trigger', coalesce(execution.trigger_id, ''),
               'execution', execution.id
           )),
           'createdAt', written_time(execution.created_at),
           'updatedAt', written_time(status.latest),
           'creator', execution.creator
       ) AS document
FROM (
    SELECT *
    FROM execution
    WHERE ($1::uuid[] IS NULL OR id = ANY ($1))
      AND ($2::uuid[] IS NULL OR project_id = ANY ($2))
      AND ($3::text[] IS NULL OR service_id = ANY ($3))
      AND ($4::text[] IS NULL OR trigger_id = ANY ($4))
      AND ($5::text[] IS NULL OR function_name = ANY ($5))
      AND ($6::text[] IS NULL OR status::text = ANY ($6))
    LIMIT $7
) AS execution
LEFT JOIN service ON service.id = execution.service_id
LEFT JOIN event ON event.id = execution.event_id
    AND event.project_id = execution.project_id
    AND event.day = execution.event_day
CROSS JOIN LATERAL (
    SELECT coalesce(stored_json(execution.input), '{}') AS input, stored_json(execution.output) AS output,
           stored_json(execution.came_by) AS came_by, stored_json(event.entity) AS entity
    OFFSET 0
) AS kept
CROSS JOIN LATERAL (
    SELECT CASE
               WHEN execution.entity_id IS NOT NULL
               THEN CASE execution.resource WHEN 'ItemStatus' THEN 'Item' ELSE execution.resource END
           END AS type,
           (
               SELECT coalesce(jsonb_object_agg(name, id), '{}')
               FROM (VALUES ('item_id', kept.entity -> 'itemId'), ('dataset_id', kept.entity -> 'datasetId'))
                   AS parent (name, id)
               WHERE id <> 'null'
           ) AS parents
) AS about
CROSS JOIN LATERAL (
    SELECT jsonb_build_object(
               'timestamp', written_time(execution.created_at), 'status', 'created', 'percentComplete', 0,
               'message', NULL, 'error', NULL, 'output', NULL
           ) || coalesce(
               jsonb_agg(
                   jsonb_build_object(
                       'timestamp', written_time(line.at), 'status', line.status, 'percentComplete', line.percent,
                       'message', line.message, 'error', NULL, 'output', stored_json(line.output)
                   ) ORDER BY line.at, line.attempt, line.number
               ),
               '[]'
           ) AS lines,
           greatest(
               coalesce(max(line.at), execution.created_at),
               coalesce(execution.finished_at, execution.started_at, execution.created_at)
           ) AS latest
    FROM (
        SELECT *
        FROM status_log
        WHERE execution_id = execution.id
        ORDER BY attempt DESC, number DESC
        LIMIT $8
    ) AS line
    OFFSET 0
) AS status
