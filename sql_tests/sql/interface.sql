-- Goal: every function of the SQL interface: results, errors, rights, NULLs.
-- Method: call each as the role of the nodes, catch what it raises.
\getenv abs_srcdir PG_ABS_SRCDIR
\set db test_interface
\set ECHO none
\i :abs_srcdir/include/setup.psql
\set ECHO all
\set QUIET on

-- Nobody but the role of the nodes may call anything.
SELECT p.oid::regprocedure AS callable_by_public FROM pg_proc p
WHERE p.pronamespace = 'pgautofailover'::regnamespace
  AND EXISTS (SELECT 1 FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0);
SELECT p.oid::regprocedure AS not_callable_by_nodes FROM pg_proc p
WHERE p.pronamespace = 'pgautofailover'::regnamespace
  AND NOT has_function_privilege('autoctl_node', p.oid, 'EXECUTE') ORDER BY 1;
SELECT p.oid::regprocedure AS without_search_path FROM pg_proc p
WHERE p.pronamespace = 'pgautofailover'::regnamespace
  AND NOT coalesce(p.proconfig @> ARRAY['search_path=pg_catalog, pg_temp'], false);
SELECT p.oid::regprocedure AS definer FROM pg_proc p
WHERE p.pronamespace = 'pgautofailover'::regnamespace AND p.prosecdef ORDER BY 1;
SELECT c.relname, a.attname AS without_comment FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = 'pgautofailover'::regnamespace AND c.relkind = 'r' AND a.attnum > 0
  AND col_description(c.oid, a.attnum) IS NULL;
SELECT enum_range(NULL::pgautofailover.replication_state);
SET ROLE autoctl_node;
SELECT has_table_privilege('pgautofailover.node', 'SELECT') AS reads,
       has_table_privilege('pgautofailover.node', 'INSERT, UPDATE, DELETE, TRUNCATE') AS writes;
RESET ROLE;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA test TO PUBLIC;
SET ROLE autoctl_node;

-- NULL reaches nothing.
SELECT pgautofailover.report(NULL) IS NULL AS report, pgautofailover.perform_failover(NULL, 0) IS NULL AS failover,
       pgautofailover.remove_node(NULL::bigint) IS NULL AS remove,
       pgautofailover.node_active('default', NULL, 0) IS NULL AS active,
       pgautofailover.synchronous_standby_names(NULL) IS NULL AS names,
       pgautofailover.formation_uri(NULL) IS NULL AS uri;
SELECT count(*) FROM pgautofailover.get_nodes(NULL);
SELECT count(*) FROM pgautofailover.get_other_nodes(NULL);
SELECT * FROM test.fails('SELECT pgautofailover.update_node_metadata(NULL, NULL, NULL, NULL)');

-- Registration refuses what it cannot serve.
SELECT * FROM test.fails($$SELECT pgautofailover.register_node('nowhere', 'h', 1, 'postgres')$$);
SELECT * FROM test.fails($$SELECT pgautofailover.register_node('default', 'h', 0, 'postgres')$$);
SELECT * FROM test.fails($$SELECT pgautofailover.register_node('default', 'h', 1, 'postgres', desired_group_id => 1)$$);
SELECT * FROM test.fails($$SELECT pgautofailover.register_node('default', 'h', 1, 'postgres', node_kind => 'worker')$$);
SELECT * FROM test.fails($$SELECT pgautofailover.register_node('default', 'h', 1, 'postgres', node_kind => 'x')$$);
SELECT * FROM test.fails($$SELECT pgautofailover.register_node('default', 'h', 1, 'postgres', candidate_priority => 101)$$);
SELECT * FROM test.fails($$SELECT pgautofailover.register_node('default', 'h', 1, 'postgres', initial_group_role => 'secondary')$$);
SELECT assigned_node_id, assigned_node_name, assigned_group_state
FROM pgautofailover.register_node('default', '127.0.0.1', 6001, 'app', desired_node_id => 10);
SELECT dbname FROM pgautofailover.formation;
SELECT * FROM test.fails($$SELECT pgautofailover.register_node('default', '127.0.0.1', 6002, 'postgres')$$);
SELECT * FROM test.report(10, 'single');
SELECT * FROM test.fails($$SELECT pgautofailover.register_node('default', '127.0.0.1', 6001, 'app')$$);
SELECT assigned_node_id, assigned_node_name, assigned_group_state
FROM pgautofailover.register_node('default', '::1', 6002, 'app', 'b', desired_node_id => 11, candidate_priority => 50);
BEGIN;
SELECT assigned_group_state FROM pgautofailover.register_node('default', '127.0.0.1', 6003, 'app');
SELECT number_sync_standbys AS raised_with_the_second_standby FROM pgautofailover.formation;
ROLLBACK;

