-- Triggers by the clock. Times are handed in: the clock is the scheduler's, and a test's own in a test.

-- name: set
-- The schedule is new or another one. Who decided on the old one meanwhile finds another version, and does nothing.
INSERT INTO cron_state (trigger_id, next_fire, due)
VALUES ($1, $2, $3)
ON CONFLICT (trigger_id) DO UPDATE
SET next_fire = excluded.next_fire,
    due = excluded.due,
    version = cron_state.version + 1,
    missing_since = NULL,
    missing_reason = NULL

-- name: due
SELECT state.trigger_id, state.version, state.next_fire, state.running, state.missing_since, state.missing_reason,
       trigger.schedule, trigger.active, service.active AS service_active
FROM (
    SELECT *
    FROM cron_state
    WHERE due <= $1
    ORDER BY due
    LIMIT $2
) AS state
JOIN trigger ON trigger.id = state.trigger_id
JOIN service ON service.id = trigger.service_id
ORDER BY state.due

-- name: park
-- Those whose schedule cannot be read are looked at again later, so that they are not in the way of the others.
UPDATE cron_state
SET due = $2
WHERE trigger_id = ANY ($1::text[])

-- name: next due
SELECT extract(epoch FROM min(due) - $1)::float8
FROM cron_state

-- name: ended
-- Of these, what has ended, or is not there any more.
SELECT wanted.id
FROM unnest($1::uuid[]) AS wanted (id)
WHERE NOT EXISTS (SELECT FROM execution WHERE execution.id = wanted.id AND execution.status < 'success')

-- name: fire
-- A batch of turns: each says which fire it expects to be next. Whoever moves the trigger past it has made the fire, in
-- this very statement; the execution's id is derived from trigger and fire, so that a clock that jumps back makes none
-- a second time. What many turns share stands once in $6 to $12; each names it by number.
WITH turn AS (
    SELECT trigger_id, ended, now, later,
           ($6::integer[])[kind] AS version, ($7::timestamptz[])[kind] AS expected,
           ($8::timestamptz[])[kind] AS next_fire, ($9::timestamptz[])[kind] AS due,
           ($10::timestamptz[])[kind] AS last_fire, ($11::timestamptz[])[kind] AS missing_since,
           ($12::text[])[kind] AS missing_reason
    FROM unnest($1::text[], $2::integer[], $3::text[], $4::text[], $5::text[]) AS t (trigger_id, kind, ended, now, later)
),
moved AS (
    UPDATE cron_state AS state
    SET next_fire = turn.next_fire,
        due = turn.due,
        last_fire = coalesce(turn.last_fire, state.last_fire),
        missing_since = turn.missing_since,
        missing_reason = turn.missing_reason,
        running = ARRAY(SELECT id FROM unnest(state.running) AS id WHERE id <> ALL (turn.ended::uuid[]))
            || turn.now::uuid[] || turn.later::uuid[]
    FROM turn
    WHERE state.trigger_id = turn.trigger_id
      AND state.version = turn.version
      AND state.next_fire = turn.expected
    RETURNING state.trigger_id, turn.now, turn.later
),
fire AS MATERIALIZED (
    SELECT trigger_id, unnest(now::uuid[]) AS id, false AS waits
    FROM moved
    UNION ALL
    SELECT trigger_id, unnest(later::uuid[]), true
    FROM moved
),
recorded AS (
    INSERT INTO execution (id, project_id, service_id, trigger_id, function_name, status, max_attempts, input, creator)
    SELECT fire.id, trigger.project_id, trigger.service_id, trigger.id, trigger.function_name,
           CASE WHEN $13 AND NOT fire.waits THEN 'queued' ELSE 'created' END::execution_status,
           service.max_attempts, nullif(convert_to(trigger.input, 'UTF8'), '{}'), 'piper'
    FROM fire
    JOIN trigger ON trigger.id = fire.trigger_id
    JOIN service ON service.id = trigger.service_id
    ON CONFLICT (id) DO NOTHING
    RETURNING id, service_id, trigger_id, attempt, status
),
queued AS (
    INSERT INTO queue (service_id, execution_id, attempt)
    SELECT service_id, id, attempt
    FROM recorded
    WHERE status = 'queued'
),
later AS (
    INSERT INTO cron_waiting (trigger_id, execution_id)
    SELECT trigger_id, id
    FROM recorded
    WHERE id = ANY (ARRAY(SELECT id FROM fire WHERE waits))
),
waiting AS (
    INSERT INTO pending (execution_id, attempt, service_id, due)
    SELECT id, attempt, service_id, now()
    FROM recorded
    WHERE status = 'created'
      AND id <> ALL (ARRAY(SELECT id FROM fire WHERE waits))
),
noted AS (
    INSERT INTO missed_fire (trigger_id, first_fire, last_fire, fires, reason)
    SELECT *
    FROM unnest($14::text[], $15::timestamptz[], $16::timestamptz[], $17::bigint[], $18::text[])
         AS missed (trigger_id, first_fire, last_fire, fires, reason)
    WHERE trigger_id = ANY (ARRAY(SELECT trigger_id FROM moved))
    ON CONFLICT (trigger_id, first_fire, reason) DO UPDATE
    SET last_fire = excluded.last_fire,
        fires = missed_fire.fires + excluded.fires,
        at = now()
)
SELECT service_id, count(*) AS fires
FROM recorded
GROUP BY service_id

