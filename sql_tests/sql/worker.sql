-- Goal: the worker notices what nobody reports: a lost session, a port that refuses, a dropped extension.
-- Method: real sessions and ports; every wait is for a condition, with a deadline.
\getenv abs_srcdir PG_ABS_SRCDIR
\set db test_worker
\set ECHO none
\i :abs_srcdir/include/setup.psql
\set ECHO all
\set QUIET on
CREATE PROCEDURE test.wait_for(condition text) LANGUAGE plpgsql AS $$
DECLARE
    reached bool;
    deadline timestamptz := clock_timestamp() + interval '20 s';
BEGIN
    LOOP
        EXECUTE 'SELECT ' || condition INTO reached;
        EXIT WHEN reached;
        IF clock_timestamp() > deadline THEN RAISE EXCEPTION 'never happened: %', condition; END IF;
        COMMIT;
        PERFORM pg_sleep(0.01);
    END LOOP;
END
$$;

-- A worker comes with the first node. Nobody listens on ports 1 and 2.
SELECT assigned_group_state FROM pgautofailover.register_node('default', '127.0.0.1', 1, 'postgres', 'a');
CALL test.wait_for($$EXISTS (SELECT 1 FROM pg_stat_activity WHERE backend_type = 'pgautofailover worker'
    AND datname = current_database())$$);
SELECT goal FROM test.report(1, 'single');
SELECT assigned_group_state FROM pgautofailover.register_node('default', '127.0.0.1', 2, 'postgres', 'b');
SELECT goal FROM test.report(1, 'wait_primary');
SELECT goal FROM test.report(2, 'wait_standby', test.down());
SELECT goal FROM test.report(1, 'wait_primary', test.feeds(2));
SELECT goal FROM test.report(2, 'catchingup', test.streams_from(1));
SELECT goal FROM test.report(2, 'secondary', test.streams_from(1));
SELECT goal FROM test.report(1, 'wait_primary', test.feeds(2));
SELECT goal FROM test.report(1, 'primary', test.feeds(2) || '{"sync_version": 2, "lease_mode": true}');
SELECT node_id, session FROM pgautofailover.node_facts();

-- The keeper's session ends with the connection. The probes are off: nothing else happens.
\c
SET client_min_messages = warning;
CALL test.wait_for($$(SELECT bool_and(session = 'lost') FROM pgautofailover.node_facts())$$);
SELECT goal FROM test.report(2, 'secondary', test.streams_from(1));
SELECT node_id, session, probe FROM pgautofailover.node_facts();
SELECT nodeid, goal FROM test.nodes;

-- With probes: the port of the primary refuses, its standby no longer streams: an election begins, and
-- the promotion waits for the rest of the lease.
ALTER SYSTEM SET pgautofailover.enable_health_checks = on;
SELECT pg_reload_conf();
CALL test.wait_for($$(SELECT probe = 'refused' FROM pgautofailover.node_facts() WHERE node_id = 1)$$);
CALL test.wait_for($$(SELECT health = 0 FROM pgautofailover.node WHERE nodeid = 1)$$);
SELECT nodeid, goal, health FROM test.nodes;
SELECT goal FROM test.report(2, 'secondary', '{"receiver": {"upstream": 1, "streaming": false, "stream_age_ms": 10}}');
SELECT nodeid, goal, health FROM test.nodes;
SELECT goal, grant_kind FROM test.report(2, 'prepare_promotion', test.sealed());
ALTER SYSTEM RESET pgautofailover.enable_health_checks;
SELECT pg_reload_conf();

-- A worker that is ended comes back.
SELECT pid AS worker FROM pg_stat_activity WHERE backend_type = 'pgautofailover worker'
AND datname = current_database() \gset
SELECT pg_terminate_backend(:worker);
CALL test.wait_for(format($$EXISTS (SELECT 1 FROM pg_stat_activity WHERE backend_type = 'pgautofailover worker'
    AND datname = current_database() AND pid <> %s)$$, :worker));

-- Without the extension there is nothing to do for it.
DROP EXTENSION pgautofailover CASCADE;
CALL test.wait_for($$NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE backend_type = 'pgautofailover worker'
    AND datname = current_database())$$);
\set ECHO none
\i :abs_srcdir/include/teardown.psql
