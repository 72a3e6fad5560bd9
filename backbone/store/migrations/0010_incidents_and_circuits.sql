-- Stopped matches of one loop are one incident; what may be ordinary is held by a circuit, waits, and goes on.

ALTER TABLE stopped_match
    ADD COLUMN kind text NOT NULL DEFAULT 'chain',
    ADD COLUMN loop text NOT NULL DEFAULT '',
    ADD COLUMN execution bytea, -- what it becomes when it goes on
    ADD COLUMN received timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN waits boolean NOT NULL DEFAULT false,
    ADD COLUMN released_at timestamptz;
CREATE INDEX stopped_match_waiting ON stopped_match (trigger_id, kind, loop, received) WHERE waits;
CREATE INDEX stopped_match_loop ON stopped_match (trigger_id, kind, loop, at);

CREATE TABLE incident (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    trigger_id  text NOT NULL,
    project_id  uuid NOT NULL,
    kind        text NOT NULL,
    loop        text NOT NULL,
    state       text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'released', 'allowed')),
    reason      text NOT NULL,
    causation   bytea NOT NULL, -- of the first match that it stopped
    event_id    text NOT NULL,
    entity_id   text NOT NULL,
    stopped     bigint NOT NULL,
    first_at    timestamptz NOT NULL DEFAULT now(),
    last_at     timestamptz NOT NULL DEFAULT now()
);
-- A loop is one incident until a person is done with it.
CREATE UNIQUE INDEX incident_loop ON incident (trigger_id, project_id, kind, loop) WHERE state = 'open';
CREATE INDEX incident_last ON incident (last_at);

CREATE TABLE circuit (
    trigger_id  text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('entity', 'trigger')),
    loop        text NOT NULL,
    project_id  uuid NOT NULL,
    state       text NOT NULL CHECK (state IN ('watched', 'probed', 'open', 'closed')),
    since       timestamptz NOT NULL DEFAULT now(),
    until       timestamptz, -- when an open one is probed; how long a closed one is remembered
    opened      integer NOT NULL DEFAULT 0,
    closed      integer NOT NULL DEFAULT 0,
    rate        float8 NOT NULL,
    witnesses   uuid[] NOT NULL,
    reason      text NOT NULL,
    causation   bytea NOT NULL,
    PRIMARY KEY (trigger_id, kind, loop)
);

-- What was stopped before this release, as the incidents that it would be now.
INSERT INTO incident (trigger_id, project_id, kind, loop, reason, causation, event_id, entity_id, stopped, first_at, last_at)
SELECT trigger_id, project_id, 'chain', '', min(reason), (array_agg(causation ORDER BY at))[1],
       (array_agg(event_id ORDER BY at))[1], (array_agg(entity_id ORDER BY at))[1], count(*), min(at), max(at)
FROM stopped_match
GROUP BY trigger_id, project_id;