-- Reports are checked before anything is done.
SELECT * FROM test.fails($$SELECT pgautofailover.report('{')$$);
SELECT * FROM test.fails($$SELECT pgautofailover.report('{"version": 1}')$$);
SELECT * FROM test.fails($$SELECT test.report(99, 'single')$$);
SELECT * FROM test.fails($$SELECT test.report(10, 'single', '{"formation": "other"}')$$);
SELECT * FROM test.fails($$SELECT test.report(10, 'single', '{"group": 1}')$$);
SELECT * FROM test.fails($$SELECT test.report(10, 'nonsense')$$);
SELECT * FROM test.fails($$SELECT test.report(10, 'unknown')$$);
SELECT goal FROM test.report(10, 'single', '{"keeper_epoch": 5}');
SELECT reply->>'refusal' AS refusal, reply->>'known_epoch' AS known_epoch, reply->>'grant' AS "grant" FROM pgautofailover.report('{"version": 1, "formation": "default", "node_id": 10, "group": 0, "keeper_epoch": 4, "state": "single", "pg_running": true}') AS r(t), LATERAL (SELECT t::jsonb AS reply) AS x;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM test.fails($$SELECT test.report(10, 'single', '{"keeper_epoch": 5}')$$);
ROLLBACK;

-- A keeper without leases is served, and trusted with nothing.
SELECT * FROM pgautofailover.node_active('default', 10, 0, 'wait_primary', true, 1, '0/3000000', 'async');
SELECT * FROM test.fails($$SELECT pgautofailover.node_active('default', 10, 0, 'primary', true, 1, '0/0', 'bad')$$);
SELECT * FROM test.fails($$SELECT pgautofailover.node_active('default', 99, 0)$$);
SELECT reportedstate, goalstate, reportedrepstate FROM pgautofailover.node WHERE nodeid = 10;
SELECT lease_left_ms IS NULL AS unlimited FROM pgautofailover.node_facts() WHERE node_id = 10;

-- Reading.
SELECT * FROM pgautofailover.get_nodes();
SELECT * FROM pgautofailover.get_nodes('default', 1);
SELECT * FROM pgautofailover.get_primary();
SELECT * FROM test.fails($$SELECT pgautofailover.get_primary('default', 7)$$);
SELECT * FROM pgautofailover.get_other_nodes(10);
SELECT * FROM pgautofailover.get_other_nodes(10, 'secondary');
SELECT * FROM test.fails($$SELECT pgautofailover.get_other_nodes(99)$$);
SELECT * FROM pgautofailover.current_state();
SELECT nodename, current_group_state FROM pgautofailover.current_state('default', 0);
SELECT nodename FROM pgautofailover.current_state('default', group_id => 3);
SELECT pgautofailover.formation_uri();
SELECT pgautofailover.formation_uri('default', 'default', 'verify-full', '/ca', '/crl');
SELECT * FROM pgautofailover.formation_settings();
SELECT pgautofailover.synchronous_standby_names('default', 0);
SELECT * FROM test.fails($$SELECT pgautofailover.synchronous_standby_names('default', 5)$$);
SELECT count(*) FROM pgautofailover.last_events();
SELECT count(*) FROM pgautofailover.last_events(3);
SELECT count(*) FROM pgautofailover.last_events('default');
SELECT count(*) FROM pgautofailover.last_events('default', 2);
SELECT count(*) FROM pgautofailover.last_events('default', 0, 4);
SELECT count(*) > 10 AS has_rules, count(DISTINCT pos) = count(*) AS unique_positions FROM pgautofailover.dump_fsm();

