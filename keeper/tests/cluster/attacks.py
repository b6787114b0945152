"""What an attacker tries, one statement a line; all of them must be refused."""
# Whatever role one has on the monitor.
EVERYWHERE = """
ALTER ROLE CURRENT_USER PASSWORD 'mine'
ALTER USER SESSION_USER PASSWORD NULL
ALTER ROLE CURRENT_USER SET statement_timeout = 1
ALTER ROLE CURRENT_USER SET default_transaction_read_only = on
ALTER ROLE autoctl_node IN DATABASE pg_auto_failover SET search_path = evil
ALTER ROLE autoctl_node RESET ALL
DROP OWNED BY CURRENT_USER
DROP OWNED BY autoctl_node, autoctl_reader CASCADE
REASSIGN OWNED BY CURRENT_USER TO autoctl_node
GRANT autoctl_node TO autoctl_reader
GRANT autoctl_operator TO autoctl_node WITH ADMIN OPTION
REVOKE autoctl_node FROM postgres
ALTER GROUP autoctl_operator ADD USER autoctl_node
DO $$BEGIN EXECUTE 'ALTER ROLE ' || current_user || ' PASSWORD NULL'; END$$
ALTER ROLE ALL SET statement_timeout = 1
ALTER DATABASE pg_auto_failover SET search_path = evil
ALTER SYSTEM SET pgautofailover.guard_data_loss = off
SET pgautofailover.guard_data_loss = off
SET pgautofailover.max_nodes = 5000
SET temp_file_limit = -1
SET session_preload_libraries = 'x'
SET SESSION AUTHORIZATION postgres
SET ROLE autoctl
CREATE ROLE evil
CREATE DATABASE evil
CREATE SCHEMA evil
CREATE EXTENSION dblink
CREATE TABLE public.evil ()
CREATE TABLE pgautofailover.evil ()
CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT NULL::timestamptz'
CREATE FUNCTION pgautofailover.evil() RETURNS int LANGUAGE sql AS 'SELECT 1'
CREATE FUNCTION pg_temp.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT NULL::timestamptz'
CREATE OPERATOR public.= (leftarg = name, rightarg = name, function = namene)
CREATE CAST (bigint AS bool) WITHOUT FUNCTION
CREATE EVENT TRIGGER evil ON ddl_command_start EXECUTE FUNCTION pg_catalog.suppress_redundant_updates_trigger()
CREATE PUBLICATION evil
CREATE SUBSCRIPTION evil CONNECTION 'host=127.0.0.1' PUBLICATION p
CREATE FOREIGN DATA WRAPPER evil
CREATE TEMP TABLE evil ()
CREATE TEMP VIEW node_secret AS SELECT 1
SELECT 1 INTO TEMP evil
COPY (SELECT 1) TO PROGRAM 'id'
COPY (SELECT 1) TO '/tmp/evil'
COPY pgautofailover.node FROM '/dev/null'
SELECT lo_create(0)
SELECT lo_from_bytea(0, 'x')
SELECT lo_import('/etc/passwd')
SELECT pg_read_file('postgresql.conf')
SELECT pg_ls_dir('.')
SELECT pg_stat_file('pg_hba.conf')
SELECT * FROM pg_hba_file_rules
SELECT * FROM pg_file_settings
SELECT rolpassword FROM pg_authid
SELECT passwd FROM pg_shadow
SELECT hash FROM pgautofailover.node_secret
TABLE pgautofailover.node_secret
SHOW pgautofailover.node_secret
LOCK TABLE pgautofailover.node IN EXCLUSIVE MODE
LOCK TABLE pgautofailover.event IN ROW EXCLUSIVE MODE
SELECT 1 FROM pgautofailover.node FOR UPDATE
SELECT 1 FROM pgautofailover.group_state FOR KEY SHARE
UPDATE pgautofailover.node SET candidatepriority = 0
DELETE FROM pgautofailover.event
INSERT INTO pgautofailover.node_secret VALUES (1, 'x')
TRUNCATE pgautofailover.event
SELECT nextval('pgautofailover.node_nodeid_seq')
SELECT pg_advisory_lock(1)
SELECT pg_try_advisory_xact_lock(7, 7)
SELECT pg_advisory_lock_shared(1)
SELECT txid_current()
SELECT pg_current_xact_id()
SELECT pg_logical_emit_message(false, 'x', 'y')
SELECT pg_notify('state', '{}')
SELECT pg_export_snapshot()
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type LIKE 'pgautofailover%'
SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres' AND pid <> pg_backend_pid()
SELECT pg_reload_conf()
SELECT pg_rotate_logfile()
SELECT pg_switch_wal()
SELECT pg_create_restore_point('x')
SELECT pg_create_physical_replication_slot('x')
SELECT pg_stat_reset()
SELECT pg_log_backend_memory_contexts(pg_backend_pid())
SELECT pgautofailover.testing_time_passes('1 s')
SELECT pgautofailover.check_node(1)
DROP EXTENSION pgautofailover
ALTER EXTENSION pgautofailover UPDATE
DROP TABLE pgautofailover.node
COMMENT ON TABLE pgautofailover.node IS ''
CHECKPOINT
LOAD 'pgautofailover'
"""
READER = """
SELECT pgautofailover.perform_failover()
SELECT pgautofailover.register_node('default', '127.0.0.1', 1, 'postgres')
SELECT pgautofailover.report('{}')
SELECT pgautofailover.set_node_candidate_priority('default', 'a', 0)
SELECT pgautofailover.create_formation('x', 'pgsql', 'postgres', true, 0)
SELECT pgautofailover.reset_node_secret(1)
SELECT pgautofailover.copy_node(2)
SELECT pgautofailover.report_postgres_version(1, 1)
"""
OPERATOR = """
SELECT pgautofailover.report('{}')
SELECT pgautofailover.node_active('default', 1, 0, 'single')
SELECT pgautofailover.register_node('default', E'x\\nhost all all all trust', 1, 'postgres')
SELECT pgautofailover.create_formation(E'a\\nb', 'pgsql', 'postgres', true, 0)
SELECT pgautofailover.set_postgres_setting('default', E'a\\nb', 'x')
SELECT pgautofailover.set_postgres_setting('default', 'primary_conninfo', 'host=evil')
"""
NODE = """
SELECT pgautofailover.set_postgres_setting('default', 'archive_command', 'id; rm -rf /')
SELECT pgautofailover.set_postgres_setting('default', 'Archive_Command', 'id')
SELECT pgautofailover.set_postgres_setting('default', 'archive_mode', 'on', 'a')
SELECT pgautofailover.set_postgres_setting('default', 'archive_command', NULL)
SELECT pgautofailover.set_postgres_setting('default', 'shared_preload_libraries', 'evil')
SELECT pgautofailover.set_postgres_setting('default', 'session_preload_libraries', '/tmp/evil')
SELECT pgautofailover.set_postgres_setting('default', 'ssl_passphrase_command', 'id')
SELECT pgautofailover.set_postgres_setting('default', 'plperl.on_init', 'system(1)')
SELECT pgautofailover.set_postgres_setting('default', 'synchronous_commit', 'off')
SELECT pgautofailover.set_postgres_setting('default', 'fsync', 'off')
SELECT pgautofailover.set_postgres_setting('default', 'log_directory', '/tmp')
SELECT pgautofailover.set_postgres_setting('default', 'search_path', 'evil')
SELECT pgautofailover.report('{REPORT_OF_A}')
SELECT pgautofailover.update_node_metadata(1, NULL, '127.0.0.9', NULL)
SELECT pgautofailover.update_node_metadata(1, 'evil', NULL, NULL)
SELECT pgautofailover.report_timeline_history(1, '[{"tli": 900, "parenttli": 1, "switchpoint": "0/1"}]')
SELECT pgautofailover.report_postgres_version(1, 1)
SELECT pgautofailover.node_active('default', 1, 0, 'wait_primary')
SELECT pgautofailover.remove_node(1, true)
SELECT pgautofailover.perform_failover('default', 0, true)
SELECT pgautofailover.perform_failover('default', 0, false, true)
SELECT pgautofailover.accept_timeline('default', 0, 900, NULL)
SELECT pgautofailover.reset_node_secret(1)
SELECT pgautofailover.set_node_system_identifier(1, 1)
SELECT pgautofailover.register_node('default', E'localhost trust\\nhost all all 0.0.0.0/0 trust #', 6001, 'postgres')
SELECT pgautofailover.register_node('default', 'all', 6001, 'postgres')
SELECT pgautofailover.register_node('default', '127.0.0.1/0', 6001, 'postgres')
SELECT pgautofailover.register_node('default', '127.1', 6001, 'postgres')
SELECT pgautofailover.register_node('default', '2130706433', 6001, 'postgres')
SELECT pgautofailover.register_node('default', '0x7f.1', 6001, 'postgres')
SELECT pgautofailover.register_node('default', '::1%lo', 6001, 'postgres')
SELECT pgautofailover.register_node('default', 'h', 70000, 'postgres')
SELECT pgautofailover.register_node('default', '127.0.0.1', 6001, 'postgres', E'n\\x1b[2J')
SELECT pgautofailover.register_node('default', '127.0.0.1', 6001, 'postgres', 'a')
SELECT pgautofailover.register_node('default', '127.0.0.1', 6001, 'postgres', 'x', 1)
SELECT pgautofailover.register_node('default', '127.0.0.1', 6001, 'postgres', 'x', 0, 1)
SELECT pgautofailover.register_node('default', '127.0.0.1', 6001, 'postgres', 'x', initial_group_role => 'primary')
"""
USER = """
ALTER SYSTEM SET synchronous_standby_names = ''
SET pgautofailover_keeper.directory = ''
SET synchronous_standby_names = ''
SHOW primary_conninfo
SHOW pgautofailover_keeper.directory
ALTER ROLE pgautofailover_replicator PASSWORD 'mine'
DROP OWNED BY pgautofailover_replicator
GRANT pgautofailover_replicator TO mallory
SET ROLE pgautofailover_replicator
ALTER DATABASE postgres SET search_path = evil
ALTER ROLE postgres SET search_path = evil
ALTER ROLE ALL SET search_path = evil
CREATE EXTENSION dblink
CREATE EXTENSION postgres_fdw
CREATE EVENT TRIGGER evil ON ddl_command_start EXECUTE FUNCTION pg_catalog.suppress_redundant_updates_trigger()
CREATE CAST (bigint AS bool) WITHOUT FUNCTION
CREATE OPERATOR pg_catalog.= (leftarg = name, rightarg = name, function = namene)
CREATE FUNCTION pg_catalog.pg_is_in_recovery() RETURNS bool LANGUAGE sql AS 'SELECT false'
CREATE SUBSCRIPTION evil CONNECTION 'host=127.0.0.1' PUBLICATION p
COPY (SELECT 1) TO PROGRAM 'id'
COPY (SELECT 1) TO '/tmp/evil'
SELECT pg_read_file('postgresql-auto-failover-standby.conf')
SELECT pg_read_binary_file('server.key')
SELECT pg_ls_dir('.')
SELECT lo_import('/etc/passwd')
SELECT * FROM pg_file_settings
SELECT * FROM pg_hba_file_rules
SELECT rolpassword FROM pg_authid
SELECT subconninfo FROM pg_subscription
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type LIKE '%keeper%'
SELECT pg_terminate_backend(pid) FROM pg_stat_replication
SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
SELECT pg_create_physical_replication_slot('evil', true)
SELECT pg_replication_slot_advance('pgautofailover_standby_2', '0/1')
SELECT pg_promote()
SELECT pg_switch_wal()
SELECT pg_reload_conf()
SELECT pg_backup_start('x')
SELECT pg_stat_reset_shared('wal')
SELECT dblink_connect('host={SOCKETS} port={PORT} user=postgres dbname=postgres')
SELECT dblink_connect('host=127.0.0.1 port={PORT} user=pgautofailover_monitor dbname=postgres')
SELECT dblink_exec('host={SOCKETS} port={PORT} user=postgres dbname=postgres', 'ALTER ROLE mallory SUPERUSER')
"""
