-- What Once means for a trigger, and who freed which claims, and why.

ALTER TABLE trigger ADD COLUMN once_means text NOT NULL DEFAULT 'attempted'
    CHECK (once_means IN ('attempted', 'succeeded'));
UPDATE trigger_version SET kept = kept || '{"once_means": "attempted"}';

CREATE TABLE claim_reset (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT now(),
    actor   text NOT NULL,
    reason  text NOT NULL,
    asked   text NOT NULL,
    claims  bigint NOT NULL DEFAULT 0
);

-- The claims themselves, as they were.
CREATE TABLE reset_claim (
    trigger_id    text NOT NULL,
    entity_id     text NOT NULL,
    reset_id      bigint NOT NULL REFERENCES claim_reset,
    execution_id  uuid NOT NULL,
    event_id      text NOT NULL,
    claimed_at    timestamptz NOT NULL,
    PRIMARY KEY (trigger_id, entity_id, reset_id)
);
