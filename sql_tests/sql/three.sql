-- Goal: three nodes: joining, election, the wish of the operator, maintenance, settings, accepted loss. Method: reports as
-- their keepers would send them.
\getenv abs_srcdir PG_ABS_SRCDIR
\set db test_three
\set ECHO none
\i :abs_srcdir/include/setup.psql
-- A primary that feeds several standbys.
CREATE FUNCTION test.feeds_all(VARIADIC standbys bigint[]) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('standbys', jsonb_agg(test.feeds(s)->'standbys'->0), 'lease_mode', true,
        'sync_version', (SELECT sync_goal_version FROM pgautofailover.group_state))
    FROM unnest(standbys) s
$$;
CREATE FUNCTION test.decided(since bigint) RETURNS TABLE (node bigint, goal text, rule text, reason text) LANGUAGE sql AS $$
    SELECT nodeid, goalstate::text, rule, reason FROM pgautofailover.event
    WHERE rule IS NOT NULL AND eventid > since ORDER BY eventid
$$;
CREATE FUNCTION test.last_event() RETURNS bigint LANGUAGE sql AS $$
    SELECT coalesce(max(eventid), 0) FROM pgautofailover.event
$$;
\set ECHO all
\set QUIET on

-- A group of three is built up.
SELECT assigned_node_id, assigned_group_state FROM pgautofailover.register_node('default', '127.0.0.1', 6001, 'postgres', 'a');
SELECT goal FROM test.report(1, 'single');
SELECT assigned_node_id, assigned_group_state FROM pgautofailover.register_node('default', '127.0.0.1', 6002, 'postgres', 'b');
SELECT assigned_node_id, assigned_group_state FROM pgautofailover.register_node('default', '127.0.0.1', 6003, 'postgres', 'c');
SELECT number_sync_standbys FROM pgautofailover.formation WHERE formationid = 'default';
SELECT goal FROM test.report(1, 'wait_primary', test.feeds_all(2, 3));
SELECT goal FROM test.report(2, 'wait_standby', test.down());
SELECT goal FROM test.report(3, 'wait_standby', test.down());
SELECT goal FROM test.report(2, 'catchingup', test.streams_from(1));
SELECT goal FROM test.report(3, 'catchingup', test.streams_from(1));
SELECT goal FROM test.report(2, 'secondary', test.streams_from(1));
SELECT goal FROM test.report(3, 'secondary', test.streams_from(1));
SELECT goal, sync FROM test.report(1, 'wait_primary', test.feeds_all(2, 3));
SELECT goal FROM test.report(1, 'primary', test.feeds_all(2, 3));
SELECT goal, sync FROM test.report(1, 'apply_settings', test.feeds_all(2, 3));
SELECT goal, sync FROM test.report(1, 'primary', test.feeds_all(2, 3));
SELECT sync_goal, sync_goal_version = sync_confirmed_version AS is_settled FROM pgautofailover.group_state;
SELECT * FROM pgautofailover.failover_status();

-- The primary is gone: both standbys report where they are; the one with the higher priority lacks WAL, and fetches it.
SELECT test.last_event() AS since \gset
SELECT pgautofailover.set_node_candidate_priority('default', 'c', 90), pgautofailover.set_node_candidate_priority('default', 'b', 50);
SELECT goal FROM test.report(1, 'primary', test.down());
SELECT * FROM test.nodes;
SELECT goal FROM test.report(2, 'report_lsn', test.sealed() || '{"lsn": "0/5000900"}');
SELECT goal FROM test.report(2, 'report_lsn', test.sealed() || '{"lsn": "0/5000900"}');
SELECT goal FROM test.report(3, 'report_lsn', test.sealed() || '{"lsn": "0/5000100"}');
SELECT goal, upstream FROM test.report(3, 'report_lsn', test.sealed() || '{"lsn": "0/5000100"}');
SELECT goal, upstream FROM test.report(3, 'fast_forward', test.streams_from(2) || '{"lsn": "0/5000900"}');
SELECT goal FROM test.report(3, 'fast_forward', test.sealed() || '{"lsn": "0/5000900"}');
SELECT goal FROM test.report(3, 'prepare_promotion', test.sealed() || '{"lsn": "0/5000900"}');
SELECT goal, term FROM test.report(3, 'prepare_promotion', test.sealed() || '{"lsn": "0/5000900"}');
SELECT goal FROM test.report(2, 'join_secondary', test.sealed() || '{"lsn": "0/5000900"}');
SELECT goal FROM test.report(3, 'wait_primary', '{"timeline": 2, "history": "1@0/5000900", "lsn": "0/5000A00", "term": 1}');
SELECT * FROM test.decided(:since);

