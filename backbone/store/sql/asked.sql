-- What people ask of an execution happens between this lock and the end of the transaction.

-- name: lock
SELECT execution.status, coalesce(service.max_attempts, execution.max_attempts) AS max_attempts,
       service.id IS NOT NULL AS has_service
FROM execution
LEFT JOIN service ON service.id = execution.service_id
WHERE execution.id = $1
FOR UPDATE OF execution
