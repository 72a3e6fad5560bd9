-- name: append
-- The same id in a project is one event: in today's partition the key says so, in earlier ones this looks.
-- What many events share stands once in $8 to $11; each event names it by number.
INSERT INTO event (day, project_id, id, received, resource, action, entity_id, occurred, actor, causation, entity, previous,
                   traceparent, tracestate)
SELECT (now() AT TIME ZONE 'UTC')::date, ($8::uuid[])[u.kind], u.id, now(), ($9::text[])[u.kind],
       ($10::text[])[u.kind], u.entity_id, to_timestamp(u.occurred), ($11::text[])[u.kind], u.causation, u.entity,
       u.previous, u.traceparent, u.tracestate
FROM unnest($1::text[], $2::integer[], $3::text[], $4::float8[], $5::bytea[], $6::bytea[], $7::bytea[],
            $12::text[], $13::text[])
     AS u (id, kind, entity_id, occurred, causation, entity, previous, traceparent, tracestate)
WHERE NOT EXISTS (
    SELECT
    FROM event AS earlier
    WHERE earlier.id = u.id
      AND earlier.project_id = ($8::uuid[])[u.kind]
      AND earlier.day < (now() AT TIME ZONE 'UTC')::date
    OFFSET 0
)
ON CONFLICT (id, project_id, day) DO NOTHING

-- name: keep
-- Events of a log that is elsewhere, with the time it received them. The first time an id was kept is the one that
-- counts: ids and partitions go by it, so that an event that comes twice makes nothing twice.
INSERT INTO event (day, project_id, id, received, resource, action, entity_id, occurred, actor, causation, entity, previous,
                   traceparent, tracestate)
SELECT (to_timestamp(u.received) AT TIME ZONE 'UTC')::date, ($8::uuid[])[u.kind], u.id, to_timestamp(u.received),
       ($9::text[])[u.kind], ($10::text[])[u.kind], u.entity_id, to_timestamp(u.occurred), ($11::text[])[u.kind],
       u.causation, u.entity, u.previous, u.traceparent, u.tracestate
FROM unnest($1::text[], $2::integer[], $3::text[], $4::float8[], $5::bytea[], $6::bytea[], $7::bytea[],
            $12::text[], $13::text[], $14::float8[])
     AS u (id, kind, entity_id, occurred, causation, entity, previous, traceparent, tracestate, received)
-- All days are asked once for the whole batch, and not once for each event.
WHERE (u.id, ($8::uuid[])[u.kind]) NOT IN (
    SELECT earlier.id, earlier.project_id
    FROM event AS earlier
    WHERE earlier.id = ANY ($1)
)
ON CONFLICT (id, project_id, day) DO NOTHING

-- name: kept
-- When each was first received.
SELECT asked.number, event.received
FROM unnest($1::integer[], $2::text[], $3::uuid[]) AS asked (number, id, project_id)
CROSS JOIN LATERAL (
    SELECT received
    FROM event
    WHERE event.id = asked.id
      AND event.project_id = asked.project_id
    ORDER BY day
    LIMIT 1
) AS event

-- name: read
-- Below the horizon nothing can appear any more: no transaction that is still open has a smaller xid.
SELECT day, xid, seq, received, project_id, id, resource, action, entity_id, occurred, actor, causation, entity, previous,
       traceparent, tracestate
FROM event
WHERE day >= $1::date - 1
  AND (xid, seq) > ($2::xid8, $3::bigint)
  AND xid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY xid, seq
LIMIT $4

-- name: beyond horizon
SELECT EXISTS (
    SELECT
    FROM event
    WHERE day >= $1::date - 1
      AND (xid, seq) > ($2::xid8, $3::bigint)
)

-- name: position
INSERT INTO reader (name, day, xid, seq)
VALUES ($1, '-infinity', '0', 0)
ON CONFLICT (name) DO UPDATE SET name = excluded.name
RETURNING day, xid, seq

-- name: move
UPDATE reader
SET day = $2, xid = $3, seq = $4
WHERE name = $1
  AND (xid, seq) < ($3::xid8, $4::bigint)

-- name: get
SELECT day, xid, seq, received, project_id, id, resource, action, entity_id, occurred, actor, causation, entity, previous,
       traceparent, tracestate
FROM event
WHERE id = $1
  AND ($2::uuid IS NULL OR project_id = $2)
ORDER BY day DESC
LIMIT 2

-- name: written lately by
-- Of the newest $1 events those that a service wrote: by its bot, or with one of its triggers as the last of the chain.
SELECT id, project_id, resource, action, entity_id, entity
FROM (
    SELECT id, project_id, resource, action, entity_id, entity, actor, causation
    FROM event
    WHERE day >= (now() AT TIME ZONE 'UTC')::date - 1
    ORDER BY xid DESC, seq DESC
    LIMIT $1
) AS newest
WHERE resource = $2
  AND action = ANY ($3::text[])
  AND ($4::uuid IS NULL OR project_id = $4)
  AND (
      actor = $5
      OR convert_from(causation, 'UTF8')::jsonb -> 'chain' -> -1 ->> 'trigger' IN (
          SELECT id
          FROM trigger
          WHERE service_id = $6
      )
  )
LIMIT $7
