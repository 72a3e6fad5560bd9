-- A queue in another server takes so many of each service and no more, and what it confirmed stays here until an agent
-- has it: so the pending are looked at service by service, and know when they were published.
ALTER TABLE pending ADD COLUMN service_id text, ADD COLUMN published_at timestamptz;
UPDATE pending SET service_id = execution.service_id FROM execution WHERE execution.id = pending.execution_id;
DELETE FROM pending WHERE service_id IS NULL;
ALTER TABLE pending ALTER COLUMN service_id SET NOT NULL;
DROP INDEX pending_due;
CREATE INDEX pending_waiting ON pending (service_id, due) WHERE published_at IS NULL;
CREATE INDEX pending_published ON pending (service_id, published_at) WHERE published_at IS NOT NULL;
