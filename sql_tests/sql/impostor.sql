-- Goal: what somebody who answered in the monitor's place has ordered is ended by the right monitor: never do two nodes keep a
-- grant. Method: both nodes of a pair report that they write.
\getenv abs_srcdir PG_ABS_SRCDIR
\set db test_impostor
\set ECHO none
\i :abs_srcdir/include/setup.psql
\set ECHO all
\set QUIET on
SELECT assigned_group_state FROM pgautofailover.register_node('default', '127.0.0.1', 1, 'postgres', 'a');
SELECT goal FROM test.report(1, 'single');
SELECT assigned_group_state FROM pgautofailover.register_node('default', '127.0.0.1', 2, 'postgres', 'b');
SELECT goal FROM test.report(1, 'wait_primary');
SELECT goal FROM test.report(2, 'wait_standby', test.down());
SELECT goal FROM test.report(1, 'wait_primary', test.feeds(2));
SELECT goal FROM test.report(2, 'catchingup', test.streams_from(1));
SELECT goal FROM test.report(2, 'secondary', test.streams_from(1));
SELECT goal FROM test.report(1, 'wait_primary', test.feeds(2));
SELECT goal FROM test.report(1, 'primary', test.feeds(2) || '{"sync_version": 2, "lease_mode": true}');

-- The standby was promoted: on the timeline of its primary as yet, and on its own.
BEGIN;
SELECT goal, grant_kind FROM test.report(2, 'wait_primary');
SELECT nodeid, goal FROM test.nodes;
ROLLBACK;
SELECT goal, grant_kind FROM test.report(2, 'wait_primary', '{"timeline": 2}');
SELECT nodeid, goal FROM test.nodes;
-- The primary, too, was told that it is alone: it is, by now, and the other one has to stop.
SELECT goal, grant_kind FROM test.report(1, 'wait_primary');
SELECT goal, grant_kind FROM test.report(2, 'wait_primary', '{"timeline": 2}');
SELECT goal, grant_kind FROM test.report(2, 'demoted', test.down() || '{"timeline": 2}');
\set ECHO none
\i :abs_srcdir/include/teardown.psql