-- A settled group again, with c as its primary. What follows begins there.
CREATE FUNCTION test.settle() RETURNS SETOF test.nodes LANGUAGE plpgsql AS $$
DECLARE
    two jsonb := '{"timeline": 2, "history": "1@0/5000900", "lsn": "0/5000A00", "term": 1}';
BEGIN
    FOR i IN 1..8 LOOP
        PERFORM test.report(1, goalstate::text, CASE WHEN goalstate::text IN ('demoted', 'maintenance') THEN test.down()
                            ELSE test.streams_from(3) || two END) FROM pgautofailover.node WHERE nodeid = 1;
        PERFORM test.report(2, goalstate::text, test.streams_from(3) || two) FROM pgautofailover.node WHERE nodeid = 2;
        PERFORM test.report(3, goalstate::text, test.feeds_all(1, 2) || two) FROM pgautofailover.node WHERE nodeid = 3;
    END LOOP;
    RETURN QUERY SELECT * FROM test.nodes;
END
$$;
SELECT nodename, reported, goal FROM test.settle();
SELECT sync_goal, sync_goal_version = sync_confirmed_version AS is_settled FROM pgautofailover.group_state;

-- number_sync_standbys: two would leave nothing to fail over to; none is allowed.
SELECT * FROM test.fails($$SELECT pgautofailover.set_formation_number_sync_standbys('default', 2)$$);
SELECT * FROM test.fails($$SELECT pgautofailover.set_formation_number_sync_standbys('default', -1)$$);
SELECT pgautofailover.set_formation_number_sync_standbys('default', 0);
SELECT nodename, reported, goal FROM test.settle();
SELECT pgautofailover.set_formation_number_sync_standbys('default', 1);
SELECT nodename, reported, goal FROM test.settle();

-- Maintenance of a standby: it leaves the set before it rests, and comes back into it.
SELECT test.last_event() AS since \gset
SELECT pgautofailover.start_maintenance(1);
SELECT nodename, goal FROM test.nodes;
SELECT goal FROM test.report(1, 'wait_maintenance', test.streams_from(3) || '{"timeline": 2, "history": "1@0/5000900", "lsn": "0/5000A00"}');
SELECT nodename, reported, goal FROM test.settle();
SELECT sync_goal FROM pgautofailover.group_state;
SELECT * FROM test.fails('SELECT pgautofailover.start_maintenance(1)');
SELECT pgautofailover.stop_maintenance(1);
SELECT nodename, reported, goal FROM test.settle();
SELECT sync_goal FROM pgautofailover.group_state;
SELECT * FROM test.decided(:since);

-- The primary and a standby are gone: blocked, with the reason; only the accepted loss goes on.
SELECT goal FROM test.report(3, 'primary', test.down() || '{"timeline": 2, "history": "1@0/5000900", "lsn": "0/5000F00"}');
SELECT goal FROM test.report(2, 'secondary', test.down() || '{"timeline": 2, "history": "1@0/5000900", "lsn": "0/5000F00"}');
SELECT goal FROM test.report(1, 'report_lsn', test.sealed() || '{"timeline": 2, "history": "1@0/5000900", "lsn": "0/5000A00"}');
SELECT * FROM pgautofailover.failover_status();
SELECT * FROM test.fails('SELECT pgautofailover.perform_failover()');
SELECT test.last_event() AS since \gset
SELECT pgautofailover.perform_failover('default', 0, true, false);
SELECT goal FROM test.report(1, 'report_lsn', test.sealed() || '{"timeline": 2, "history": "1@0/5000900", "lsn": "0/5000A00"}');
SELECT goal FROM test.report(1, 'prepare_promotion', test.sealed() || '{"timeline": 2, "history": "1@0/5000900", "lsn": "0/5000A00"}');
SELECT goal, term FROM test.report(1, 'prepare_promotion', test.sealed() || '{"timeline": 2, "history": "1@0/5000900", "lsn": "0/5000A00"}');
SELECT * FROM test.decided(:since);

-- What a keeper says once becomes an event, however often the report comes.
SELECT goal FROM test.report(2, 'secondary', test.down() || '{"event": "WAL of timeline 2 from 0/5000A00 to 0/5000F00 is discarded"}');
SELECT goal FROM test.report(2, 'secondary', test.down() || '{"event": "WAL of timeline 2 from 0/5000A00 to 0/5000F00 is discarded"}');
SELECT nodeid, description FROM pgautofailover.event WHERE description LIKE '%is discarded%';
\set ECHO none
\i :abs_srcdir/include/teardown.psql
