-- Goal: PostgreSQL's settings of a formation: who may set what, what nodes are told, what a refusal takes back.
-- Method: two nodes that report as keepers would.
\getenv abs_srcdir PG_ABS_SRCDIR
\set db test_postgres_settings
\set ECHO none
\i :abs_srcdir/include/setup.psql
CREATE FUNCTION test.asks(node bigint, state text, more jsonb DEFAULT '{}',
    OUT version text, OUT settings text, OUT mark text, OUT restart_of text) LANGUAGE plpgsql AS $$
DECLARE
    r jsonb := pgautofailover.report(test.facts(node, state, more))::jsonb;
BEGIN
    version := r->>'settings_version'; settings := r->>'settings'; mark := r->>'settings_mark'; restart_of := r->>'restart_of';
END
$$;
CREATE FUNCTION test.has(version bigint) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('settings_version', version, 'server_start', 1000, 'sizes', '[100, 8, 72, 0, 64]'::jsonb)
$$;
\set ECHO all
\set QUIET on
SELECT assigned_group_state FROM pgautofailover.register_node('default', '127.0.0.1', 1, 'postgres', 'a');
SELECT goal FROM test.report(1, 'single');
SELECT assigned_group_state FROM pgautofailover.register_node('default', '127.0.0.1', 2, 'postgres', 'b');
SELECT goal FROM test.report(1, 'wait_primary');
SELECT goal FROM test.report(2, 'wait_standby', test.down());

-- A node that has nothing is told what there is, one that has it is not.
SELECT settings FROM test.asks(1, 'wait_primary');
SELECT settings FROM test.asks(1, 'wait_primary', test.has((SELECT settingsversion FROM pgautofailover.node WHERE nodeid = 1)));
SELECT settings FROM test.asks(2, 'wait_standby', test.down() || test.has((SELECT settingsversion FROM pgautofailover.node WHERE nodeid = 2)));

-- Names and values that are refused at once.
SELECT * FROM test.fails($$SELECT pgautofailover.set_postgres_setting('default', 'no_such_thing', '1')$$);
SELECT * FROM test.fails($$SELECT pgautofailover.set_postgres_setting('default', 'work_mem', 'much')$$);
SELECT * FROM test.fails($$SELECT pgautofailover.set_postgres_setting('default', 'max_connections', '-3')$$);
SELECT * FROM test.fails($$SELECT pgautofailover.set_postgres_setting('default', 'block_size', '8192')$$);
SELECT * FROM test.fails($$SELECT pgautofailover.set_postgres_setting('default', 'Synchronous_Standby_Names', '')$$);
SELECT * FROM test.fails($$SELECT pgautofailover.set_postgres_setting('default', 'primary_conninfo', '')$$);
SELECT * FROM test.fails($$SELECT pgautofailover.set_postgres_setting('default', 'wal_level', 'minimal')$$);
SELECT * FROM test.fails($$SELECT pgautofailover.set_postgres_setting('default', 'work mem', '1MB')$$);
SELECT * FROM test.fails($$SELECT pgautofailover.set_postgres_setting('default', 'archive_command', E'a\nb')$$);
SELECT * FROM test.fails($$SELECT pgautofailover.set_postgres_setting('none', 'work_mem', '1MB')$$);
SELECT * FROM test.fails($$SELECT pgautofailover.set_postgres_setting('default', 'work_mem', '1MB', 'nobody')$$);
SELECT * FROM test.fails($$SELECT pgautofailover.set_postgres_setting('default', NULL, '1MB')$$);

-- For everybody, for one, and again: nothing to do.
SELECT pgautofailover.set_postgres_setting('default', 'Work_Mem', '64MB') AS first \gset
SELECT pgautofailover.set_postgres_setting('default', 'work_mem', '64MB') AS again;
SELECT pgautofailover.set_postgres_setting('default', 'work_mem', '128MB', 'b') AS second \gset
SELECT version = :'first' AS is_current, settings FROM test.asks(1, 'wait_primary');
SELECT version = :'second' AS is_current, settings FROM test.asks(2, 'wait_standby', test.down());

-- A change is done when every node that is heard has taken it.
SELECT * FROM pgautofailover.postgres_setting_progress(:first);
SELECT settings FROM test.asks(1, 'wait_primary', test.has(:first));
SELECT * FROM pgautofailover.postgres_setting_progress(:first);
SELECT settings FROM test.asks(2, 'wait_standby', test.down() || test.has(:second));
SELECT * FROM pgautofailover.postgres_setting_progress(:first);
SELECT * FROM pgautofailover.postgres_setting_progress(:second);

