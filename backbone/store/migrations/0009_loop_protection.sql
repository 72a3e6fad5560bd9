-- What each trigger wants of the guard.

ALTER TABLE trigger ADD COLUMN loop_protection text NOT NULL DEFAULT 'avoid-loop'
    CHECK (loop_protection IN ('avoid-loop', 'ignore', 'allow-all'));
