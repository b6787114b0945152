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

-- A registration that is rolled back, as a whole or in part, leaves nothing behind.
SELECT pgautofailover.create_formation(name, 'pgsql', 'postgres', true, 0) FROM unnest(ARRAY['c', 'd', 'e']) AS name;
BEGIN;
SELECT assigned_node_id > 2 AS new FROM pgautofailover.register_node('c', '127.0.0.1', 3, 'postgres', 'c');
SELECT count(*) FROM pgautofailover.node_facts();
ROLLBACK;
SELECT node_id FROM pgautofailover.node_facts() ORDER BY node_id;
BEGIN;
SAVEPOINT one;
SELECT assigned_node_id > 2 AS new FROM pgautofailover.register_node('c', '127.0.0.1', 3, 'postgres', 'c');
RELEASE one;
SAVEPOINT two;
SELECT assigned_node_id > 2 AS new FROM pgautofailover.register_node('d', '127.0.0.1', 4, 'postgres', 'd');
SAVEPOINT three;
SELECT assigned_node_id > 2 AS new FROM pgautofailover.register_node('e', '127.0.0.1', 5, 'postgres', 'e');
RELEASE three;
SELECT count(*) FROM pgautofailover.node_facts();
ROLLBACK TO two;
SELECT count(*) FROM pgautofailover.node_facts();
COMMIT;
SELECT count(*) FROM pgautofailover.node_facts();
SELECT array_agg(nodename ORDER BY nodename) FROM pgautofailover.node;

-- So does a removal; one that is rolled back has not been.
BEGIN;
SAVEPOINT one;
SELECT pgautofailover.remove_node(nodeid, true) FROM pgautofailover.node WHERE nodename = 'c';
ROLLBACK TO one;
COMMIT;
SELECT count(*) FROM pgautofailover.node_facts();
SELECT pgautofailover.remove_node(nodeid, true) FROM pgautofailover.node WHERE nodename = 'c';
SELECT count(*) FROM pgautofailover.node_facts();

-- With nodes it is dropped by nobody by accident, nor what it needs.
SET pgautofailover.guard_monitor = on;
CREATE SCHEMA elsewhere;
ALTER EXTENSION btree_gist SET SCHEMA elsewhere;
SELECT statement, f.sqlstate, f.message FROM unnest(ARRAY['DROP EXTENSION pgautofailover', 'DROP EXTENSION pgautofailover CASCADE',
    'DROP EXTENSION btree_gist CASCADE', 'DROP SCHEMA elsewhere CASCADE', 'DROP SCHEMA pgautofailover CASCADE', 'DROP ROLE autoctl_node', 'DROP OWNED BY autoctl_node']) AS statement,
    test.fails(statement) f;
SELECT f.detail, f.hint FROM test.fails('DROP EXTENSION pgautofailover CASCADE') f;
DROP DATABASE test_worker;
SELECT count(*) FROM pgautofailover.node;
SET pgautofailover.guard_monitor = off;

-- Without the extension there is nothing to do for it.
DROP EXTENSION pgautofailover CASCADE;
CALL test.wait_for($$NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE backend_type = 'pgautofailover worker'
    AND datname = current_database())$$);
\set ECHO none
\i :abs_srcdir/include/teardown.psql
