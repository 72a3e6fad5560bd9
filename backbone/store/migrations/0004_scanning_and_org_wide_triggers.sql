-- Triggers of every project have none; and those that only asking finds are counted (gateway/triggers.py).

ALTER TABLE trigger ALTER COLUMN project_id DROP NOT NULL;
ALTER TABLE trigger ADD COLUMN scans boolean NOT NULL DEFAULT false;
CREATE INDEX trigger_scans ON trigger (project_id) WHERE scans AND active;
