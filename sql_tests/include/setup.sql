-- A database of its own with the extension, and helpers. Needs the variable "db".
SET client_min_messages = warning;
CREATE DATABASE :db;
\c :db
SET client_min_messages = warning;
CREATE EXTENSION pgautofailover CASCADE;
CREATE SCHEMA test;
GRANT USAGE ON SCHEMA test TO PUBLIC;
CREATE DOMAIN test.state AS text;

-- What a statement raises: SQLSTATE, message, detail, hint. 'no error' otherwise; its effects stay then.
CREATE FUNCTION test.fails(statement text) RETURNS TABLE (sqlstate text, message text, detail text, hint text)
LANGUAGE plpgsql AS $$
DECLARE
    state text; m text; d text; h text;
BEGIN
    EXECUTE statement;
    RETURN QUERY SELECT '00000', 'no error', '', '';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL,
        h = PG_EXCEPTION_HINT;
    RETURN QUERY SELECT state, m, d, h;
END
$$;

-- A healthy report of a node in a state; `more` replaces members.
CREATE FUNCTION test.facts(node bigint, state text, more jsonb DEFAULT '{}') RETURNS text
LANGUAGE sql AS $$
    SELECT (jsonb_build_object(
        'version', 1, 'formation', 'default', 'node_id', node, 'group', 0, 'keeper_epoch', 1,
        'holder', 'worker', 'state', state, 'term', 0, 'pg_running', true,
        'in_recovery', state IN ('catchingup', 'secondary', 'prepare_promotion', 'stop_replication'),
        'timeline', 1, 'lsn', '0/5000000', 'system_identifier', '7000000000000000001',
        'fenced', state NOT IN ('single', 'wait_primary', 'primary'), 'sealed_lsn', '0/0',
        'sync_version', 0, 'lease_mode', false) || more)::text
$$;

CREATE FUNCTION test.report(node bigint, state text, more jsonb DEFAULT '{}',
    OUT goal text, OUT grant_kind text, OUT term text, OUT sync text, OUT upstream text)
LANGUAGE sql AS $$
    SELECT r->>'goal', r->>'grant', r->>'term', (r->>'sync_version') || ' ' || (r->>'sync_names'),
           r->>'upstream'
    FROM (SELECT pgautofailover.report(test.facts(node, state, more))::jsonb AS r) AS reply
$$;

-- Members of reports that occur together.
CREATE FUNCTION test.streams_from(upstream bigint) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('receiver', jsonb_build_object(
        'upstream', upstream, 'streaming', true, 'stream_age_ms', 0, 'sealed', false))
$$;
CREATE FUNCTION test.sealed() RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('receiver', jsonb_build_object(
        'upstream', 0, 'streaming', false, 'stream_age_ms', 100, 'sealed', true))
$$;
CREATE FUNCTION test.feeds(standby bigint) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('standbys', jsonb_build_array(jsonb_build_object(
        'node_id', standby, 'streaming', true, 'in_sync_set', true, 'flush_lsn', '0/5000000',
        'reply_age_ms', 0)))
$$;
CREATE FUNCTION test.down() RETURNS jsonb LANGUAGE sql AS $$
    SELECT '{"holder": "supervisor", "pg_running": false, "in_recovery": false, "fenced": true}'::jsonb
$$;
-- The states as they are stored.
CREATE VIEW test.nodes AS
    SELECT nodeid, nodename, reportedstate AS reported, goalstate AS goal, health FROM pgautofailover.node
    ORDER BY nodeid;
GRANT SELECT ON test.nodes TO PUBLIC;
