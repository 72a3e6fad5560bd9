-- An agent waits for its leases before anything begins, so they are had in one round trip and not in five. Every
-- statement in here sees what was committed before it began, which makes their order matter: the lease comes first. An
-- attempt asked after before it is leased, which another agent begins and ends meanwhile, would begin again.
CREATE FUNCTION lease_attempts(askings uuid[], sessions uuid[], services text[], executions uuid[], attempts smallint[])
RETURNS TABLE (asking uuid, execution_id uuid)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    given uuid[];
    leased uuid[];
    leased_attempts smallint[];
    startable uuid[];
BEGIN
    -- Only to a session of the service it names. No other holder's lease is touched; an asking that is repeated is given
    -- what it was given before. Of two attempts at one execution the newer counts: the other is over.
    WITH granted AS (
        INSERT INTO lease (asking, session_id, execution_id, attempt)
        SELECT DISTINCT ON (asked.execution_id) asked.asking, asked.session_id, asked.execution_id, asked.attempt
        FROM unnest(askings, sessions, services, executions, attempts)
             AS asked (asking, session_id, service_id, execution_id, attempt)
        JOIN agent_session ON agent_session.id = ANY (sessions)
                          AND agent_session.id = asked.session_id
                          AND agent_session.service_id = asked.service_id
        ORDER BY asked.execution_id, asked.attempt DESC
        ON CONFLICT (execution_id) DO UPDATE SET asking = excluded.asking
            WHERE lease.asking = excluded.asking
              AND lease.attempt = excluded.attempt
              AND lease.session_id = excluded.session_id
        RETURNING asking, execution_id, attempt
    )
    SELECT array_agg(granted.asking), array_agg(granted.execution_id), array_agg(granted.attempt)
    INTO given, leased, leased_attempts
    FROM granted;

    -- Those that may begin, as in `take`: what came twice falls away here, what has moved on, and another service's.
    SELECT array_agg(new.execution_id) INTO startable
    FROM unnest(given, leased, leased_attempts) AS new (asking, execution_id, attempt)
    JOIN (
        SELECT DISTINCT asking, service_id
        FROM unnest(askings, services) AS take (asking, service_id)
    ) AS take USING (asking)
    CROSS JOIN LATERAL (
        SELECT
        FROM execution
        WHERE execution.id = new.execution_id
          AND execution.attempt = new.attempt
          AND execution.service_id = take.service_id
          AND execution.status IN ('created', 'queued')
        OFFSET 0
    ) AS execution;

    -- An agent has them now, or nobody can begin them any more: they need not be published again.
    DELETE FROM pending
    USING unnest(leased, leased_attempts) AS new (execution_id, attempt)
    WHERE pending.execution_id = ANY (leased)
      AND pending.execution_id = new.execution_id
      AND pending.attempt = new.attempt;

    IF cardinality(startable) IS DISTINCT FROM cardinality(leased) THEN
        DELETE FROM lease
        WHERE lease.execution_id = ANY (leased)
          AND (startable IS NULL OR lease.execution_id <> ALL (startable));
    END IF;

    RETURN QUERY
        SELECT new.asking, new.execution_id
        FROM unnest(given, leased) AS new (asking, execution_id)
        WHERE new.execution_id = ANY (startable);
END
$$;