-- What nodes use is kept, until they say something else; the monitor says what it knows.
SELECT mark FROM test.asks(1, 'wait_primary', test.has(:first) || jsonb_build_object('settings_mark', 77, 'settings_state',
    '[{"name": "work_mem", "in_force": "4MB", "in_file": "64MB", "overridden_by": "postgresql.auto.conf", "pending_restart": false},
      {"name": "huge_pages", "in_force": "try", "pending_restart": true}]'));
SELECT mark FROM test.asks(1, 'wait_primary', test.has(:first) || '{"settings_mark": 77}');
SELECT * FROM pgautofailover.postgres_settings('default');
SELECT node_name, is_pending, is_lowered, is_written, is_streaming, server_start FROM pgautofailover.restart_status('default');

-- One refuses: the former value counts again, for everybody, and an event says why.
SELECT pgautofailover.set_postgres_setting('default', 'archive_command', 'true') AS third \gset
SELECT settings FROM test.asks(1, 'wait_primary', test.has(:third));
SELECT settings FROM test.asks(2, 'wait_standby', test.down() || test.has(:third));
SELECT pgautofailover.set_postgres_setting('default', 'archive_command', 'false') AS fourth \gset
SELECT settings FROM test.asks(1, 'wait_primary', test.has(:fourth));
SELECT settings FROM test.asks(2, 'wait_standby', test.down() || test.has(:third) ||
    jsonb_build_object('refused_settings', :fourth, 'refused_name', 'archive_command', 'refusal', 'not here'));
SELECT * FROM pgautofailover.postgres_setting_progress(:fourth);
SELECT name, value FROM pgautofailover.postgres_setting WHERE nodeid IS NULL ORDER BY 1;
SELECT settings FROM test.asks(1, 'wait_primary', test.has(:fourth));
SELECT description FROM pgautofailover.event WHERE description LIKE '%PostgreSQL''s%' ORDER BY eventid;

-- Nobody refuses a value that was accepted before: the node keeps its own, and says so.
SELECT settingsversion AS present FROM pgautofailover.node WHERE nodeid = 2 \gset
SELECT settings FROM test.asks(1, 'wait_primary', test.has(:present));
SELECT settings FROM test.asks(2, 'wait_standby', test.down() || test.has(:present));
SELECT settings FROM test.asks(2, 'wait_standby', test.down() || test.has(:third) ||
    jsonb_build_object('refused_settings', :present, 'refused_name', 'work_mem', 'refusal', 'no longer'));
SELECT name, value, nodeid FROM pgautofailover.postgres_setting ORDER BY 1, 3 NULLS FIRST;

-- With a value that it had accepted no server came up: it is taken back all the same.
SELECT pgautofailover.set_postgres_setting('default', 'shared_buffers', '7TB') AS fifth \gset
SELECT settings FROM test.asks(1, 'wait_primary', test.has(:fifth));
SELECT settings FROM test.asks(2, 'wait_standby', test.down() || test.has(:fifth));
SELECT state FROM pgautofailover.postgres_setting_progress(:fifth);
SELECT settings FROM test.asks(2, 'wait_standby', test.down() || test.has(:third) || jsonb_build_object(
    'refused_settings', :fifth, 'refused_name', 'shared_buffers', 'refusal', 'no room', 'refused_at_start', true));
SELECT state, problem FROM pgautofailover.postgres_setting_progress(:fifth);
SELECT name, value, nodeid FROM pgautofailover.postgres_setting ORDER BY 1, 3 NULLS FIRST;

-- Reset.
SELECT pgautofailover.set_postgres_setting('default', 'archive_command', NULL) > 0 AS changed;
SELECT pgautofailover.set_postgres_setting('default', 'archive_command', NULL) > 0 AS changed;
SELECT name, value, nodeid FROM pgautofailover.postgres_setting ORDER BY 1, 3 NULLS FIRST;

-- A size comes with its neighbours: who is the primary, and what it uses.
SELECT r.peer->'sizes' AS sizes, r.peer->'primary' AS is_primary
FROM (SELECT pgautofailover.report(test.facts(2, 'wait_standby', test.down()))::jsonb->'peers'->0 AS peer) r;

-- A restart is asked for of one server, and of no other.
SELECT * FROM test.fails($$SELECT pgautofailover.restart_node('default', 'b')$$);
SELECT * FROM test.fails($$SELECT pgautofailover.restart_node('default', 'nobody')$$);
SELECT pgautofailover.restart_node('default', 'a');
SELECT restart_of FROM test.asks(1, 'wait_primary', test.has(:present));
SELECT restart_of FROM test.asks(1, 'wait_primary', test.has(:present) || '{"server_start": 2000}');
SELECT description FROM pgautofailover.event WHERE description LIKE 'Restarting%';

-- Least privilege: a node may set, nobody else.
SELECT r.rolname, has_function_privilege(r.rolname, f.oid, 'EXECUTE') AS may, f.proname
FROM pg_proc f CROSS JOIN (VALUES ('autoctl_node'), ('pg_read_all_data')) r(rolname)
WHERE f.pronamespace = 'pgautofailover'::regnamespace
  AND f.proname IN ('set_postgres_setting', 'restart_node', 'postgres_settings', 'restart_status', 'server_start', 'is_streaming', 'postgres_setting_progress')
ORDER BY 3, 1;
SELECT has_table_privilege('autoctl_node', 'pgautofailover.postgres_setting', 'INSERT') AS may_insert;

-- With the node go its settings.
SET client_min_messages = error;
SELECT pgautofailover.remove_node(2, true);
SELECT count(*) FROM pgautofailover.postgres_setting WHERE nodeid = 2;
\set ECHO none
\i :abs_srcdir/include/teardown.psql
