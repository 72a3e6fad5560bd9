-- What explanations ask for: which version of its trigger an execution is of, what was stopped or could not be read of
-- one event, and which events were there and are not any more.

ALTER TABLE execution ADD COLUMN trigger_version integer;

CREATE INDEX stopped_match_event ON stopped_match (event_id);
CREATE INDEX dead_letter_of_match ON dead_letter (position) WHERE source = 'match';

-- Hashes of the ids of a pruned day's events, in order, some hundred a row.
CREATE TABLE removed_events (
    day     date NOT NULL,
    first   bigint NOT NULL,
    hashes  bytea NOT NULL,
    PRIMARY KEY (day, first)
);
ALTER TABLE removed_events ALTER COLUMN hashes SET STORAGE PLAIN;
