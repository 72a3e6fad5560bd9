-- What each trigger was, and when, and who changed it. By database triggers, as the changes of 0005 are: what a deleted
-- service takes along is written down too. What is kept is the row itself, so that a new column needs nothing here; a
-- migration that adds one puts its default into `kept`, as older versions do not have it.

CREATE TABLE trigger_version (
    trigger_id  text NOT NULL,
    version     integer NOT NULL,
    at          timestamptz NOT NULL,
    until       timestamptz,
    actor       text NOT NULL,
    deleted     boolean NOT NULL,
    project_id  uuid,
    service_id  text NOT NULL,
    resource    text,
    actions     text[],
    active      boolean NOT NULL,
    kept        jsonb NOT NULL,
    PRIMARY KEY (trigger_id, version)
);
CREATE INDEX trigger_version_listens ON trigger_version (project_id, resource);

INSERT INTO trigger_version (trigger_id, version, at, actor, deleted, project_id, service_id, resource, actions, active,
                             kept)
SELECT id, version, updated_at, creator, false, project_id, service_id, resource, actions, active, to_jsonb(trigger)
FROM trigger;

-- Set for a transaction by who knows the person; otherwise who made the row, or the role that changed it by hand.
CREATE FUNCTION definition_actor(maker text) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT coalesce(nullif(current_setting('trigger_engine.actor', true), ''), maker, session_user::text)
$$;

CREATE FUNCTION keep_trigger_version() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    moment timestamptz := clock_timestamp();
    gone boolean := TG_OP = 'DELETE';
    changed record; -- not of the table's type: by its name PostgreSQL may find the pseudo-type `trigger`
BEGIN
    IF gone THEN
        changed := OLD;
        changed.version := OLD.version + 1;
    ELSE
        changed := NEW;
    END IF;
    UPDATE trigger_version
    SET until = moment
    WHERE trigger_id = changed.id
      AND until IS NULL;
    INSERT INTO trigger_version (trigger_id, version, at, actor, deleted, project_id, service_id, resource, actions,
                                 active, kept)
    VALUES (changed.id, changed.version, moment,
            definition_actor(CASE TG_OP WHEN 'INSERT' THEN changed.creator END), gone,
            changed.project_id, changed.service_id, changed.resource, changed.actions, changed.active,
            to_jsonb(changed))
    ON CONFLICT (trigger_id, version) DO NOTHING;
    RETURN NULL;
END
$$;

CREATE TRIGGER keep_version AFTER INSERT OR DELETE ON trigger
FOR EACH ROW EXECUTE FUNCTION keep_trigger_version();

-- The engine goes by the version: what does not change it is no change.
CREATE TRIGGER keep_changed_version AFTER UPDATE ON trigger
FOR EACH ROW WHEN (OLD.version <> NEW.version) EXECUTE FUNCTION keep_trigger_version();

-- A service that is stopped keeps its triggers from matching.
CREATE TABLE service_activity (
    service_id  text NOT NULL,
    at          timestamptz NOT NULL,
    active      boolean NOT NULL,
    actor       text NOT NULL,
    PRIMARY KEY (service_id, at)
);

INSERT INTO service_activity (service_id, at, active, actor)
SELECT id, created_at, active, creator
FROM service;

CREATE FUNCTION keep_service_activity() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO service_activity (service_id, at, active, actor)
    VALUES (NEW.id, clock_timestamp(), NEW.active,
            definition_actor(CASE TG_OP WHEN 'INSERT' THEN NEW.creator END))
    ON CONFLICT (service_id, at) DO UPDATE SET active = excluded.active;
    RETURN NULL;
END
$$;

CREATE TRIGGER keep_activity AFTER INSERT ON service
FOR EACH ROW EXECUTE FUNCTION keep_service_activity();

CREATE TRIGGER keep_changed_activity AFTER UPDATE ON service
FOR EACH ROW WHEN (OLD.active <> NEW.active) EXECUTE FUNCTION keep_service_activity();
