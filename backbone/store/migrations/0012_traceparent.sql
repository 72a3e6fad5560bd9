-- Where the event stands in its publisher's trace.
ALTER TABLE event ADD COLUMN traceparent text;
