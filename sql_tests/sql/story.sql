-- Goal: two nodes live through their whole life. Method: reports as their keepers would send them.
\getenv abs_srcdir PG_ABS_SRCDIR
\set db test_story
\set ECHO none
\i :abs_srcdir/include/setup.psql
\set ECHO all
\set QUIET on

-- The first node is alone: no limit to its grant.
SELECT * FROM pgautofailover.register_node('default', '127.0.0.1', 6001, 'postgres', 'a');
SELECT * FROM test.report(1, 'init', test.down());
SELECT * FROM test.report(1, 'single');
SELECT * FROM test.nodes;

-- A second one joins; the first leaves room for it, then it is copied.
SELECT * FROM pgautofailover.register_node('default', '127.0.0.1', 6002, 'postgres', 'b');
SELECT * FROM test.report(2, 'wait_standby', test.down() || '{"system_identifier": "0"}');
SELECT * FROM test.report(1, 'single');
SELECT * FROM test.report(1, 'wait_primary');
SELECT * FROM test.report(2, 'wait_standby', test.down() || '{"system_identifier": "0"}');

-- It streams and catches up; both must say so.
SELECT * FROM test.report(2, 'catchingup', test.streams_from(1));
SELECT * FROM test.report(1, 'wait_primary', test.feeds(2));
SELECT * FROM test.report(2, 'catchingup', test.streams_from(1));
SELECT * FROM test.report(2, 'secondary', test.streams_from(1));
SELECT * FROM test.report(1, 'wait_primary', test.feeds(2));
SELECT * FROM pgautofailover.group_state;

-- The set counts when the primary obeys timed grants and PostgreSQL uses it.
SELECT * FROM test.report(1, 'primary', test.feeds(2) || '{"sync_version": 1, "lease_mode": true}');
SELECT sync_goal_version, sync_confirmed_version FROM pgautofailover.group_state;
SELECT * FROM test.report(1, 'primary', test.feeds(2) || '{"sync_version": 2, "lease_mode": true}');
SELECT sync_goal_version, sync_confirmed_version, sync_confirmed FROM pgautofailover.group_state;
SELECT pgautofailover.synchronous_standby_names();

-- Reports that change nothing assign no transaction id.
BEGIN;
SELECT pgautofailover.report(test.facts(1, 'primary', test.feeds(2) || '{"sync_version": 2, "lease_mode": true}'))::jsonb->>'goal' AS goal;
SELECT pgautofailover.report(test.facts(2, 'secondary', test.streams_from(1)))::jsonb->>'goal' AS goal;
SELECT pg_current_xact_id_if_assigned() IS NULL AS wrote_nothing;
COMMIT;

-- What is read is the last report, not the row.
SELECT * FROM test.report(2, 'secondary', test.streams_from(1) || '{"lsn": "0/6000000"}');
SELECT node_id, reported_lsn, health FROM pgautofailover.current_state();
SELECT reportedlsn FROM pgautofailover.node WHERE nodeid = 2;
SELECT node_id, lease_left_ms IS NULL AS unlimited, lease_left_ms > 0 AS leased, session
FROM pgautofailover.node_facts();

-- Switchover: drain, seal, promote, return.
SELECT pgautofailover.perform_failover();
SELECT * FROM test.nodes;
SELECT * FROM test.report(1, 'draining', '{"sync_version": 2, "sealed_lsn": "0/7000000", "lsn": "0/7000000"}');
SELECT * FROM test.report(2, 'secondary', test.streams_from(1));
SELECT (pgautofailover.report(test.facts(2, 'secondary', test.streams_from(1)))::jsonb)->>'target_lsn' AS target;
SELECT * FROM test.report(2, 'prepare_promotion', test.sealed() || '{"lsn": "0/6000000"}');
SELECT * FROM test.report(2, 'prepare_promotion', test.sealed() || '{"lsn": "0/7000000"}');
SELECT * FROM test.nodes;
SELECT * FROM test.report(2, 'wait_primary', '{"timeline": 2, "lsn": "0/7000100", "term": 1}');
SELECT * FROM test.report(1, 'demoted', test.down());
SELECT * FROM test.report(1, 'catchingup', test.streams_from(2) || '{"timeline": 2, "lsn": "0/7000100"}');
SELECT * FROM test.report(2, 'wait_primary', test.feeds(1, '0/7000100') || '{"timeline": 2, "lsn": "0/7000100", "sync_version": 3}');
SELECT * FROM test.report(1, 'secondary', test.streams_from(2) || '{"timeline": 2, "lsn": "0/7000100"}');
SELECT * FROM test.report(2, 'wait_primary', test.feeds(1, '0/7000100') || '{"timeline": 2, "lsn": "0/7000100", "sync_version": 3}');
SELECT * FROM test.report(2, 'primary', test.feeds(1, '0/7000100') || '{"timeline": 2, "lsn": "0/7000100", "sync_version": 4, "lease_mode": true}');
SELECT * FROM test.nodes;

-- Failover: the supervisor says that PostgreSQL is down.
SELECT * FROM test.report(2, 'primary', test.down());
SELECT * FROM test.nodes;
SELECT * FROM test.report(1, 'secondary', '{"timeline": 2, "lsn": "0/7000200"}');
SELECT * FROM test.report(1, 'prepare_promotion', test.sealed() || '{"timeline": 2, "lsn": "0/7000200"}');
SELECT * FROM test.report(2, 'primary', test.down());
SELECT * FROM test.nodes;
SELECT primary_node_id FROM pgautofailover.get_primary();
SELECT term, sync_goal, sync_goal_version FROM pgautofailover.group_state;

-- Every decision has its rule and its reason.
SELECT nodeid, reportedstate, goalstate, rule_pos, rule, description
FROM pgautofailover.last_events(100) ORDER BY eventid;

-- The dropped node leaves, the other one is alone again.
SELECT pgautofailover.remove_node(2);
SELECT * FROM test.report(1, 'wait_primary', '{"timeline": 3, "term": 2}');
SELECT * FROM test.report(2, 'dropped', test.down());
SELECT * FROM test.report(1, 'wait_primary', '{"timeline": 3, "term": 2, "sync_version": 5}');
SELECT * FROM test.report(1, 'single', '{"timeline": 3, "term": 2, "sync_version": 5}');
SELECT * FROM test.nodes;
\set ECHO none
\i :abs_srcdir/include/teardown.psql