-- Changing nodes.
SELECT pgautofailover.update_node_metadata(11, 'bee', NULL, 6005);
SELECT nodename, nodehost, nodeport FROM pgautofailover.node WHERE nodeid = 11;
SELECT * FROM test.fails($$SELECT pgautofailover.update_node_metadata(99, 'x', NULL, NULL)$$);
SELECT * FROM test.fails($$SELECT pgautofailover.update_node_metadata(11, NULL, NULL, 70000)$$);
SELECT pgautofailover.set_node_candidate_priority('default', 'bee', 0);
SELECT * FROM test.fails($$SELECT pgautofailover.set_node_candidate_priority('default', 'bee', -1)$$);
SELECT * FROM test.fails($$SELECT pgautofailover.set_node_candidate_priority('default', 'nobody', 1)$$);
SELECT pgautofailover.set_node_replication_quorum('default', 'bee', false);
SELECT * FROM test.fails($$SELECT pgautofailover.set_node_replication_quorum('default', 'nobody', false)$$);
SELECT candidatepriority, replicationquorum FROM pgautofailover.node WHERE nodeid = 11;
SET ROLE autoctl_operator;
SELECT sqlstate, message FROM test.fails($$SELECT pgautofailover.set_node_system_identifier(11, 42); SET CONSTRAINTS ALL IMMEDIATE$$);
SELECT * FROM pgautofailover.set_group_system_identifier(0, 42);
SELECT sysidentifier FROM pgautofailover.node WHERE nodeid = 11;
SELECT * FROM pgautofailover.set_node_system_identifier(11, 7000000000000000001);
SET ROLE autoctl_node;

-- Requests that the state does not allow, and what is not supported.
SELECT * FROM test.fails($$SELECT pgautofailover.perform_failover()$$);
SELECT * FROM test.fails($$SELECT pgautofailover.perform_failover('nowhere')$$);
SELECT * FROM test.fails($$SELECT pgautofailover.perform_promotion('default', 'bee')$$);
SELECT * FROM test.fails($$SELECT pgautofailover.perform_promotion('default', 'nobody')$$);
SELECT pgautofailover.perform_promotion('default', 'node_10');
SELECT sqlstate, hint FROM test.fails($$SELECT pgautofailover.start_maintenance(10)$$);
SELECT sqlstate, hint FROM test.fails($$SELECT pgautofailover.stop_maintenance(10)$$);
SELECT pgautofailover.set_formation_number_sync_standbys('default', 0);
SELECT * FROM test.fails($$SELECT pgautofailover.set_formation_number_sync_standbys('default', 1)$$);
SELECT * FROM test.fails($$SELECT pgautofailover.set_formation_number_sync_standbys('default', -1)$$);
SELECT * FROM test.fails($$SELECT pgautofailover.set_formation_number_sync_standbys('nowhere', 0)$$);

-- Maintenance.
SELECT pgautofailover.start_maintenance(99) AS unknown, pgautofailover.stop_maintenance(99) AS unknown_too,
       pgautofailover.start_maintenance(NULL) IS NULL AS nothing;
SELECT * FROM test.fails($$SELECT pgautofailover.stop_maintenance(10)$$);

-- Failover that may lose data.
RESET ROLE;
SELECT * FROM test.fails($$SELECT pgautofailover.perform_failover('default', 0, true)$$);
SET pgautofailover.guard_data_loss = off;
SELECT * FROM test.fails($$SELECT pgautofailover.perform_failover()$$);
RESET pgautofailover.guard_data_loss;
SET ROLE autoctl_node;
SELECT * FROM pgautofailover.failover_status();
SELECT * FROM pgautofailover.failover_status('nowhere');

-- Regions and versions.
SELECT pgautofailover.set_node_region('default', 'bee', 'paris');
SELECT * FROM test.fails($$SELECT pgautofailover.set_node_region('default', 'bee', '')$$);
SELECT * FROM test.fails($$SELECT pgautofailover.set_node_region('default', 'nobody', 'paris')$$);
SELECT region FROM pgautofailover.node WHERE nodeid = 11;
SELECT pgautofailover.report_postgres_version(11, 150020, '15.20', 'PostgreSQL 15.20 on x');
SELECT pgautofailover.report_postgres_version(99, 150020) IS NULL AS passed_over;
SELECT pg_versionnum, pg_version, pg_versionstring, citus_version FROM pgautofailover.node WHERE nodeid = 11;

