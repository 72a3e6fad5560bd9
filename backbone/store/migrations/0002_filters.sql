-- What filters need of PostgreSQL, so that it gives the verdicts of `backbone/model/dql` (see backbone/store/dql_sql).
-- A value is a jsonb, SQL's NULL where the field is missing. All of it runs on PostgreSQL 16.

-- The way to the values ---------------------------------------------------------------------------------------------

-- One part of a path further: into an object by its key, into a list by its number and into every object of it.
CREATE FUNCTION dql_below(node jsonb, part text) RETURNS SETOF jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN jsonb_typeof(node) = 'object' THEN node -> part END
    WHERE jsonb_typeof(node) IS DISTINCT FROM 'array'
    UNION ALL
    SELECT node #> ARRAY[part]
    WHERE jsonb_typeof(node) = 'array' AND part ~ '^(0|[1-9][0-9]{0,8})$'
    UNION ALL
    SELECT element -> part
    FROM jsonb_array_elements(CASE WHEN jsonb_typeof(node) = 'array' THEN node END) AS element
    WHERE jsonb_typeof(element) = 'object' AND (part !~ '^(0|[1-9][0-9]{0,8})$' OR element ? part)
$$;

CREATE FUNCTION dql_leaves(document jsonb, path text[]) RETURNS jsonb[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    nodes jsonb[] := ARRAY[document];
    part text;
BEGIN
    FOREACH part IN ARRAY path LOOP
        IF cardinality(nodes) = 1 AND jsonb_typeof(nodes[1]) = 'object' THEN
            nodes := ARRAY[nodes[1] -> part];
        ELSE
            nodes := ARRAY(SELECT below FROM unnest(nodes) AS node, LATERAL dql_below(node, part) AS below);
        END IF;
    END LOOP;
    RETURN nodes;
END
$$;

-- What a comparison looks at: the values at the path, and the elements of those that are lists.
CREATE FUNCTION dql_values(document jsonb, path text[]) RETURNS jsonb[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    leaves jsonb[] := dql_leaves(document, path);
BEGIN
    IF cardinality(leaves) = 1 AND jsonb_typeof(leaves[1]) IS DISTINCT FROM 'array' THEN
        RETURN leaves;
    END IF;
    RETURN leaves || ARRAY(
        SELECT element
        FROM unnest(leaves) AS leaf,
             LATERAL jsonb_array_elements(CASE WHEN jsonb_typeof(leaf) = 'array' THEN leaf END) AS element
    );
END
$$;

-- What `$match` looks at: the elements of lists, and any other value as the only element.
CREATE FUNCTION dql_elements(document jsonb, path text[]) RETURNS SETOF jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT element
    FROM unnest(dql_leaves(document, path)) AS leaf,
         LATERAL jsonb_array_elements(
             CASE WHEN jsonb_typeof(leaf) = 'array' THEN leaf ELSE jsonb_build_array(leaf) END
         ) AS element
    WHERE leaf IS NOT NULL
$$;

-- Values by their kind ----------------------------------------------------------------------------------------------

CREATE FUNCTION dql_text(value jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN jsonb_typeof(value) = 'string' THEN value #>> '{}' END
$$;

-- A number as readers of JSON hand it over: whole and within 64 bits it is exact, ...
CREATE FUNCTION dql_integer(value jsonb) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN jsonb_typeof(value) = 'number' THEN
        CASE
            WHEN scale(value::numeric) = 0 AND value::numeric BETWEEN -9223372036854775808 AND 18446744073709551615
            THEN value::numeric
        END
    END
$$;

-- ... and any other is a double.
CREATE FUNCTION dql_double(value jsonb) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN jsonb_typeof(value) = 'number' AND dql_integer(value) IS NULL THEN
        CASE
            WHEN value::numeric > 1.7976931348623158e308 THEN 'Infinity'
            WHEN value::numeric < -1.7976931348623158e308 THEN '-Infinity'
            WHEN abs(value::numeric) < 2.4703282292062328e-324 THEN 0
            ELSE value::numeric::float8
        END
    END
$$;

-- Epoch milliseconds as an instant, rounded as a double is; no date is as far away as those that would overflow.
CREATE FUNCTION dql_instant_of_epoch(milliseconds float8) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN abs(milliseconds) < 1e300 THEN milliseconds * 1e6 ELSE milliseconds END
$$;

-- The nanoseconds since 1970 of an ISO date or date-time, without a zone in UTC; NULL for any other text. The pattern
-- tells where everything stands, and taking it from there costs a tenth of what capturing it does.
CREATE FUNCTION dql_instant(written text) RETURNS numeric
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    year int;
    month int;
    day int;
    past_minute text;
    second int := 0;
    fraction text := '';
    zone int;
    east int := 0;
BEGIN
    IF substr(written, 5, 1) IS DISTINCT FROM '-' OR written !~ (
        '^[0-9]{4}-[0-9]{2}-[0-9]{2}'
        '(?:[Tt ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:[.,][0-9]+)?)?'
        '(?:[Zz]|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?)?)?$'
    ) THEN
        RETURN NULL;
    END IF;
    year := left(written, 4);
    month := substr(written, 6, 2);
    day := substr(written, 9, 2);
    IF year = 0 OR month NOT BETWEEN 1 AND 12 OR day NOT BETWEEN 1 AND 31
        OR day = 31 AND month IN (4, 6, 9, 11)
        OR month = 2 AND day > 28 + (year % 4 = 0 AND (year % 100 <> 0 OR year % 400 = 0))::int
    THEN
        RETURN NULL;
    END IF;
    IF length(written) > 10 THEN
        past_minute := substr(written, 17);
        second := substr(written, 12, 2)::int * 3600 + substr(written, 15, 2)::int * 60;
        IF left(past_minute, 1) = ':' THEN
            second := second + substr(past_minute, 2, 2)::int;
            fraction := substr(split_part(translate(substr(past_minute, 4), 'Zz-', '+++'), '+', 1), 2);
        END IF;
        zone := greatest(strpos(past_minute, '+'), strpos(past_minute, '-'));
        IF zone > 0 THEN
            east := rpad(replace(substr(past_minute, zone + 1), ':', ''), 4, '0')::int;
            east := east / 100 * 3600 + east % 100 * 60;
            second := second - CASE substr(past_minute, zone, 1) WHEN '-' THEN -east ELSE east END;
        END IF;
    END IF;
    RETURN ((make_date(year, month, day) - date '1970-01-01')::bigint * 86400 + second)::numeric * 1000000000
        + rpad(left(fraction, 9), 9, '0')::int;
END
$$;

-- A text with its case forgotten, by the foldings that the caller knows: of characters to one each, of others to several.
CREATE FUNCTION dql_folded(written text, single text, folded text, others text[], expanded text[]) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    written := translate(written, single, folded);
    IF octet_length(written) > length(written) THEN
        FOR place IN 1 .. cardinality(others) LOOP
            written := replace(written, others[place], expanded[place]);
        END LOOP;
    END IF;
    RETURN written;
END
$$;

-- Whether a list or an object is the wanted one, in which numbers are places in the three arrays: the number as a whole
-- one, rounded to a double where readers of JSON may do so, and as a double.
CREATE FUNCTION dql_same(given jsonb, wanted jsonb, wholes numeric[], rounded numeric[], doubles float8[])
RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF jsonb_typeof(given) IS DISTINCT FROM jsonb_typeof(wanted) THEN
        RETURN false;
    END IF;
    CASE jsonb_typeof(wanted)
        WHEN 'number' THEN
            RETURN coalesce(
                dql_integer(given) IN (wholes[wanted::int], rounded[wanted::int]),
                dql_double(given) = doubles[wanted::int],
                false
            );
        WHEN 'array' THEN
            RETURN jsonb_array_length(given) = jsonb_array_length(wanted) AND NOT EXISTS (
                SELECT
                FROM generate_series(0, jsonb_array_length(wanted) - 1) AS place
                WHERE NOT dql_same(given -> place, wanted -> place, wholes, rounded, doubles)
            );
        WHEN 'object' THEN
            RETURN (SELECT count(*) FROM jsonb_object_keys(given)) = (SELECT count(*) FROM jsonb_object_keys(wanted))
                AND NOT EXISTS (
                    SELECT
                    FROM jsonb_each(wanted) AS member
                    WHERE NOT dql_same(given -> member.key, member.value, wholes, rounded, doubles)
                );
        ELSE
            RETURN given = wanted;
    END CASE;
END
$$;

-- The place of a value among others: nothing first, then numbers, then texts, and all the rest by its JSON. ----------

CREATE FUNCTION dql_sort_kind(value jsonb) RETURNS int
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE coalesce(jsonb_typeof(value), 'null')
        WHEN 'null' THEN 0
        WHEN 'number' THEN 1
        WHEN 'boolean' THEN 1
        ELSE 2
    END
$$;

CREATE FUNCTION dql_sort_number(value jsonb) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE jsonb_typeof(value)
        WHEN 'number' THEN value::numeric
        WHEN 'boolean' THEN value::boolean::int::numeric
    END
$$;

CREATE FUNCTION dql_sort_text(value jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN dql_sort_kind(value) = 2 THEN value #>> '{}' END
$$;

-- What is stored as it came -------------------------------------------------------------------------------------------

-- JSON kept as bytes. NUL, which no jsonb holds, becomes U+FFFD; what is no JSON at all is NULL.
CREATE FUNCTION stored_json(kept bytea) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL UNSAFE AS $$
DECLARE
    written text;
BEGIN
    written := convert_from(kept, 'UTF8');
    RETURN written::jsonb;
EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
    BEGIN
        RETURN regexp_replace(written, '(?<!\\)((?:\\\\)*)\\u0000', E'\\1\ufffd', 'g')::jsonb;
    EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
        RETURN NULL;
    END;
END
$$;

-- A time as the API writes it.
CREATE FUNCTION written_time(at timestamptz) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT replace(to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), '.000000', '') || 'Z'
$$;