-- name: release
-- Of each trigger the first that waits, when nothing of the trigger is before it any more. Those that a person ended
-- meanwhile are forgotten.
WITH first AS (
    SELECT DISTINCT ON (trigger_id) trigger_id, execution_id
    FROM cron_waiting
    ORDER BY trigger_id, execution_id
),
free AS (
    SELECT first.trigger_id, first.execution_id
    FROM first
    LEFT JOIN cron_state AS state ON state.trigger_id = first.trigger_id
    WHERE NOT EXISTS (
        SELECT
        FROM unnest(state.running) AS other (id)
        JOIN execution ON execution.id = other.id
        WHERE execution.status < 'success'
          AND NOT EXISTS (
              SELECT
              FROM cron_waiting
              WHERE cron_waiting.trigger_id = state.trigger_id
                AND cron_waiting.execution_id = other.id
          )
    )
),
released AS (
    DELETE FROM cron_waiting
    USING free
    WHERE cron_waiting.trigger_id = free.trigger_id
      AND cron_waiting.execution_id = free.execution_id
    RETURNING cron_waiting.execution_id
)
INSERT INTO pending (execution_id, attempt, service_id, due)
SELECT execution.id, execution.attempt, execution.service_id, now()
FROM released
JOIN execution ON execution.id = released.execution_id
WHERE execution.status = 'created'
ON CONFLICT (execution_id, attempt) DO NOTHING
RETURNING execution_id

-- name: page
SELECT state.trigger_id, state.version, state.next_fire, trigger.schedule
FROM cron_state AS state
JOIN trigger ON trigger.id = state.trigger_id
WHERE state.trigger_id > $1
ORDER BY state.trigger_id
LIMIT $2

-- name: realign
UPDATE cron_state AS state
SET next_fire = right_one.next_fire,
    due = right_one.due,
    version = state.version + 1
FROM unnest($1::text[], $2::integer[], $3::timestamptz[], $4::timestamptz[])
     AS right_one (trigger_id, version, next_fire, due)
WHERE state.trigger_id = right_one.trigger_id
  AND state.version = right_one.version

-- name: run now
-- An execution of the trigger that a person asked for; fires to come see it as one that goes on.
WITH recorded AS (
    INSERT INTO execution (id, project_id, service_id, trigger_id, function_name, status, max_attempts, input, creator,
                           came_by)
    SELECT $2, trigger.project_id, trigger.service_id, trigger.id, trigger.function_name,
           CASE WHEN $4 THEN 'queued' ELSE 'created' END::execution_status,
           service.max_attempts, nullif(convert_to(trigger.input, 'UTF8'), '{}'), $3, $5
    FROM trigger
    JOIN service ON service.id = trigger.service_id
    WHERE trigger.id = $1
    RETURNING id, service_id, attempt
),
goes_on AS (
    UPDATE cron_state
    SET running = running || ARRAY(SELECT id FROM recorded)
    WHERE trigger_id = $1
),
queued AS (
    INSERT INTO queue (service_id, execution_id, attempt)
    SELECT service_id, id, attempt
    FROM recorded
    WHERE $4
),
waiting AS (
    INSERT INTO pending (execution_id, attempt, service_id, due)
    SELECT id, attempt, service_id, now()
    FROM recorded
    WHERE NOT $4
)
SELECT service_id
FROM recorded

-- name: state
SELECT next_fire, last_fire
FROM cron_state
WHERE trigger_id = $1

-- name: missed
SELECT missed_fire.trigger_id, trigger.name AS trigger_name, trigger.project_id, missed_fire.first_fire,
       missed_fire.last_fire, missed_fire.fires, missed_fire.reason, missed_fire.at
FROM missed_fire
LEFT JOIN trigger ON trigger.id = missed_fire.trigger_id
WHERE ($1::text IS NULL OR missed_fire.trigger_id = $1)
  AND ($2::uuid IS NULL OR trigger.project_id = $2)
ORDER BY missed_fire.at DESC, missed_fire.last_fire DESC
LIMIT $3

-- name: prune missed
DELETE FROM missed_fire
WHERE at < now() - $1::interval
