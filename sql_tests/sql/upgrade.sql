-- Goal: a monitor of version 3.0 is updated to the present one, and keeps what it knows. Method: groups and events
-- as 3.0 stored them.
SET client_min_messages = warning;
CREATE DATABASE test_upgrade;
\c test_upgrade
SET client_min_messages = warning;
CREATE EXTENSION pgautofailover VERSION '3.0' CASCADE;
SELECT extversion FROM pg_extension WHERE extname = 'pgautofailover';
INSERT INTO pgautofailover.formation (formationid) VALUES ('f');
INSERT INTO pgautofailover.node (formationid, nodeid, groupid, nodename, nodehost, nodeport, sysidentifier, goalstate, reportedstate)
VALUES ('f', 1, 0, 'a', '127.0.0.1', 6001, 7, 'primary', 'primary'), ('f', 2, 0, 'b', '127.0.0.1', 6002, 7, 'secondary', 'secondary');
SELECT setval('pgautofailover.node_nodeid_seq', 2);
INSERT INTO pgautofailover.group_state (formationid, groupid, term, sync_goal_k, sync_goal, sync_goal_version, sync_confirmed_k, sync_confirmed, sync_confirmed_version)
VALUES ('f', 0, 3, 1, '{2}', 5, 1, '{2}', 5);
INSERT INTO pgautofailover.event (formationid, nodeid, groupid, nodename, nodehost, nodeport, reportedstate, goalstate, eventtime, description)
VALUES ('f', 1, 0, 'a', '127.0.0.1', 6001, 'primary', 'primary', now() - interval '29 days', 'young'),
       ('f', 1, 0, 'a', '127.0.0.1', 6001, 'primary', 'primary', now() - interval '31 days', 'old');

ALTER EXTENSION pgautofailover UPDATE;
SELECT extversion = (SELECT default_version FROM pg_available_extensions WHERE name = 'pgautofailover') AS newest
FROM pg_extension WHERE extname = 'pgautofailover';
SELECT node_id, node_name, node_is_primary FROM pgautofailover.get_nodes('f');
SELECT term, sync_goal, sync_confirmed_version, primary_node, sync_superseded FROM pgautofailover.group_state WHERE formationid = 'f';
SELECT pgautofailover.synchronous_standby_names('f', 0);
SELECT group_id, term, primary_node_id, is_confirmed FROM pgautofailover.failover_status('f');
SELECT assigned_node_id, assigned_group_state FROM pgautofailover.register_node('f', '127.0.0.1', 6003, 'postgres', 'c');

-- Events beyond their retention are removed by the worker, others stay.
DO $$
BEGIN
    FOR i IN 1..600 LOOP
        EXIT WHEN NOT EXISTS (SELECT 1 FROM pgautofailover.event WHERE description = 'old');
        PERFORM pg_sleep(0.05);
    END LOOP;
END
$$;
SELECT description FROM pgautofailover.event WHERE description IN ('old', 'young');

-- What was updated and what was made anew have the same functions.
CREATE TABLE updated AS
    SELECT p.oid::regprocedure::text AS function, p.proacl::text AS acl FROM pg_proc p
    JOIN pg_depend d ON d.objid = p.oid AND d.deptype = 'e' JOIN pg_extension e ON e.oid = d.refobjid
    WHERE e.extname = 'pgautofailover';
SELECT count(*) > 40 AS functions, count(*) FILTER (WHERE acl IS NULL OR acl LIKE '{=X/%') AS for_public FROM updated;
\c postgres
SET client_min_messages = warning;
DROP DATABASE test_upgrade;
