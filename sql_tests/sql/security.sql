-- Goal: names are data, and every role may do what it is for and nothing else. Method: nasty values for every name;
-- each function as each role; sessions with the secret of a node, another one, and none; random calls of everything.
\getenv abs_srcdir PG_ABS_SRCDIR
\set db test_security
\set ECHO none
\i :abs_srcdir/include/setup.psql
\set ECHO all
\set QUIET on
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA test TO PUBLIC;

-- A host name that is lines of every node's pg_hba.conf, and other ones that mean more than a machine.
CREATE TABLE test.nasty (host text);
INSERT INTO test.nasty VALUES (E'localhost scram-sha-256\nhost all all 0.0.0.0/0 trust #'), ('all'), ('samenet'), ('SameHost'),
    ('0.0.0.0/0'), ('a b'), (E'a\tb'), ('a#b'), ('a"b'), (''''), ('a,b'), ('.example.com'), ('-x'), ('1234'), ('10.0.0.256'), (''),
    ('a?sslmode=disable'), (repeat('a', 256)), (E'\x1b[2J');
GRANT SELECT ON test.nasty TO PUBLIC;
SET ROLE autoctl_node;
SELECT f.sqlstate, count(*) FROM test.nasty n,
    test.fails(format($$SELECT pgautofailover.register_node('default', %L, 6001, 'postgres')$$, n.host)) f GROUP BY 1;
SELECT assigned_node_id, assigned_group_state FROM pgautofailover.register_node('default', '127.0.0.1', 6001, 'my "d?b', 'a', desired_node_id => 1);
SELECT f.sqlstate, count(*) FROM test.nasty n,
    test.fails(format('SELECT pgautofailover.update_node_metadata(1, NULL, %L, NULL)', n.host)) f GROUP BY 1;
SELECT f.message, f.detail FROM test.fails($$SELECT pgautofailover.update_node_metadata(1, NULL, E'a\nb', NULL)$$) f;
SELECT f.sqlstate, f.message FROM test.fails($$SELECT pgautofailover.register_node('default', 'h', 1, 'my "d?b', E'evil\x1b]0;title\x07\nFATAL: fake')$$) f;
SELECT f.sqlstate, f.message FROM test.fails($$SELECT pgautofailover.update_node_metadata(1, E'a\nb', NULL, NULL)$$) f;
SELECT f.sqlstate, f.message FROM test.fails($$SELECT pgautofailover.set_node_region('default', 'a', E'a\nb')$$) f;
SELECT f.sqlstate, f.message FROM test.fails($$SELECT pgautofailover.create_formation(E'a\nb', 'pgsql', 'postgres', true, 0)$$) f;
SELECT f.sqlstate, f.message FROM test.fails($$SELECT pgautofailover.create_formation('x', 'pgsql', E'a\nb', true, 0)$$) f;
SELECT pgautofailover.formation_uri('default', 'default', 'require&sslmode=disable', '/etc/my ca', '');
RESET ROLE;
SELECT f.sqlstate, f.message FROM test.fails($$UPDATE pgautofailover.node SET nodehost = 'all'$$) f;
SELECT f.sqlstate, f.message FROM test.fails($$UPDATE pgautofailover.node SET nodename = E'a\nb'$$) f;

-- The first secret that a node shows is its own; from then on nobody else speaks for it.
SET ROLE autoctl_node;
SELECT goal FROM test.report(1, 'single');
SET pgautofailover.node_secret = 'short';
SELECT f.sqlstate, f.message FROM test.fails($$SELECT test.report(1, 'single')$$) f;
SET pgautofailover.node_secret = '0123456789abcdef0123456789abcdef0123456789abcdef';
SELECT f.sqlstate, f.message FROM test.fails('SHOW pgautofailover.node_secret') f;
SELECT goal FROM test.report(1, 'single');
SET pgautofailover.node_secret = '';
SELECT * FROM test.fails($$SELECT test.report(1, 'single')$$);
SELECT f.sqlstate FROM test.fails('SELECT pgautofailover.update_node_metadata(1, NULL, NULL, 6002)') f;
SELECT f.sqlstate FROM test.fails($$SELECT pgautofailover.node_active('default', 1, 0, 'single')$$) f;
SELECT f.sqlstate FROM test.fails('SELECT pgautofailover.report_postgres_version(1, 150020)') f;
SELECT f.sqlstate FROM test.fails($$SELECT pgautofailover.report_timeline_history(1, '[]')$$) f;
SELECT f.sqlstate FROM test.fails('SELECT count(*) FROM pgautofailover.node_secret') f;
-- Who has the present one may change it.
SET pgautofailover.node_secret = 'feedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeed:fedcba9876543210fedcba9876543210fedcba9876543210';
SELECT f.sqlstate FROM test.fails($$SELECT test.report(1, 'single')$$) f;
SET pgautofailover.node_secret = 'feedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeed:0123456789abcdef0123456789abcdef0123456789abcdef';
SELECT goal FROM test.report(1, 'single');
SET pgautofailover.node_secret = '0123456789abcdef0123456789abcdef0123456789abcdef';
SELECT f.sqlstate FROM test.fails($$SELECT test.report(1, 'single')$$) f;
-- A node registers with its secret, and cannot speak for another one.
SET pgautofailover.node_secret = 'fedcba9876543210fedcba9876543210fedcba9876543210';
SELECT assigned_node_id FROM pgautofailover.register_node('default', '127.0.0.1', 6003, 'my "d?b', 'b', desired_node_id => 2);
SELECT f.sqlstate, f.message FROM test.fails($$SELECT test.report(1, 'single')$$) f;
SELECT f.sqlstate, f.message FROM test.fails('SELECT pgautofailover.remove_node(1, true)') f;
-- It may ask for changes of its own group, not of another one, and never for the loss of data.
SELECT pgautofailover.set_node_candidate_priority('default', 'b', 40);
RESET ROLE;
INSERT INTO pgautofailover.formation (formationid) VALUES ('other');
INSERT INTO pgautofailover.node (formationid, nodeid, groupid, nodename, nodehost, nodeport, sysidentifier, goalstate, reportedstate)
VALUES ('other', 7, 0, 'o', '127.0.0.1', 6007, 7, 'single', 'single');
SET ROLE autoctl_node;
SELECT * FROM test.fails($$SELECT pgautofailover.set_node_candidate_priority('other', 'o', 40)$$);
SELECT call, f.sqlstate FROM unnest(ARRAY[
    $$perform_failover('other', 0)$$, $$perform_promotion('other', 'o')$$, 'start_maintenance(7)', 'stop_maintenance(7)', 'remove_node(7)',
    $$set_node_replication_quorum('other', 'o', false)$$, $$set_node_region('other', 'o', 'x')$$, $$drop_formation('other')$$,
    $$create_formation('third', 'pgsql', 'postgres', true, 0)$$, $$disable_secondary('other')$$, $$enable_secondary('other')$$,
    $$set_formation_number_sync_standbys('other', 0)$$, $$set_postgres_setting('other', 'work_mem', '8MB')$$, $$restart_node('other', 'o')$$,
    $$perform_failover('default', 0, true)$$, $$perform_failover('default', 0, false, true)$$, $$accept_timeline('default', 0, 1)$$,
    $$reset_node_secret(1)$$]) call, test.fails('SELECT pgautofailover.' || call) f;
SET pgautofailover.node_secret = '';
SELECT f.sqlstate, f.message FROM test.fails('SET pgautofailover.guard_data_loss = off') f;
-- Without a secret the role of the nodes may ask for what loses nothing, unless that is switched off.
SELECT pgautofailover.set_node_candidate_priority('other', 'o', 40);
RESET ROLE;
ALTER SYSTEM SET pgautofailover.node_role_may_order = off;
SELECT pg_reload_conf();
\c
SET client_min_messages = warning;
SET ROLE autoctl_node;
SELECT f.sqlstate FROM test.fails($$SELECT pgautofailover.set_node_candidate_priority('other', 'o', 40)$$) f;
RESET ROLE;
ALTER SYSTEM RESET pgautofailover.node_role_may_order;
SELECT pg_reload_conf();
\c
SET client_min_messages = warning;

-- Operators.
SET ROLE autoctl_operator;
SELECT pgautofailover.reset_node_secret(1), pgautofailover.reset_node_secret(1);
SELECT f.sqlstate FROM test.fails($$SELECT pgautofailover.perform_failover('default', 0, true)$$) f;
SELECT f.sqlstate FROM test.fails($$SELECT test.report(1, 'single')$$) f;
SELECT pgautofailover.set_node_candidate_priority('other', 'o', 50);
SELECT f.sqlstate FROM test.fails('DELETE FROM pgautofailover.node') f;
RESET ROLE;
SET ROLE autoctl_node;
SET pgautofailover.node_secret = 'aaaabbbbccccddddaaaabbbbccccddddaaaabbbbccccdddd';
SELECT goal FROM test.report(1, 'single', '{"keeper_epoch": 2}');
RESET ROLE;
SET pgautofailover.node_secret = '';

-- Readers read.
SELECT p.oid::regprocedure AS for_readers FROM pg_proc p WHERE p.pronamespace = 'pgautofailover'::regnamespace
  AND has_function_privilege('autoctl_reader', p.oid, 'EXECUTE') AND p.provolatile = 'v' ORDER BY 1;
SELECT p.oid::regprocedure AS not_for_operators FROM pg_proc p WHERE p.pronamespace = 'pgautofailover'::regnamespace
  AND NOT has_function_privilege('autoctl_operator', p.oid, 'EXECUTE') ORDER BY 1;
SET ROLE autoctl_reader;
SELECT count(*) FROM pgautofailover.current_state();
SELECT count(*) > 0 AS has_events FROM pgautofailover.event;
SELECT f.sqlstate FROM test.fails('SELECT count(*) FROM pgautofailover.node_secret') f;
SELECT f.sqlstate FROM test.fails('SELECT pgautofailover.perform_failover()') f;
RESET ROLE;

-- Nobody fills the disk of the monitor, or holds the lock of a group.
SELECT r AS role, f.sqlstate, f.message FROM unnest(ARRAY['autoctl_node', 'autoctl_operator', 'autoctl_reader']) r,
    unnest(ARRAY['CREATE TEMP TABLE t ()', 'SELECT lo_create(0)', 'SELECT pg_advisory_lock(1)', 'SELECT pg_advisory_xact_lock(7, 7)']) s, LATERAL (SELECT set_config('role', r, true)) role, test.fails(s) f ORDER BY 1, 3;
SELECT f.sqlstate, left(f.message, 60) AS message FROM test.fails($$SELECT pgautofailover.report(repeat('[', 70000))$$) f;
SELECT f.sqlstate, left(f.message, 60) AS message FROM test.fails($$SELECT pgautofailover.report(repeat('[', 1000) || repeat(']', 1000))$$) f;
SELECT f.sqlstate, f.message FROM test.fails($$SELECT test.report(1, 'single', '{"timeline": -1}')$$) f;
SELECT f.sqlstate, f.message FROM test.fails($$SELECT test.report(1, 'single', '{"term": -9223372036854775808}')$$) f;
SELECT f.sqlstate, f.message FROM test.fails($$SELECT pgautofailover.report_timeline_history(7, (SELECT jsonb_agg(1) FROM generate_series(1, 1001)))$$) f;
SELECT count(*) FROM generate_series(1, 200) i, test.report(7, 'single', jsonb_build_object('formation', 'other', 'event', 'event ' || i));
SELECT count(*) < 150 AS limited FROM pgautofailover.event WHERE description LIKE '%: event %';
-- Numbers that the group cannot have reached: what one report says must not make others look old, or use numbers up.
SELECT more, f.sqlstate, f.message, f.detail FROM unnest(ARRAY['{"term": 5000000}', '{"sync_version": 5000000}', '{"known_sync_version": 5000000}',
    '{"recorded_sync_version": 5000000}', '{"timeline": 5000}', '{"keeper_epoch": 5000000}', '{"sequence": 5000000}']::jsonb[]) more,
    test.fails(format('SELECT test.report(7, %L, %L)', 'single', more || '{"formation": "other"}')) f;
SELECT highest_timeline, term FROM pgautofailover.group_state WHERE formationid = 'other';
SELECT f.sqlstate, f.message FROM generate_series(1, 6) i, test.fails(format($$SELECT pgautofailover.report_timeline_history(7, (SELECT jsonb_agg(
    jsonb_build_object('tli', t + %s, 'parenttli', t, 'switchpoint', '0/1')) FROM generate_series(1, 1000) t))$$, i * 1000)) f;
SELECT count(*) FROM pgautofailover.node_timeline_history WHERE nodeid = 7;
-- Changes that lose nothing are free, and still they do not fill the disk.
SELECT count(pgautofailover.set_node_candidate_priority('other', 'o', i % 50)) FROM generate_series(1, 1500) i;
SELECT count(*) BETWEEN 1200 AND 1400 AS limited FROM pgautofailover.event WHERE nodeid = 7;
BEGIN;
INSERT INTO pgautofailover.formation (formationid) SELECT 'f' || i FROM generate_series(1, 2100) i;
SELECT * FROM test.fails($$SELECT pgautofailover.create_formation('one more', 'pgsql', 'postgres', true, 0)$$);
ROLLBACK;
SELECT f.sqlstate FROM unnest(ARRAY[$$SELECT pgautofailover.report(E'\xff')$$, $$SELECT pgautofailover.register_node('default', E'\xc3\x28', 1, 'd')$$,
    $$SELECT pgautofailover.report(convert_from('\x7b22ff'::bytea, 'UTF8'))$$]) call, test.fails(call) f;

-- Random calls of every function: errors, and no server that goes away.
CREATE FUNCTION test.random_value(type regtype) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT (CASE type
        WHEN 'text'::regtype THEN ARRAY['NULL', $q$''$q$, $q$'default'$q$, $q$'a'$q$, $q$repeat('x', 100000)$q$, $q$E'\x1b\n'$q$, $q$repeat('[', 50000)$q$,
                                        $q$test.facts(1, 'single')$q$, $q$test.facts(1, 'primary', '{"lsn": "FFFFFFFF/FFFFFFFF", "timeline": 2147483647}')$q$]
        WHEN 'name'::regtype THEN ARRAY['NULL', $q$''::name$q$, $q$'postgres'::name$q$, $q$E'\n'::name$q$]
        WHEN 'int'::regtype THEN ARRAY['NULL', '0', '1', '-1', '2147483647', '-2147483648']
        WHEN 'bigint'::regtype THEN ARRAY['NULL', '0::bigint', '1::bigint', '2::bigint', '-1::bigint', '9223372036854775807', '(-9223372036854775808)::bigint']
        WHEN 'bool'::regtype THEN ARRAY['NULL', 'true', 'false']
        WHEN 'jsonb'::regtype THEN ARRAY['NULL', $q$'[]'::jsonb$q$, $q$'[{"tli": 2147483647}]'::jsonb$q$, $q$'[1, null, {}]'::jsonb$q$, $q$'{"a": 1}'::jsonb$q$]
        WHEN 'pg_lsn'::regtype THEN ARRAY['NULL', $q$'0/0'::pg_lsn$q$, $q$'FFFFFFFF/FFFFFFFF'::pg_lsn$q$]
        WHEN 'pgautofailover.replication_state'::regtype THEN ARRAY['NULL', $q$'unknown'::pgautofailover.replication_state$q$, $q$'primary'::pgautofailover.replication_state$q$, $q$'dropped'::pgautofailover.replication_state$q$]
        ELSE ARRAY['NULL'] END)[1 + floor(random() * CASE type WHEN 'text'::regtype THEN 9 WHEN 'name'::regtype THEN 4 WHEN 'int'::regtype THEN 6
            WHEN 'bigint'::regtype THEN 7 WHEN 'bool'::regtype THEN 3 WHEN 'jsonb'::regtype THEN 5 WHEN 'pg_lsn'::regtype THEN 3
            WHEN 'pgautofailover.replication_state'::regtype THEN 4 ELSE 1 END)::int]
$$;
CREATE PROCEDURE test.fuzz(who text, rounds int) LANGUAGE plpgsql AS $$
DECLARE
    f record; call text; state text; bad text[] := '{}'; good int := 0;
BEGIN
    PERFORM setseed(0.5);
    FOR f IN SELECT p.oid, p.proname, p.proargtypes::regtype[] AS types FROM pg_proc p, generate_series(1, rounds)
             WHERE p.pronamespace = 'pgautofailover'::regnamespace AND p.prorettype <> 'trigger'::regtype AND p.proname !~ '^testing_' LOOP
        SELECT format('SELECT * FROM pgautofailover.%I(%s)', f.proname, string_agg(v, ', ' ORDER BY n)) INTO call
        FROM (SELECT test.random_value(t.type) AS v, n FROM unnest(f.types) WITH ORDINALITY t (type, n)) a;
        BEGIN
            PERFORM set_config('role', who, true);
            EXECUTE coalesce(call, format('SELECT * FROM pgautofailover.%I()', f.proname));
            good := good + 1;
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE;
            IF state LIKE 'XX%' THEN bad := bad || (call || ': ' || SQLERRM); END IF;
        END;
        PERFORM set_config('role', 'none', true);
    END LOOP;
    RAISE WARNING '%: some calls were answered: %; internal errors: %', who, good > 0, bad;
END
$$;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA test TO PUBLIC;
CREATE ROLE test_nobody;
-- No type of an argument has been forgotten.
SELECT type AS without_values FROM (SELECT t::regtype AS type, test.random_value(t::regtype) AS value
    FROM pg_proc p, unnest(p.proargtypes) t, generate_series(1, 50)
    WHERE p.pronamespace = 'pgautofailover'::regnamespace AND p.prorettype <> 'trigger'::regtype AND p.proname !~ '^testing_') v
GROUP BY type HAVING count(DISTINCT value) < 2;
CREATE FUNCTION test.memory_mb() RETURNS int LANGUAGE sql AS $$
    SELECT (regexp_match(pg_read_file('/proc/self/status'), 'RssAnon:\s+(\d+)'))[1]::int / 1024
$$;
BEGIN;
CALL test.fuzz('autoctl_node', 30);
ROLLBACK;
SELECT test.memory_mb() AS before \gset
BEGIN;
CALL test.fuzz('autoctl_node', 30);
CALL test.fuzz('autoctl_operator', 20);
CALL test.fuzz('autoctl_reader', 10);
CALL test.fuzz('test_nobody', 3);
ROLLBACK;
DROP ROLE test_nobody;
SELECT test.memory_mb() - :before < 20 AS memory_is_bounded;
SELECT count(*) > 0 AS still_here FROM pgautofailover.formation;
\set ECHO none
\i :abs_srcdir/include/teardown.psql
