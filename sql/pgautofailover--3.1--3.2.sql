-- Version 3.2, as changes to 3.1.
\echo Use "ALTER EXTENSION pgautofailover UPDATE TO '3.2'" to load this file. \quit

-- PostgreSQL's settings, kept for the nodes of a formation.

CREATE SEQUENCE pgautofailover.postgres_setting_version_seq MINVALUE 2;

ALTER TABLE pgautofailover.node
    ADD COLUMN settingsversion bigint NOT NULL DEFAULT 1,
    ADD COLUMN settingsreported bigint NOT NULL DEFAULT 0,
    ADD COLUMN settingsmark bigint NOT NULL DEFAULT 0,
    ADD COLUMN keeperinstance bigint NOT NULL DEFAULT 0,
    ADD COLUMN restartof bigint NOT NULL DEFAULT 0,
    ADD COLUMN restartasked timestamptz;
ALTER TABLE pgautofailover.node
    ALTER COLUMN settingsversion SET DEFAULT nextval('pgautofailover.postgres_setting_version_seq');
COMMENT ON COLUMN pgautofailover.node.settingsversion IS 'Version of PostgreSQL''s settings that the node is to have.';
COMMENT ON COLUMN pgautofailover.node.settingsreported IS 'Version that the node has accepted; negative: that it refuses.';
COMMENT ON COLUMN pgautofailover.node.settingsmark IS 'Which state of its settings the node has reported last.';
COMMENT ON COLUMN pgautofailover.node.keeperinstance IS 'Which directory on which machine, since its last start, the keeper has that reported last; copies of a node differ in it.';
COMMENT ON COLUMN pgautofailover.node.restartof IS 'The server of the node, by its start, that is to be restarted; 0: none.';
COMMENT ON COLUMN pgautofailover.node.restartasked IS 'When that was asked for.';

