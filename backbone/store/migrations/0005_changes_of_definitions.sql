-- What changed, for those who follow the triggers. By database triggers and not by our statements: a service that is
-- deleted takes triggers along that no statement has seen, and what an administrator changes by hand is followed, too.

CREATE TABLE definition_change (
    xid   xid8 NOT NULL DEFAULT pg_current_xact_id(),
    at    timestamptz NOT NULL DEFAULT now(),
    kind  text NOT NULL,
    id    text NOT NULL
);
CREATE INDEX definition_change_xid ON definition_change (xid);
CREATE INDEX definition_change_at ON definition_change (at);

-- The triggers of a service, for its changes and for the foreign key.
CREATE INDEX trigger_service ON trigger (service_id);

CREATE FUNCTION write_definition_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO definition_change (kind, id) VALUES (TG_TABLE_NAME, coalesce(NEW.id, OLD.id));
    RETURN NULL;
END
$$;

CREATE TRIGGER write_change AFTER INSERT OR UPDATE OR DELETE ON trigger
FOR EACH ROW EXECUTE FUNCTION write_definition_change();

-- A new service has no triggers yet, and the triggers of a deleted one are deleted one by one.
CREATE TRIGGER write_change AFTER UPDATE ON service
FOR EACH ROW EXECUTE FUNCTION write_definition_change();
