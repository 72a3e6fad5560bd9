-- name: triggers that may have claimed
-- Deleted ones too: their claims stay.
SELECT DISTINCT trigger_id
FROM trigger_version
WHERE $1::uuid IS NULL
   OR project_id = $1
   OR project_id IS NULL

-- name: found
-- In the order of the key, whose index is all there is: a claim is written a thousand times a second, and looked for by
-- people. $5 and $6 are the last one of the page before.
SELECT claim.trigger_id, claim.entity_id, claim.execution_id, claim.event_id, claim.claimed_at, known.name,
       coalesce(known.org_wide, false) AS org_wide
FROM unnest($1::text[]) AS wanted (trigger_id)
CROSS JOIN LATERAL (
    SELECT *
    FROM claim
    WHERE claim.trigger_id = wanted.trigger_id
      AND claim.entity_id > CASE WHEN wanted.trigger_id = $5::text THEN $6::text ELSE '' END
      AND ($2::text[] IS NULL OR claim.entity_id = ANY ($2))
      AND ($3::timestamptz IS NULL OR claim.claimed_at >= $3)
      AND ($4::timestamptz IS NULL OR claim.claimed_at < $4)
    ORDER BY claim.entity_id
    LIMIT $7
) AS claim
LEFT JOIN LATERAL (
    SELECT kept ->> 'name' AS name, project_id IS NULL AS org_wide
    FROM trigger_version
    WHERE trigger_version.trigger_id = wanted.trigger_id
    ORDER BY version DESC
    LIMIT 1
) AS known ON true
WHERE wanted.trigger_id >= $5
ORDER BY wanted.trigger_id, claim.entity_id
LIMIT $7

-- name: entities
-- The entity of each claim as its event had it; those that retention removed are not there.
SELECT asked.place, event.entity
FROM unnest($1::uuid[]) WITH ORDINALITY AS asked (execution_id, place)
JOIN execution ON execution.id = asked.execution_id
JOIN event ON event.id = execution.event_id
    AND event.project_id = execution.project_id
    AND event.day = execution.event_day

-- name: begin reset
INSERT INTO claim_reset (actor, reason, asked)
VALUES ($1, $2, $3)
RETURNING id, at, actor, reason, asked, claims

-- name: go on with reset
SELECT id, at, actor, reason, asked, claims
FROM claim_reset
WHERE id = $1
FOR UPDATE

-- name: reset
-- What was claimed anew since it was looked at stays.
WITH freed AS (
    DELETE FROM claim
    USING unnest($2::text[], $3::text[], $4::uuid[]) AS asked (trigger_id, entity_id, execution_id)
    WHERE claim.trigger_id = asked.trigger_id
      AND claim.entity_id = asked.entity_id
      AND claim.execution_id = asked.execution_id
    RETURNING claim.trigger_id, claim.entity_id, claim.execution_id, claim.event_id, claim.claimed_at
),
kept AS (
    INSERT INTO reset_claim (trigger_id, entity_id, reset_id, execution_id, event_id, claimed_at)
    SELECT trigger_id, entity_id, $1, execution_id, event_id, claimed_at
    FROM freed
)
UPDATE claim_reset
SET claims = claims + (SELECT count(*) FROM freed)
WHERE id = $1
RETURNING claims

-- name: resets of
SELECT claim_reset.id, claim_reset.at, claim_reset.actor, claim_reset.reason, reset_claim.execution_id,
       reset_claim.event_id, reset_claim.claimed_at
FROM reset_claim
JOIN claim_reset ON claim_reset.id = reset_claim.reset_id
WHERE reset_claim.trigger_id = $1
  AND reset_claim.entity_id = $2
ORDER BY claim_reset.id DESC
LIMIT $3

-- name: resets
SELECT id, at, actor, reason, asked, claims
FROM claim_reset
WHERE id < $1
ORDER BY id DESC
LIMIT $2

-- name: of the unsuccessful
-- Those of these executions that ended in vain and whose trigger counts successes.
SELECT execution.trigger_id, about.prefix || execution.entity_id AS entity_id, execution.id
FROM execution
CROSS JOIN LATERAL (
    SELECT CASE WHEN trigger.project_id IS NULL THEN execution.project_id::text || '/' ELSE '' END AS prefix
    FROM trigger
    WHERE trigger.id = execution.trigger_id
      AND trigger.once_means = 'succeeded'
    OFFSET 0
) AS about
WHERE execution.id = ANY ($1::uuid[])

-- name: free
DELETE FROM claim
WHERE trigger_id = $1
  AND entity_id = $2
  AND execution_id = $3

-- name: take back
-- One that failed and freed its claim runs again: unless another one has claimed meanwhile, the claim is its own again.
INSERT INTO claim (trigger_id, entity_id, execution_id, event_id)
SELECT execution.trigger_id,
       CASE WHEN trigger.project_id IS NULL THEN execution.project_id::text || '/' ELSE '' END || execution.entity_id,
       execution.id, execution.event_id
FROM execution
JOIN trigger ON trigger.id = execution.trigger_id
WHERE execution.id = $1
  AND trigger.mode = 'Once'
  AND trigger.once_means = 'succeeded'
  AND execution.entity_id IS NOT NULL
ON CONFLICT (trigger_id, entity_id) DO NOTHING