-- Timelines.
SELECT pgautofailover.report_timeline_history(11, '[{"tli": 2, "parenttli": 1, "switchpoint": "0/3000000"}]');
SELECT pgautofailover.report_timeline_history(11, '[{"tli": 2, "parenttli": 1, "switchpoint": "0/4000000"}]');
SELECT * FROM pgautofailover.node_timeline_history;
SELECT * FROM test.fails($$SELECT pgautofailover.report_timeline_history(99, '[{"tli": 2, "parenttli": 1, "switchpoint": "0/3000000"}]')$$);
SELECT * FROM test.fails($$SELECT pgautofailover.report_timeline_history(11, '{}')$$);
SELECT * FROM test.fails($$SELECT pgautofailover.report_timeline_history(NULL, NULL)$$);
SET ROLE autoctl_operator;
SELECT * FROM test.fails($$SELECT pgautofailover.accept_timeline('default', 0, 9)$$);
SELECT pgautofailover.accept_timeline('default', 0, 2, 'ops');
SELECT accepted_tli, decided_by, resolved_at IS NULL AS counts FROM pgautofailover.accepted_timeline;
SELECT node_id, tli, reference_tli, on_accepted_lineage FROM pgautofailover.node_timeline_status('default', 0);
SELECT pgautofailover.resolve_accepted_timeline('default', 0), pgautofailover.resolve_accepted_timeline('default', 0);
SET ROLE autoctl_node;
SELECT * FROM pgautofailover.get_most_advanced_standby();

-- The rules, and what keepers can do.
SELECT count(*) = (SELECT count(*) FROM pgautofailover.dump_fsm()) AS all_rules FROM pgautofailover.fsm;
SELECT pos, section, name, active_node_assigned_state, other_node_assigned_state FROM pgautofailover.fsm WHERE name IN ('promote', 'elect');
SELECT count(*) AS missing FROM pgautofailover.check_fsm_reachability(
    (SELECT jsonb_agg(jsonb_build_object('current', current_state, 'assigned', assigned_state)) FROM pgautofailover.dump_fsm_edges()));
SELECT current_state, assigned_state, comment FROM pgautofailover.check_fsm_reachability(
    (SELECT jsonb_agg(jsonb_build_object('current', current_state, 'assigned', assigned_state)) FROM pgautofailover.dump_fsm_edges()
     WHERE (current_state, assigned_state) <> ('secondary', 'report_lsn')));

-- Formations.
SELECT * FROM pgautofailover.create_formation('f', 'pgsql', 'postgres', true, 0);
SELECT sqlstate FROM test.fails($$SELECT pgautofailover.create_formation('f', 'pgsql', 'postgres', true, 0)$$);
SELECT * FROM test.fails($$SELECT pgautofailover.create_formation('g', 'citus', 'postgres', true, 0)$$);
SELECT * FROM test.fails($$SELECT pgautofailover.create_formation('g', 'x', 'postgres', true, 0)$$);
SELECT pgautofailover.formation_uri('f') IS NULL AS no_nodes;
SELECT pgautofailover.drop_formation('f');
SELECT * FROM test.fails($$SELECT pgautofailover.drop_formation('f')$$);
SELECT sqlstate FROM test.fails($$SELECT pgautofailover.drop_formation('default')$$);
SELECT * FROM test.fails($$SELECT pgautofailover.disable_secondary('default')$$);
SELECT * FROM test.fails($$SELECT pgautofailover.disable_secondary('nowhere')$$);
SELECT pgautofailover.enable_secondary('default');

-- Removal.
SELECT * FROM test.fails($$SELECT pgautofailover.remove_node(99)$$);
SELECT * FROM test.fails($$SELECT pgautofailover.remove_node('nowhere', 1)$$);
SELECT pgautofailover.remove_node('::1', 6005);
SELECT pgautofailover.remove_node(11);
SELECT goalstate FROM pgautofailover.node WHERE nodeid = 11;
SET ROLE autoctl_operator;
SELECT pgautofailover.remove_node(11, force => true);
SELECT count(*) FROM pgautofailover.node;
SELECT pgautofailover.remove_node(10, true);
SELECT count(*) FROM pgautofailover.node;
SELECT sync_goal, sync_goal_version = sync_confirmed_version AS settled FROM pgautofailover.group_state;
RESET ROLE;
\set ECHO none
\i :abs_srcdir/include/teardown.psql
