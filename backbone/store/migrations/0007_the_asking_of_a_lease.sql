-- Where the queue is elsewhere an agent asks for its leases, and asks again when no answer came: what the same asking
-- was granted is granted again, and a copy of the message in a later asking is not.
ALTER TABLE lease ADD COLUMN asking uuid;
