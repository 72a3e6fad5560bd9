-- The tables of the tracked path. Rows that come by the million are partitioned by day, so that the past is dropped
-- and not deleted; executions and what hangs on them by the time that their id begins with.

CREATE TYPE execution_status AS ENUM (
    'created', 'queued', 'in-progress', 'success', 'failed', 'aborted', 'terminated', 'canceled', 'system-failure'
);

-- Definitions ---------------------------------------------------------------------------------------------------------

CREATE TABLE project (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name        text NOT NULL UNIQUE,
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE codebase (
    id          text PRIMARY KEY,
    sha256      bytea NOT NULL UNIQUE,
    content     bytea NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE codebase ALTER COLUMN content SET STORAGE EXTERNAL;

CREATE TABLE package (
    id          text PRIMARY KEY,
    project_id  uuid NOT NULL REFERENCES project,
    name        text NOT NULL,
    latest      integer NOT NULL DEFAULT 0,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    creator     text NOT NULL,
    UNIQUE (project_id, name)
);

CREATE TABLE package_revision (
    package_id  text NOT NULL REFERENCES package ON DELETE CASCADE,
    revision    integer NOT NULL,
    modules     text NOT NULL,
    codebase_id text NOT NULL REFERENCES codebase,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (package_id, revision)
);

CREATE TABLE service (
    id                text PRIMARY KEY,
    project_id        uuid NOT NULL REFERENCES project,
    name              text NOT NULL,
    package_id        text NOT NULL REFERENCES package,
    package_revision  integer NOT NULL,
    module_name       text NOT NULL,
    runtime           text NOT NULL,
    init_params       text NOT NULL,
    execution_timeout interval NOT NULL,
    drain_time        interval NOT NULL,
    max_attempts      smallint NOT NULL,
    on_reset          text NOT NULL CHECK (on_reset IN ('failed', 'rerun')),
    active            boolean NOT NULL DEFAULT true,
    version           integer NOT NULL DEFAULT 1,
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now(),
    creator           text NOT NULL,
    UNIQUE (project_id, name)
);

CREATE TABLE trigger (
    id            text PRIMARY KEY,
    project_id    uuid NOT NULL REFERENCES project,
    service_id    text NOT NULL REFERENCES service ON DELETE CASCADE,
    name          text NOT NULL,
    function_name text NOT NULL,
    resource      text NOT NULL,
    actions       text[] NOT NULL,
    filter        text NOT NULL,
    mode          text NOT NULL CHECK (mode IN ('Once', 'Always')),
    input         text NOT NULL,
    active        boolean NOT NULL DEFAULT true,
    version       integer NOT NULL DEFAULT 1,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    creator       text NOT NULL
);
CREATE INDEX trigger_project ON trigger (project_id, name);

-- The log of events ---------------------------------------------------------------------------------------------------

-- Not an identity column: those are for partitioned tables from PostgreSQL 17 on only.
CREATE SEQUENCE event_seq CACHE 1;

CREATE TABLE event (
    day         date NOT NULL,
    project_id  uuid NOT NULL,
    id          text NOT NULL,
    xid         xid8 NOT NULL DEFAULT pg_current_xact_id(),
    seq         bigint NOT NULL DEFAULT nextval('event_seq'),
    received    timestamptz NOT NULL,
    resource    text NOT NULL,
    action      text NOT NULL,
    entity_id   text NOT NULL,
    occurred    timestamptz NOT NULL,
    actor       text,
    causation   bytea,
    entity      bytea NOT NULL,
    previous    bytea,
    UNIQUE (id, project_id, day)
) PARTITION BY RANGE (day);
-- Documents are stored as they are: compressing what is read once costs more than it saves.
ALTER TABLE event ALTER COLUMN entity SET STORAGE EXTERNAL;
ALTER TABLE event ALTER COLUMN previous SET STORAGE EXTERNAL;
CREATE INDEX event_log ON event (xid, seq);

CREATE TABLE reader (
    name  text PRIMARY KEY,
    day   date NOT NULL,
    xid   xid8 NOT NULL,
    seq   bigint NOT NULL
);

-- Claims and executions -----------------------------------------------------------------------------------------------

-- Whoever inserts the row owns the match; that is all of Once.
CREATE TABLE claim (
    trigger_id    text NOT NULL,
    entity_id     text NOT NULL,
    execution_id  uuid NOT NULL,
    event_id      text NOT NULL,
    claimed_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (trigger_id, entity_id)
);

CREATE TABLE execution (
    id            uuid NOT NULL PRIMARY KEY,
    project_id    uuid NOT NULL,
    service_id    text NOT NULL,
    trigger_id    text,
    function_name text NOT NULL,
    status        execution_status NOT NULL,
    attempt       smallint NOT NULL DEFAULT 1,
    max_attempts  smallint NOT NULL,
    to_terminate  boolean NOT NULL DEFAULT false,
    percent       smallint NOT NULL DEFAULT 0,
    event_day     date,
    event_id      text,
    resource      text,
    action        text,
    entity_id     text,
    creator       text NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    started_at    timestamptz,
    finished_at   timestamptz,
    duration      real,
    came_by       bytea,
    input         bytea,
    output        bytea,
    message       text,
    traceback     text
) PARTITION BY RANGE (id);

-- Append-only. What happened to an execution after it was recorded; that it was recorded is the execution's own row.
CREATE TABLE status_log (
    execution_id  uuid NOT NULL,
    attempt       smallint NOT NULL,
    number        integer NOT NULL,
    at            timestamptz NOT NULL,
    status        text NOT NULL,
    percent       smallint,
    message       text,
    output        bytea,
    PRIMARY KEY (execution_id, attempt, number)
) PARTITION BY RANGE (execution_id);

CREATE TABLE log_chunk (
    execution_id  uuid NOT NULL,
    attempt       smallint NOT NULL,
    number        integer NOT NULL,
    at            timestamptz NOT NULL,
    lines         bytea NOT NULL,
    PRIMARY KEY (execution_id, attempt, number)
) PARTITION BY RANGE (execution_id);

-- The matches that the guard stopped, each once.
CREATE TABLE stopped_match (
    trigger_id  text NOT NULL,
    event_id    text NOT NULL,
    project_id  uuid NOT NULL,
    entity_id   text NOT NULL,
    reason      text NOT NULL,
    causation   bytea NOT NULL,
    at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (trigger_id, project_id, event_id)
);
CREATE INDEX stopped_match_at ON stopped_match (at);

CREATE TABLE dead_letter (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT now(),
    source      text NOT NULL,
    position    text NOT NULL,
    project_id  text,
    path        text NOT NULL,
    reason      text NOT NULL,
    body        bytea NOT NULL
);

-- What waits, and what is being done: small tables that live by insert and delete. --------------------------------------

-- Recorded, to be put in the queue when due: first attempts where the queue is elsewhere, and every retry.
CREATE TABLE pending (
    execution_id  uuid NOT NULL,
    attempt       smallint NOT NULL,
    due           timestamptz NOT NULL,
    PRIMARY KEY (execution_id, attempt)
);
CREATE INDEX pending_due ON pending (due);

CREATE TABLE queue (
    id            bigint GENERATED ALWAYS AS IDENTITY,
    service_id    text NOT NULL,
    execution_id  uuid NOT NULL,
    attempt       smallint NOT NULL,
    PRIMARY KEY (service_id, id)
);

CREATE TABLE lease (
    execution_id  uuid PRIMARY KEY,
    attempt       smallint NOT NULL,
    session_id    uuid NOT NULL,
    taken_at      timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE agent_session (
    id          uuid PRIMARY KEY,
    service_id  text NOT NULL,
    lease_until timestamptz NOT NULL
);

CREATE TABLE report (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sent_at  timestamptz NOT NULL DEFAULT now(),
    body     bytea NOT NULL
);
ALTER TABLE report ALTER COLUMN body SET STORAGE EXTERNAL;

ALTER TABLE pending SET (autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0);
ALTER TABLE queue SET (autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0);
ALTER TABLE lease SET (autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0);
ALTER TABLE report SET (autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);

-- What the parts say of themselves, for readiness. ----------------------------------------------------------------------

CREATE TABLE part (
    name        text PRIMARY KEY,
    role        text NOT NULL,
    ready       boolean NOT NULL,
    detail      text NOT NULL,
    told_at     timestamptz NOT NULL DEFAULT now()
);
