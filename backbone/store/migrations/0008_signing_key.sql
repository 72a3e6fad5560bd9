-- What signs the chains that functions hand on: made once for a database, and going with it wherever it is restored.

CREATE TABLE signing_key (
    one  boolean PRIMARY KEY DEFAULT true CHECK (one),
    key  bytea NOT NULL
);

-- 244 bits of the server's strong randomness; each of the two numbers has 122.
INSERT INTO signing_key (key)
SELECT decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex');