CREATE TABLE pgautofailover.postgres_setting (
    formationid text NOT NULL REFERENCES pgautofailover.formation (formationid) ON DELETE CASCADE,
    nodeid bigint REFERENCES pgautofailover.node (nodeid) ON DELETE CASCADE,
    name text NOT NULL,
    value text NOT NULL,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX postgres_setting_key ON pgautofailover.postgres_setting (formationid, coalesce(nodeid, 0), name);
COMMENT ON TABLE pgautofailover.postgres_setting IS 'Settings of PostgreSQL that nodes are to have.';
COMMENT ON COLUMN pgautofailover.postgres_setting.formationid IS 'Formation.';
COMMENT ON COLUMN pgautofailover.postgres_setting.nodeid IS 'The only node that is to have it; NULL: every node that has none of its own.';
COMMENT ON COLUMN pgautofailover.postgres_setting.name IS 'Name, in lower case.';
COMMENT ON COLUMN pgautofailover.postgres_setting.value IS 'Value, as it was set.';
COMMENT ON COLUMN pgautofailover.postgres_setting.version IS 'Number of the change that made it.';

CREATE TABLE pgautofailover.postgres_setting_change (
    version bigint PRIMARY KEY,
    formationid text NOT NULL REFERENCES pgautofailover.formation (formationid) ON DELETE CASCADE,
    nodeid bigint REFERENCES pgautofailover.node (nodeid) ON DELETE CASCADE,
    name text NOT NULL,
    value text,
    former text,
    state text NOT NULL CHECK (state IN ('pending', 'accepted', 'refused')),
    problem text,
    changed_by text NOT NULL DEFAULT session_user,
    changed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX postgres_setting_change_pending ON pgautofailover.postgres_setting_change (formationid) WHERE state = 'pending';
COMMENT ON TABLE pgautofailover.postgres_setting_change IS 'The last changes of PostgreSQL''s settings, and whether the nodes took them.';
COMMENT ON COLUMN pgautofailover.postgres_setting_change.version IS 'Number of the change.';
COMMENT ON COLUMN pgautofailover.postgres_setting_change.formationid IS 'Formation.';
COMMENT ON COLUMN pgautofailover.postgres_setting_change.nodeid IS 'Node; NULL: the whole formation.';
COMMENT ON COLUMN pgautofailover.postgres_setting_change.name IS 'Name of the setting.';
COMMENT ON COLUMN pgautofailover.postgres_setting_change.value IS 'New value; NULL: reset.';
COMMENT ON COLUMN pgautofailover.postgres_setting_change.former IS 'Value before; NULL: none was set.';
COMMENT ON COLUMN pgautofailover.postgres_setting_change.state IS 'pending until every node that is heard has accepted it; refused: it was taken back.';
COMMENT ON COLUMN pgautofailover.postgres_setting_change.problem IS 'Which node refused it, and why.';
COMMENT ON COLUMN pgautofailover.postgres_setting_change.changed_by IS 'Role that asked for it.';
COMMENT ON COLUMN pgautofailover.postgres_setting_change.changed_at IS 'When.';

CREATE TABLE pgautofailover.postgres_setting_state (
    nodeid bigint NOT NULL REFERENCES pgautofailover.node (nodeid) ON DELETE CASCADE,
    name text NOT NULL,
    in_force text NOT NULL,
    in_file text,
    overridden_by text,
    pending_restart bool NOT NULL,
    PRIMARY KEY (nodeid, name)
);
COMMENT ON TABLE pgautofailover.postgres_setting_state IS 'What nodes have reported last of settings that are kept here, or that wait for a restart.';
COMMENT ON COLUMN pgautofailover.postgres_setting_state.nodeid IS 'Node.';
COMMENT ON COLUMN pgautofailover.postgres_setting_state.name IS 'Name of the setting.';
COMMENT ON COLUMN pgautofailover.postgres_setting_state.in_force IS 'Value that its server uses.';
COMMENT ON COLUMN pgautofailover.postgres_setting_state.in_file IS 'Value that its keeper has written for it; NULL: none.';
COMMENT ON COLUMN pgautofailover.postgres_setting_state.overridden_by IS 'Where another value comes from that wins, a file of the administrator for instance; NULL: nothing.';
COMMENT ON COLUMN pgautofailover.postgres_setting_state.pending_restart IS 'Another value is configured, and needs a restart of the server.';

SELECT pg_catalog.pg_extension_config_dump('pgautofailover.postgres_setting_version_seq', '');
SELECT pg_catalog.pg_extension_config_dump('pgautofailover.postgres_setting', '');
SELECT pg_catalog.pg_extension_config_dump('pgautofailover.postgres_setting_change', '');

CREATE FUNCTION pgautofailover.set_postgres_setting(formation_id text, setting_name text, setting_value text, node_name text DEFAULT NULL)
RETURNS bigint
LANGUAGE c VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', $$pgautofailover_set_postgres_setting$$;
COMMENT ON FUNCTION pgautofailover.set_postgres_setting(text, text, text, text) IS 'Sets a setting of PostgreSQL for all nodes of a formation, or for one; a NULL value resets it. Returns the number of the change, 0 when there is nothing to change.';

CREATE FUNCTION pgautofailover.postgres_setting_progress(change_version bigint,
    OUT state text, OUT problem text, OUT waits_for text, OUT absent text)
LANGUAGE sql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT c.state, c.problem,
           string_agg(n.nodename, ', ' ORDER BY n.nodeid) FILTER (WHERE n.is_late AND n.is_heard),
           string_agg(n.nodename, ', ' ORDER BY n.nodeid) FILTER (WHERE n.is_late AND NOT n.is_heard)
    FROM pgautofailover.postgres_setting_change c LEFT JOIN (
        SELECT m.formationid, m.nodeid, m.nodename, m.settingsreported,
               coalesce(f.report_time > now() - interval '10 s', false) AS is_heard, abs(m.settingsreported) < change_version AS is_late
        FROM pgautofailover.node m LEFT JOIN pgautofailover.node_facts() f ON f.node_id = m.nodeid
        WHERE m.goalstate <> 'dropped') n
        ON n.formationid = c.formationid AND (c.nodeid IS NULL OR n.nodeid = c.nodeid)
    WHERE c.version = change_version GROUP BY c.version, c.state, c.problem
$$;
COMMENT ON FUNCTION pgautofailover.postgres_setting_progress(bigint) IS 'How far a change of a setting has come: which nodes that are heard have not answered yet, and which nodes are not heard.';

CREATE FUNCTION pgautofailover.postgres_settings(formation_id text DEFAULT 'default',
    OUT setting_name text, OUT setting_value text, OUT source text, OUT node_id bigint, OUT node_name text,
    OUT in_force text, OUT in_file text, OUT overridden_by text, OUT pending_restart bool)
RETURNS SETOF record
LANGUAGE sql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT k.name, v.value, CASE WHEN v.nodeid IS NOT NULL THEN 'node' WHEN v.name IS NOT NULL THEN 'formation' END,
           n.nodeid, n.nodename, s.in_force, s.in_file, s.overridden_by, coalesce(s.pending_restart, false)
    FROM pgautofailover.node n CROSS JOIN LATERAL (
        SELECT p.name FROM pgautofailover.postgres_setting p
        WHERE p.formationid = n.formationid AND (p.nodeid IS NULL OR p.nodeid = n.nodeid)
        UNION
        SELECT t.name FROM pgautofailover.postgres_setting_state t WHERE t.nodeid = n.nodeid AND t.pending_restart
    ) k LEFT JOIN LATERAL (
        SELECT p.name, p.value, p.nodeid FROM pgautofailover.postgres_setting p
        WHERE p.formationid = n.formationid AND (p.nodeid IS NULL OR p.nodeid = n.nodeid) AND p.name = k.name
        ORDER BY p.nodeid NULLS LAST LIMIT 1
    ) v ON true LEFT JOIN pgautofailover.postgres_setting_state s ON s.nodeid = n.nodeid AND s.name = k.name
    WHERE n.formationid = postgres_settings.formation_id AND n.goalstate <> 'dropped'
    ORDER BY 1, n.nodeid
$$;
COMMENT ON FUNCTION pgautofailover.postgres_settings(text) IS 'What every node is to have, and has: settings that are kept here, and others that wait for a restart.';

CREATE FUNCTION pgautofailover.restart_node(formation_id text, node_name text)
RETURNS bigint
LANGUAGE c VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', $$pgautofailover_restart_node$$;
COMMENT ON FUNCTION pgautofailover.restart_node(text, text) IS 'Restarts PostgreSQL of a node where it is; a primary is not replaced meanwhile. Returns the start of the server that is to end, by the node''s clock in microseconds.';

CREATE FUNCTION pgautofailover.server_start(node_id bigint)
RETURNS bigint
LANGUAGE c VOLATILE STRICT
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', $$pgautofailover_server_start$$;
COMMENT ON FUNCTION pgautofailover.server_start(bigint) IS 'When the server of a node was started, by the node''s clock in microseconds; NULL: it is down, or nothing is known.';

CREATE FUNCTION pgautofailover.is_streaming(node_id bigint)
RETURNS bool
LANGUAGE c VOLATILE STRICT
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', $$pgautofailover_is_streaming$$;
COMMENT ON FUNCTION pgautofailover.is_streaming(bigint) IS 'Whether a standby receives WAL, as it has reported last.';

CREATE FUNCTION pgautofailover.restart_status(formation_id text DEFAULT 'default',
    OUT group_id int, OUT node_id bigint, OUT node_name text, OUT server_start bigint,
    OUT current_group_state text, OUT assigned_group_state text, OUT candidate_priority int, OUT health int,
    OUT is_pending bool, OUT is_lowered bool, OUT is_written bool, OUT is_streaming bool, OUT problem text)
RETURNS SETOF record
LANGUAGE sql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT n.groupid, n.nodeid, n.nodename, pgautofailover.server_start(n.nodeid), n.reportedstate::text, n.goalstate::text,
           n.candidatepriority, n.health, coalesce(p.is_pending, false), coalesce(p.is_lowered, false), coalesce(p.is_written, true),
           pgautofailover.is_streaming(n.nodeid), f.problem
    FROM pgautofailover.node n LEFT JOIN pgautofailover.node_facts() f ON f.node_id = n.nodeid
    LEFT JOIN LATERAL (
        SELECT bool_or(s.pending_restart) AS is_pending,
               bool_or(s.pending_restart AND s.in_force ~ '^\d+$' AND s.in_file ~ '^\d+$' AND s.in_file::bigint < s.in_force::bigint
                       AND s.setting_name IN ('max_connections', 'max_worker_processes', 'max_wal_senders', 'max_prepared_transactions', 'max_locks_per_transaction')) AS is_lowered,
               bool_and(s.setting_value IS NULL OR s.in_file IS NOT DISTINCT FROM s.setting_value) AS is_written
        FROM pgautofailover.postgres_settings(restart_status.formation_id) s WHERE s.node_id = n.nodeid) p ON true
    WHERE n.formationid = restart_status.formation_id AND n.goalstate <> 'dropped'
    ORDER BY n.groupid, n.nodeid
$$;
COMMENT ON FUNCTION pgautofailover.restart_status(text) IS 'What pg_autoctl restart looks at: which server of each node runs, and whether settings wait for a restart of it.';

-- Copies of nodes that the operator asks for, and how far they have come.

ALTER TABLE pgautofailover.node ADD COLUMN wantedcopy bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN pgautofailover.node.wantedcopy IS 'The data of the node are to be replaced by a copy of this number; 0: they are not.';

-- A promotion that comes to nothing is undone.

ALTER TABLE pgautofailover.group_state ADD COLUMN former_primary bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN pgautofailover.group_state.former_primary IS 'Who was the primary before this term, and holds what was acknowledged until then; 0: not known.';

CREATE FUNCTION pgautofailover.copy_node(node_id bigint)
RETURNS bigint
LANGUAGE c VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', $$pgautofailover_copy_node$$;
COMMENT ON FUNCTION pgautofailover.copy_node(bigint) IS 'Replaces the data of a node in maintenance by a new copy of the primary''s, and ends its maintenance. Refused while another node does not accept writes. Returns the number of the copy.';

CREATE FUNCTION pgautofailover.node_copies(node_id bigint)
RETURNS bigint
LANGUAGE c VOLATILE STRICT
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', $$pgautofailover_node_copies$$;
COMMENT ON FUNCTION pgautofailover.node_copies(bigint) IS 'How often the data of a node were replaced by a copy, as it has reported last; NULL: nothing is known.';

CREATE FUNCTION pgautofailover.copy_progress(OUT node_id bigint, OUT done_kb bigint, OUT total_kb bigint, OUT kb_per_second bigint)
RETURNS SETOF record
LANGUAGE c VOLATILE STRICT
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', $$pgautofailover_copy_progress$$;
COMMENT ON FUNCTION pgautofailover.copy_progress() IS 'Nodes whose data are being copied now, and how far that has come.';

CREATE FUNCTION pgautofailover.node_lag(OUT node_id bigint, OUT received_lsn pg_lsn, OUT replay_lsn pg_lsn, OUT replay_lag bigint,
    OUT replay_paused bool, OUT stalled_ms bigint, OUT cancelled_waits bigint, OUT unconfirmed_waits bigint)
RETURNS SETOF record
LANGUAGE c VOLATILE STRICT
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', $$pgautofailover_node_lag$$;
COMMENT ON FUNCTION pgautofailover.node_lag() IS 'What nodes whose PostgreSQL runs have reported last. Of a standby: received and replayed WAL, and the bytes between them. stalled_ms: how long WAL has waited for its disk, or for replay. Of a primary: commits since its start that were cancelled while they waited for synchronous standbys, and how many of them those have not confirmed.';

-- Security: names, roles, secrets of nodes, limits.

CREATE FUNCTION pgautofailover.is_host_name(host text)
RETURNS bool
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', $$pgautofailover_is_host_name$$;
COMMENT ON FUNCTION pgautofailover.is_host_name(text) IS 'An IP address, or a name of labels; no networks, and no words of pg_hba.conf.';

CREATE FUNCTION pgautofailover.is_name(name text)
RETURNS bool
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', $$pgautofailover_is_name$$;
COMMENT ON FUNCTION pgautofailover.is_name(text) IS 'From 1 to 255 bytes, without control characters.';

CREATE FUNCTION pgautofailover.quote_uri(value text)
RETURNS text
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', $$pgautofailover_quote_uri$$;
COMMENT ON FUNCTION pgautofailover.quote_uri(text) IS 'A part of a URI: what has a meaning there becomes %NN.';

-- What a former version let in: no server can be reached under such a name.
UPDATE pgautofailover.node SET nodehost = 'node-' || nodeid || '.invalid' WHERE NOT pgautofailover.is_host_name(nodehost);
UPDATE pgautofailover.node SET nodename = 'node_' || nodeid WHERE NOT pgautofailover.is_name(nodename);
UPDATE pgautofailover.node SET nodecluster = 'default' WHERE NOT pgautofailover.is_name(nodecluster);
UPDATE pgautofailover.node SET region = 'default' WHERE NOT pgautofailover.is_name(region);
SET CONSTRAINTS ALL IMMEDIATE;
ALTER TABLE pgautofailover.node
    ADD CONSTRAINT node_host_is_a_host CHECK (pgautofailover.is_host_name(nodehost)),
    ADD CONSTRAINT node_names_are_names CHECK (pgautofailover.is_name(nodename) AND pgautofailover.is_name(nodecluster) AND pgautofailover.is_name(region));
ALTER TABLE pgautofailover.formation
    ADD CONSTRAINT formation_names_are_names CHECK (pgautofailover.is_name(formationid) AND pgautofailover.is_name(dbname::text)) NOT VALID;

CREATE OR REPLACE FUNCTION pgautofailover.formation_uri(formation_id text DEFAULT 'default', cluster_name text DEFAULT 'default',
    sslmode text DEFAULT 'prefer', sslrootcert text DEFAULT '', sslcrl text DEFAULT '')
RETURNS text
LANGUAGE sql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT 'postgres://'
           || string_agg(format('%s:%s', CASE WHEN n.nodehost LIKE '%:%' THEN '[' || n.nodehost || ']' ELSE n.nodehost END,
                                n.nodeport), ',' ORDER BY n.nodeid)
           || '/' || pgautofailover.quote_uri(f.dbname::text) || '?'
           || CASE WHEN formation_uri.cluster_name = 'default'
                   THEN 'target_session_attrs=read-write&' ELSE '' END
           || 'sslmode=' || pgautofailover.quote_uri(formation_uri.sslmode)
           || CASE WHEN formation_uri.sslrootcert = '' THEN ''
                   ELSE '&sslrootcert=' || pgautofailover.quote_uri(formation_uri.sslrootcert) END
           || CASE WHEN formation_uri.sslcrl = '' THEN '' ELSE '&sslcrl=' || pgautofailover.quote_uri(formation_uri.sslcrl) END
    FROM pgautofailover.node n
    JOIN pgautofailover.formation f ON f.formationid = n.formationid
    WHERE n.formationid = formation_uri.formation_id AND n.groupid = 0
      AND n.nodecluster = formation_uri.cluster_name AND n.goalstate <> 'dropped'
    GROUP BY f.dbname
$$;

CREATE FUNCTION pgautofailover.check_node(node_id bigint)
RETURNS void
LANGUAGE c VOLATILE STRICT
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', $$pgautofailover_check_node$$;
COMMENT ON FUNCTION pgautofailover.check_node(bigint) IS 'Raises an error unless the caller may speak for the node.';

CREATE FUNCTION pgautofailover.check_order(formation_id text)
RETURNS void
LANGUAGE c VOLATILE STRICT
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', $$pgautofailover_check_order$$;
COMMENT ON FUNCTION pgautofailover.check_order(text) IS 'Raises an error unless the caller may ask for changes of the formation.';

CREATE OR REPLACE FUNCTION pgautofailover.create_formation(
    INOUT formation_id text, INOUT kind text, INOUT dbname name, INOUT opt_secondary bool,
    INOUT number_sync_standbys int)
RETURNS record
LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    most constant int := current_setting('pgautofailover.max_nodes')::int;
BEGIN
    PERFORM pgautofailover.check_order(create_formation.formation_id);
    IF NOT pgautofailover.is_name(create_formation.formation_id) OR NOT pgautofailover.is_name(create_formation.dbname::text) THEN
        RAISE EXCEPTION 'invalid name of a formation or of its database'
            USING ERRCODE = '22023', DETAIL = 'It must have between 1 and 255 bytes, and no control characters.';
    END IF;
    IF create_formation.kind <> 'pgsql' THEN
        RAISE EXCEPTION 'formations of kind "%" are not supported', create_formation.kind
            USING ERRCODE = CASE WHEN create_formation.kind = 'citus' THEN '0A000' ELSE '22023' END,
                HINT = 'Use the kind "pgsql".';
    END IF;
    IF create_formation.number_sync_standbys < 0 THEN
        RAISE EXCEPTION 'invalid value for number_sync_standbys: %', create_formation.number_sync_standbys
            USING ERRCODE = '22023', DETAIL = 'It must not be negative.';
    END IF;
    IF (SELECT count(*) FROM pgautofailover.formation) >= most THEN
        RAISE EXCEPTION 'there are % formations already', most
            USING ERRCODE = '53400', HINT = 'Raise pgautofailover.max_nodes, which is also the limit of formations, and restart the monitor.';
    END IF;
    INSERT INTO pgautofailover.formation (formationid, kind, dbname, opt_secondary, number_sync_standbys)
    VALUES (create_formation.formation_id, create_formation.kind, create_formation.dbname,
            create_formation.opt_secondary, create_formation.number_sync_standbys);
END
$$;

CREATE OR REPLACE FUNCTION pgautofailover.drop_formation(formation_id text)
RETURNS void
LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pgautofailover.check_order(drop_formation.formation_id);
    DELETE FROM pgautofailover.formation WHERE formationid = drop_formation.formation_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'formation "%" does not exist', drop_formation.formation_id USING ERRCODE = '42704';
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION pgautofailover.enable_secondary(formation_id text)
RETURNS bool
LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pgautofailover.check_order(enable_secondary.formation_id);
    UPDATE pgautofailover.formation SET opt_secondary = true WHERE formationid = enable_secondary.formation_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'formation "%" does not exist', enable_secondary.formation_id USING ERRCODE = '42704';
    END IF;
    RETURN true;
END
$$;

CREATE OR REPLACE FUNCTION pgautofailover.disable_secondary(formation_id text)
RETURNS bool
LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pgautofailover.check_order(disable_secondary.formation_id);
    UPDATE pgautofailover.formation SET opt_secondary = false WHERE formationid = disable_secondary.formation_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'formation "%" does not exist', disable_secondary.formation_id USING ERRCODE = '42704';
    END IF;
    RETURN true;
END
$$;

CREATE OR REPLACE FUNCTION pgautofailover.report_postgres_version(
    node_id bigint, pg_versionnum int DEFAULT NULL, pg_version text DEFAULT NULL,
    pg_versionstring text DEFAULT NULL, citus_version text DEFAULT NULL)
RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT pgautofailover.check_node(n.nodeid) FROM pgautofailover.node n WHERE n.nodeid = report_postgres_version.node_id;
    UPDATE pgautofailover.node n
    SET pg_versionnum = report_postgres_version.pg_versionnum,
        pg_version = left(report_postgres_version.pg_version, 200),
        pg_versionstring = left(report_postgres_version.pg_versionstring, 500),
        citus_version = left(report_postgres_version.citus_version, 200)
    WHERE n.nodeid = report_postgres_version.node_id
$$;

CREATE OR REPLACE FUNCTION pgautofailover.report_timeline_history(node_id bigint, history jsonb)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF node_id IS NULL OR history IS NULL OR jsonb_typeof(history) <> 'array' THEN
        RAISE EXCEPTION 'a node and a JSON array of {tli, parenttli, switchpoint} are needed' USING ERRCODE = '22023';
    END IF;
    IF jsonb_array_length(history) > 1000 THEN
        RAISE EXCEPTION 'a history of % timelines is too long', jsonb_array_length(history)
            USING ERRCODE = '54000', HINT = 'Send the last 1000.';
    END IF;
    PERFORM pgautofailover.check_node(n.nodeid) FROM pgautofailover.node n WHERE n.nodeid = report_timeline_history.node_id;
    IF jsonb_array_length(history) + (SELECT count(*) FROM pgautofailover.node_timeline_history t
                                      WHERE t.nodeid = report_timeline_history.node_id) > 5000 THEN
        RAISE EXCEPTION 'node % has reported too many timelines', node_id USING ERRCODE = '54000';
    END IF;
    INSERT INTO pgautofailover.node_timeline_history (nodeid, tli, parenttli, switchpoint_lsn)
    SELECT report_timeline_history.node_id, h.tli, h.parenttli, h.switchpoint::pg_lsn
    FROM jsonb_to_recordset(history) AS h(tli int, parenttli int, switchpoint text)
    ON CONFLICT DO NOTHING;
EXCEPTION WHEN foreign_key_violation THEN
    RAISE EXCEPTION 'node % does not exist', node_id USING ERRCODE = '42704';
END
$$;

DO $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = 'autoctl_operator') THEN
        CREATE ROLE autoctl_operator LOGIN;
    END IF;
    IF NOT EXISTS (SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = 'autoctl_reader') THEN
        CREATE ROLE autoctl_reader LOGIN;
    END IF;
    -- The owner of the monitor's database could put operators and functions of his own before those of others.
    IF EXISTS (SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = 'autoctl' AND rolcanlogin AND NOT rolsuper) THEN
        ALTER ROLE autoctl NOLOGIN;
    END IF;
END
$$;

CREATE TABLE pgautofailover.node_secret (
    nodeid bigint PRIMARY KEY REFERENCES pgautofailover.node (nodeid) ON DELETE CASCADE,
    hash bytea NOT NULL,
    known_since timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX node_secret_hash ON pgautofailover.node_secret (hash);
COMMENT ON TABLE pgautofailover.node_secret IS 'Who has the secret of a node may speak for it. The node has made it; only its hash is known here.';
COMMENT ON COLUMN pgautofailover.node_secret.nodeid IS 'Node.';
COMMENT ON COLUMN pgautofailover.node_secret.hash IS 'SHA-256 of the secret.';
COMMENT ON COLUMN pgautofailover.node_secret.known_since IS 'When the node has shown it first.';
SELECT pg_catalog.pg_extension_config_dump('pgautofailover.node_secret', '');

CREATE FUNCTION pgautofailover.reset_node_secret(node_id bigint)
RETURNS bool
LANGUAGE sql VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    WITH forgotten AS (DELETE FROM pgautofailover.node_secret s WHERE s.nodeid = reset_node_secret.node_id RETURNING 1)
    SELECT EXISTS (SELECT 1 FROM forgotten)
$$;
COMMENT ON FUNCTION pgautofailover.reset_node_secret(bigint) IS 'Forgets the secret of a node; the next one that reports for it becomes its secret. False when there was none.';

-- Rights of everything in the schema: said here, and nowhere else in this file.

GRANT USAGE ON SCHEMA pgautofailover TO autoctl_operator, autoctl_reader;
GRANT SELECT ON pgautofailover.postgres_setting, pgautofailover.postgres_setting_change, pgautofailover.postgres_setting_state TO autoctl_node;
GRANT SELECT ON ALL TABLES IN SCHEMA pgautofailover TO autoctl_operator, autoctl_reader;
REVOKE ALL ON pgautofailover.node_secret FROM autoctl_operator, autoctl_reader;
DO $$
DECLARE
    -- What is new in this version; of former versions nodes have what needs no judgment of a person.
    for_nodes constant text[] := ARRAY['set_postgres_setting', 'postgres_setting_progress', 'postgres_settings', 'restart_node', 'server_start',
        'is_streaming', 'restart_status', 'copy_node', 'node_copies', 'copy_progress', 'node_lag', 'is_host_name', 'is_name', 'quote_uri'];
    not_for_nodes constant text[] := ARRAY['accept_timeline', 'resolve_accepted_timeline', 'set_node_system_identifier',
        'set_group_system_identifier', 'reset_node_secret'];
    -- Readers may call what only reads; these are volatile because they look at shared memory, or may wait.
    for_readers constant text[] := ARRAY['node_facts', 'failover_status', 'server_start', 'is_streaming', 'node_copies', 'copy_progress',
        'node_lag', 'synchronous_standby_names', 'dump_fsm'];
    -- Operators may call all but what keepers say, and what the rights of others rest on.
    not_for_operators constant text[] := ARRAY['report', 'node_active', 'check_node', 'check_order'];
    f record;
BEGIN
    FOR f IN SELECT p.oid::pg_catalog.regprocedure AS called, p.proname, p.provolatile FROM pg_catalog.pg_proc p
             WHERE p.pronamespace = 'pgautofailover'::pg_catalog.regnamespace AND p.prorettype <> 'pg_catalog.trigger'::pg_catalog.regtype
    LOOP
        EXECUTE pg_catalog.format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', f.called);
        IF f.proname = ANY (for_nodes) THEN
            EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION %s TO autoctl_node', f.called);
        ELSIF f.proname = ANY (not_for_nodes) THEN
            EXECUTE pg_catalog.format('REVOKE ALL ON FUNCTION %s FROM autoctl_node', f.called);
        END IF;
        IF f.provolatile <> 'v' OR f.proname = ANY (for_readers) THEN
            EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION %s TO autoctl_reader', f.called);
        END IF;
        IF f.proname !~ '^testing_' AND f.proname <> ALL (not_for_operators) THEN
            EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION %s TO autoctl_operator', f.called);
        END IF;
    END LOOP;

    -- Nobody needs these in the monitor's database: they fill the disk, use up locks, or hold the locks of groups for ever.
    EXECUTE pg_catalog.format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', pg_catalog.current_database());
    FOR f IN SELECT p.oid::pg_catalog.regprocedure AS called FROM pg_catalog.pg_proc p
             WHERE p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace
               AND (p.proname IN ('lo_creat', 'lo_create', 'lo_from_bytea', 'lo_put', 'lo_open', 'lowrite', 'txid_current',
                                  'pg_current_xact_id', 'pg_logical_emit_message', 'pg_export_snapshot', 'pg_notify')
                    OR p.proname ~ '^pg_(try_)?advisory_(xact_)?lock')
    LOOP
        EXECUTE pg_catalog.format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f.called);
    END LOOP;
END
$$;
