-- Triggers by the clock: the schedule beside the other words of the trigger, and where each schedule has come to.

ALTER TABLE trigger ADD COLUMN schedule text;

CREATE TABLE cron_state (
    trigger_id      text PRIMARY KEY REFERENCES trigger ON DELETE CASCADE,
    version         integer NOT NULL DEFAULT 1,  -- of the schedule
    next_fire       timestamptz,                 -- by the schedule; null when none is left
    due             timestamptz,                 -- the same with its jitter
    last_fire       timestamptz,
    running         uuid[] NOT NULL DEFAULT '{}',-- its executions that had not ended when this was looked at
    missing_since   timestamptz,                 -- the first of the fires that are being missed now
    missing_reason  text
) WITH (fillfactor = 50);
CREATE INDEX cron_state_due ON cron_state (due);
ALTER TABLE cron_state SET (autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0);

-- Executions that wait for the one of their trigger before them.
CREATE TABLE cron_waiting (
    trigger_id    text NOT NULL,
    execution_id  uuid NOT NULL,
    PRIMARY KEY (trigger_id, execution_id)
);

-- Fires that did not come: those in a row for the same reason are one row. It outlives its trigger.
CREATE TABLE missed_fire (
    trigger_id  text NOT NULL,
    first_fire  timestamptz NOT NULL,
    last_fire   timestamptz NOT NULL,
    fires       bigint NOT NULL,
    reason      text NOT NULL,
    at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (trigger_id, first_fire, reason)
);
CREATE INDEX missed_fire_at ON missed_fire (at);
