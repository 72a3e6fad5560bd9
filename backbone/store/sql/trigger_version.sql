-- name: act as
-- Until the transaction ends, changes of definitions are this person's.
SELECT set_config('trigger_engine.actor', $1, true)

-- name: history
-- Newest first. A row of nothing says that it is the table `trigger` that is meant: the name alone is a pseudo-type.
SELECT kept.*, version.at AS kept_at, version.until AS kept_until, version.actor AS kept_by, version.deleted
FROM trigger_version AS version
CROSS JOIN LATERAL jsonb_populate_record((SELECT trigger FROM trigger LIMIT 0), version.kept) AS kept
WHERE version.trigger_id = $1
  AND version.version < $2
ORDER BY version.version DESC
LIMIT $3
