-- What the systems of the publisher's trace say to themselves.
ALTER TABLE event ADD COLUMN tracestate text;
