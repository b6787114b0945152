-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION pgautofailover" to load this file. \quit

DO $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = 'autoctl_node') THEN
        CREATE ROLE autoctl_node LOGIN;
    END IF;
END
$$;

GRANT USAGE ON SCHEMA pgautofailover TO autoctl_node;

CREATE TYPE pgautofailover.replication_state AS ENUM (
    'unknown', 'init', 'single', 'wait_primary', 'primary', 'draining', 'demote_timeout', 'demoted',
    'catchingup', 'secondary', 'prepare_promotion', 'stop_replication', 'wait_standby', 'maintenance',
    'join_primary', 'apply_settings', 'prepare_maintenance', 'wait_maintenance', 'report_lsn',
    'fast_forward', 'join_secondary', 'dropped'
);
COMMENT ON TYPE pgautofailover.replication_state IS 'State of a node: what it reports, or what it should be.';

CREATE TABLE pgautofailover.formation (
    formationid text NOT NULL DEFAULT 'default' PRIMARY KEY,
    kind text NOT NULL DEFAULT 'pgsql' CHECK (kind IN ('pgsql', 'citus')),
    dbname name NOT NULL DEFAULT 'postgres',
    opt_secondary bool NOT NULL DEFAULT true,
    number_sync_standbys int NOT NULL DEFAULT 0
);
COMMENT ON TABLE pgautofailover.formation IS 'Formations: independent sets of groups.';
COMMENT ON COLUMN pgautofailover.formation.formationid IS 'Name of the formation.';
COMMENT ON COLUMN pgautofailover.formation.kind IS 'Kind of the formation; only pgsql is supported.';
COMMENT ON COLUMN pgautofailover.formation.dbname IS 'Database that applications connect to.';
COMMENT ON COLUMN pgautofailover.formation.opt_secondary IS 'Whether groups may have standbys.';
COMMENT ON COLUMN pgautofailover.formation.number_sync_standbys IS 'Standbys that must confirm a commit, beyond which a standby may be lost without blocking writes.';
GRANT SELECT ON pgautofailover.formation TO autoctl_node;

INSERT INTO pgautofailover.formation (formationid) VALUES ('default');

CREATE TABLE pgautofailover.node (
    formationid text NOT NULL DEFAULT 'default' REFERENCES pgautofailover.formation (formationid),
    nodeid bigserial PRIMARY KEY,
    groupid int NOT NULL,
    nodename text NOT NULL,
    nodehost text NOT NULL,
    nodeport int NOT NULL CHECK (nodeport BETWEEN 1 AND 65535),
    sysidentifier bigint,
    goalstate pgautofailover.replication_state NOT NULL DEFAULT 'init',
    reportedstate pgautofailover.replication_state NOT NULL,
    reportedpgisrunning bool DEFAULT true,
    reportedrepstate text DEFAULT 'async',
    reporttime timestamptz NOT NULL DEFAULT now(),
    reportedtli int NOT NULL DEFAULT 1 CHECK (reportedtli > 0),
    reportedlsn pg_lsn NOT NULL DEFAULT '0/0',
    walreporttime timestamptz NOT NULL DEFAULT now(),
    health integer NOT NULL DEFAULT -1,
    healthchecktime timestamptz NOT NULL DEFAULT now(),
    statechangetime timestamptz NOT NULL DEFAULT now(),
    candidatepriority int NOT NULL DEFAULT 100,
    replicationquorum bool NOT NULL DEFAULT true,
    nodecluster text NOT NULL DEFAULT 'default',
    region text NOT NULL DEFAULT 'default',
    keeperepoch bigint NOT NULL DEFAULT 0,
    UNIQUE (formationid, nodename),
    UNIQUE (nodehost, nodeport),
    CONSTRAINT system_identifier_is_null_at_init_only CHECK (
        sysidentifier IS NOT NULL OR reportedstate IN ('init', 'wait_standby', 'catchingup', 'dropped')),
    CONSTRAINT same_system_identifier_within_group EXCLUDE USING gist
        (formationid WITH =, groupid WITH =, sysidentifier WITH <>) DEFERRABLE INITIALLY DEFERRED
) WITH (fillfactor = 25);
COMMENT ON TABLE pgautofailover.node IS 'Nodes: decisions about them and the last reports that mattered. Facts that change every second are in shared memory.';
COMMENT ON COLUMN pgautofailover.node.formationid IS 'Formation of the node.';
COMMENT ON COLUMN pgautofailover.node.nodeid IS 'Identity of the node; part of the name of its replication slot.';
COMMENT ON COLUMN pgautofailover.node.groupid IS 'Group of the node within the formation.';
COMMENT ON COLUMN pgautofailover.node.nodename IS 'Name for people.';
COMMENT ON COLUMN pgautofailover.node.nodehost IS 'Host name or address of the server.';
COMMENT ON COLUMN pgautofailover.node.nodeport IS 'Port of the server.';
COMMENT ON COLUMN pgautofailover.node.sysidentifier IS 'System identifier of the data directory; NULL until known.';
COMMENT ON COLUMN pgautofailover.node.goalstate IS 'State that the node should be in.';
COMMENT ON COLUMN pgautofailover.node.reportedstate IS 'State that the node last reported.';
COMMENT ON COLUMN pgautofailover.node.reportedpgisrunning IS 'Whether PostgreSQL ran at the last change of state.';
COMMENT ON COLUMN pgautofailover.node.reportedrepstate IS 'Replication state as told by node_active.';
COMMENT ON COLUMN pgautofailover.node.reporttime IS 'Time of the report that changed this row last.';
COMMENT ON COLUMN pgautofailover.node.reportedtli IS 'Timeline at the last change of state.';
COMMENT ON COLUMN pgautofailover.node.reportedlsn IS 'WAL position at the last change of state.';
COMMENT ON COLUMN pgautofailover.node.walreporttime IS 'Time of that WAL position.';
COMMENT ON COLUMN pgautofailover.node.health IS 'Health by reports and probes: -1 unknown, 0 bad, 1 good.';
COMMENT ON COLUMN pgautofailover.node.healthchecktime IS 'Time of the last change of health.';
COMMENT ON COLUMN pgautofailover.node.statechangetime IS 'Time when the reported state changed.';
COMMENT ON COLUMN pgautofailover.node.candidatepriority IS 'Preference in elections; 0: never promoted.';
COMMENT ON COLUMN pgautofailover.node.replicationquorum IS 'Whether the node counts for synchronous replication.';
COMMENT ON COLUMN pgautofailover.node.nodecluster IS 'Name of the cluster of read replicas.';
COMMENT ON COLUMN pgautofailover.node.region IS 'Region of the node, for people.';
COMMENT ON COLUMN pgautofailover.node.keeperepoch IS 'Highest epoch of a keeper that reported for the node; lower ones are rejected.';
GRANT SELECT ON pgautofailover.node TO autoctl_node;

CREATE INDEX node_group ON pgautofailover.node (formationid, groupid);

CREATE TABLE pgautofailover.group_state (
    formationid text NOT NULL REFERENCES pgautofailover.formation (formationid) ON DELETE CASCADE,
    groupid int NOT NULL,
    term bigint NOT NULL DEFAULT 0,
    sync_goal_k int NOT NULL DEFAULT 0,
    sync_goal bigint[] NOT NULL DEFAULT '{}',
    sync_goal_version bigint NOT NULL DEFAULT 1,
    sync_confirmed_k int NOT NULL DEFAULT 0,
    sync_confirmed bigint[] NOT NULL DEFAULT '{}',
    sync_confirmed_version bigint NOT NULL DEFAULT 1,
    target_lsn pg_lsn NOT NULL DEFAULT '0/0',
    PRIMARY KEY (formationid, groupid)
);
COMMENT ON TABLE pgautofailover.group_state IS 'What belongs to a group rather than to a node: term and synchronous set.';
COMMENT ON COLUMN pgautofailover.group_state.formationid IS 'Formation of the group.';
COMMENT ON COLUMN pgautofailover.group_state.groupid IS 'Group within the formation.';
COMMENT ON COLUMN pgautofailover.group_state.term IS 'Raised by every promotion.';
COMMENT ON COLUMN pgautofailover.group_state.sync_goal_k IS 'Number of members that must confirm a commit, in the set to be used.';
COMMENT ON COLUMN pgautofailover.group_state.sync_goal IS 'Node ids of the set to be used.';
COMMENT ON COLUMN pgautofailover.group_state.sync_goal_version IS 'Version of the set to be used.';
COMMENT ON COLUMN pgautofailover.group_state.sync_confirmed_k IS 'Number of members that must confirm a commit, in the confirmed set.';
COMMENT ON COLUMN pgautofailover.group_state.sync_confirmed IS 'Node ids of the set that the primary confirmed last.';
COMMENT ON COLUMN pgautofailover.group_state.sync_confirmed_version IS 'Version that the primary confirmed last; until it is the goal, both sets count.';
COMMENT ON COLUMN pgautofailover.group_state.target_lsn IS 'Position that the standby must hold in the switchover under way; 0/0 otherwise.';
GRANT SELECT ON pgautofailover.group_state TO autoctl_node;

CREATE TABLE pgautofailover.event (
    eventid bigserial PRIMARY KEY,
    eventtime timestamptz NOT NULL DEFAULT now(),
    formationid text NOT NULL,
    nodeid bigint NOT NULL,
    groupid int NOT NULL,
    nodename text NOT NULL,
    nodehost text NOT NULL,
    nodeport integer NOT NULL,
    reportedstate pgautofailover.replication_state NOT NULL,
    goalstate pgautofailover.replication_state NOT NULL,
    reportedrepstate text,
    reportedtli int NOT NULL DEFAULT 1 CHECK (reportedtli > 0),
    reportedlsn pg_lsn NOT NULL DEFAULT '0/0',
    candidatepriority int,
    replicationquorum bool,
    rule_pos int,
    rule text,
    reason text,
    description text
);
COMMENT ON TABLE pgautofailover.event IS 'What happened and why. Never purged by the extension.';
COMMENT ON COLUMN pgautofailover.event.eventid IS 'Order of the events.';
COMMENT ON COLUMN pgautofailover.event.eventtime IS 'Time of the event.';
COMMENT ON COLUMN pgautofailover.event.formationid IS 'Formation of the node.';
COMMENT ON COLUMN pgautofailover.event.nodeid IS 'The node; it may be gone.';
COMMENT ON COLUMN pgautofailover.event.groupid IS 'Group of the node.';
COMMENT ON COLUMN pgautofailover.event.nodename IS 'Name of the node then.';
COMMENT ON COLUMN pgautofailover.event.nodehost IS 'Host of the node then.';
COMMENT ON COLUMN pgautofailover.event.nodeport IS 'Port of the node then.';
COMMENT ON COLUMN pgautofailover.event.reportedstate IS 'State that the node reported.';
COMMENT ON COLUMN pgautofailover.event.goalstate IS 'State that the node should be in from then on.';
COMMENT ON COLUMN pgautofailover.event.reportedrepstate IS 'Replication state as told by node_active.';
COMMENT ON COLUMN pgautofailover.event.reportedtli IS 'Timeline of the node.';
COMMENT ON COLUMN pgautofailover.event.reportedlsn IS 'WAL position of the node.';
COMMENT ON COLUMN pgautofailover.event.candidatepriority IS 'Candidate priority of the node.';
COMMENT ON COLUMN pgautofailover.event.replicationquorum IS 'Replication quorum of the node.';
COMMENT ON COLUMN pgautofailover.event.rule_pos IS 'Position of the rule that decided, see dump_fsm(); NULL when no rule did.';
COMMENT ON COLUMN pgautofailover.event.rule IS 'Name of the rule that decided.';
COMMENT ON COLUMN pgautofailover.event.reason IS 'Why the rule decided so.';
COMMENT ON COLUMN pgautofailover.event.description IS 'The event as a sentence.';
GRANT SELECT ON pgautofailover.event TO autoctl_node;

CREATE INDEX event_group ON pgautofailover.event (formationid, groupid, eventid);

SELECT pg_catalog.pg_extension_config_dump('pgautofailover.formation', $$WHERE formationid <> 'default'$$);
SELECT pg_catalog.pg_extension_config_dump('pgautofailover.node', '');
SELECT pg_catalog.pg_extension_config_dump('pgautofailover.group_state', '');
SELECT pg_catalog.pg_extension_config_dump('pgautofailover.event', '');
SELECT pg_catalog.pg_extension_config_dump('pgautofailover.node_nodeid_seq', '');
SELECT pg_catalog.pg_extension_config_dump('pgautofailover.event_eventid_seq', '');

CREATE FUNCTION pgautofailover.report(report text)
RETURNS text
LANGUAGE c VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', $$pgautofailover_report$$;
REVOKE ALL ON FUNCTION pgautofailover.report(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.report(text) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.report(text) IS 'Takes the facts of a keeper, answers with its goal, grant and peers (JSON).';

CREATE FUNCTION pgautofailover.node_active(
    formation_id text, node_id bigint, group_id int,
    current_group_role pgautofailover.replication_state DEFAULT 'init',
    current_pg_is_running bool DEFAULT true, current_tli int DEFAULT 1,
    current_lsn pg_lsn DEFAULT '0/0', current_rep_state text DEFAULT '',
    OUT assigned_node_id bigint, OUT assigned_group_id int,
    OUT assigned_group_state pgautofailover.replication_state,
    OUT assigned_candidate_priority int, OUT assigned_replication_quorum bool)
RETURNS record
LANGUAGE c VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', $$pgautofailover_node_active$$;
REVOKE ALL ON FUNCTION pgautofailover.node_active(text, bigint, int, pgautofailover.replication_state, bool, int, pg_lsn, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.node_active(text, bigint, int, pgautofailover.replication_state, bool, int, pg_lsn, text) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.node_active(text, bigint, int, pgautofailover.replication_state, bool, int, pg_lsn, text) IS 'Report of a keeper without leases: its node gets no grant, and counts as able to write until it is known to be stopped.';

CREATE FUNCTION pgautofailover.register_node(
    formation_id text, node_host text, node_port int, dbname name, node_name text DEFAULT '',
    sysidentifier bigint DEFAULT 0, desired_node_id bigint DEFAULT -1,
    desired_group_id int DEFAULT -1,
    initial_group_role pgautofailover.replication_state DEFAULT 'init',
    node_kind text DEFAULT 'standalone', candidate_priority int DEFAULT 100,
    replication_quorum bool DEFAULT true, node_cluster text DEFAULT 'default',
    node_region text DEFAULT 'default',
    OUT assigned_node_id bigint, OUT assigned_group_id int,
    OUT assigned_group_state pgautofailover.replication_state,
    OUT assigned_candidate_priority int, OUT assigned_replication_quorum bool,
    OUT assigned_node_name text)
RETURNS record
LANGUAGE c VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', $$pgautofailover_register_node$$;
REVOKE ALL ON FUNCTION pgautofailover.register_node(text, text, int, name, text, bigint, bigint, int, pgautofailover.replication_state, text, int, bool, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.register_node(text, text, int, name, text, bigint, bigint, int, pgautofailover.replication_state, text, int, bool, text, text) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.register_node(text, text, int, name, text, bigint, bigint, int, pgautofailover.replication_state, text, int, bool, text, text) IS 'Adds a node to a formation.';

CREATE FUNCTION pgautofailover.remove_node(node_id bigint, force bool DEFAULT false)
RETURNS bool
LANGUAGE c VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', $$pgautofailover_remove_node_by_id$$;
REVOKE ALL ON FUNCTION pgautofailover.remove_node(bigint, bool) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.remove_node(bigint, bool) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.remove_node(bigint, bool) IS 'Drops a node; with force without waiting for its keeper.';

CREATE FUNCTION pgautofailover.remove_node(node_host text, node_port int DEFAULT 5432, force bool DEFAULT false)
RETURNS bool
LANGUAGE c VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', $$pgautofailover_remove_node_by_host$$;
REVOKE ALL ON FUNCTION pgautofailover.remove_node(text, int, bool) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.remove_node(text, int, bool) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.remove_node(text, int, bool) IS 'Drops a node; with force without waiting for its keeper.';

CREATE FUNCTION pgautofailover.perform_failover(formation_id text DEFAULT 'default', group_id int DEFAULT 0)
RETURNS void
LANGUAGE c VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', $$pgautofailover_perform_failover$$;
REVOKE ALL ON FUNCTION pgautofailover.perform_failover(text, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.perform_failover(text, int) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.perform_failover(text, int) IS 'Starts a switchover.';

CREATE FUNCTION pgautofailover.perform_promotion(formation_id text, node_name text)
RETURNS bool
LANGUAGE c VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', $$pgautofailover_perform_promotion$$;
REVOKE ALL ON FUNCTION pgautofailover.perform_promotion(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.perform_promotion(text, text) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.perform_promotion(text, text) IS 'Starts a switchover to the given node; false when it is the primary.';

CREATE FUNCTION pgautofailover.set_node_candidate_priority(formation_id text, node_name text, candidate_priority int)
RETURNS bool
LANGUAGE c VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', $$pgautofailover_set_node_candidate_priority$$;
REVOKE ALL ON FUNCTION pgautofailover.set_node_candidate_priority(text, text, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.set_node_candidate_priority(text, text, int) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.set_node_candidate_priority(text, text, int) IS 'Changes the candidate priority of a node (0 to 100).';

CREATE FUNCTION pgautofailover.set_node_replication_quorum(formation_id text, node_name text, replication_quorum bool)
RETURNS bool
LANGUAGE c VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', $$pgautofailover_set_node_replication_quorum$$;
REVOKE ALL ON FUNCTION pgautofailover.set_node_replication_quorum(text, text, bool) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.set_node_replication_quorum(text, text, bool) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.set_node_replication_quorum(text, text, bool) IS 'Changes whether a node counts for synchronous replication.';

CREATE FUNCTION pgautofailover.update_node_metadata(node_id bigint, node_name text, node_host text, node_port int)
RETURNS bool
LANGUAGE c VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', $$pgautofailover_update_node_metadata$$;
REVOKE ALL ON FUNCTION pgautofailover.update_node_metadata(bigint, text, text, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.update_node_metadata(bigint, text, text, int) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.update_node_metadata(bigint, text, text, int) IS 'Changes name, host or port of a node; NULL keeps a value.';

CREATE FUNCTION pgautofailover.synchronous_standby_names(formation_id text DEFAULT 'default', group_id int DEFAULT 0)
RETURNS text
LANGUAGE c VOLATILE STRICT
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', $$pgautofailover_synchronous_standby_names$$;
REVOKE ALL ON FUNCTION pgautofailover.synchronous_standby_names(text, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.synchronous_standby_names(text, int) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.synchronous_standby_names(text, int) IS 'The setting that the primary of the group must use.';

CREATE FUNCTION pgautofailover.dump_fsm(OUT pos int, OUT name text, OUT section text, OUT reason text)
RETURNS SETOF record
LANGUAGE c VOLATILE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', $$pgautofailover_dump_fsm$$;
REVOKE ALL ON FUNCTION pgautofailover.dump_fsm() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.dump_fsm() TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.dump_fsm() IS 'The monitor''s rules, in the order in which they are tried.';

CREATE FUNCTION pgautofailover.node_facts(
    OUT node_id bigint, OUT report_time timestamptz, OUT pg_is_running bool, OUT tli int,
    OUT lsn pg_lsn, OUT lease_left_ms bigint, OUT session text, OUT probe text, OUT problem text,
    OUT pg_version text)
RETURNS SETOF record
LANGUAGE c VOLATILE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', $$pgautofailover_node_facts$$;
REVOKE ALL ON FUNCTION pgautofailover.node_facts() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.node_facts() TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.node_facts() IS 'What shared memory holds about the nodes of this database. lease_left_ms: NULL without a limit.';

CREATE FUNCTION pgautofailover.create_formation(
    INOUT formation_id text, INOUT kind text, INOUT dbname name, INOUT opt_secondary bool,
    INOUT number_sync_standbys int)
RETURNS record
LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF create_formation.kind <> 'pgsql' THEN
        RAISE EXCEPTION 'formations of kind "%" are not supported', create_formation.kind
            USING ERRCODE = CASE WHEN create_formation.kind = 'citus' THEN '0A000' ELSE '22023' END,
                HINT = 'Use the kind "pgsql".';
    END IF;
    IF create_formation.number_sync_standbys < 0 THEN
        RAISE EXCEPTION 'invalid value for number_sync_standbys: %', create_formation.number_sync_standbys
            USING ERRCODE = '22023', DETAIL = 'It must not be negative.';
    END IF;
    INSERT INTO pgautofailover.formation (formationid, kind, dbname, opt_secondary, number_sync_standbys)
    VALUES (create_formation.formation_id, create_formation.kind, create_formation.dbname,
            create_formation.opt_secondary, create_formation.number_sync_standbys);
END
$$;
REVOKE ALL ON FUNCTION pgautofailover.create_formation(text, text, name, bool, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.create_formation(text, text, name, bool, int) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.create_formation(text, text, name, bool, int) IS 'Adds a formation.';

CREATE FUNCTION pgautofailover.drop_formation(formation_id text)
RETURNS void
LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DELETE FROM pgautofailover.formation WHERE formationid = drop_formation.formation_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'formation "%" does not exist', drop_formation.formation_id USING ERRCODE = '42704';
    END IF;
END
$$;
REVOKE ALL ON FUNCTION pgautofailover.drop_formation(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.drop_formation(text) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.drop_formation(text) IS 'Drops a formation that has no nodes.';

CREATE FUNCTION pgautofailover.set_formation_number_sync_standbys(formation_id text, number_sync_standbys int)
RETURNS bool
LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    quorum_standbys bigint;
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pgautofailover.formation f
                   WHERE f.formationid = set_formation_number_sync_standbys.formation_id) THEN
        RAISE EXCEPTION 'formation "%" does not exist', formation_id USING ERRCODE = '22023';
    END IF;
    IF set_formation_number_sync_standbys.number_sync_standbys < 0 THEN
        RAISE EXCEPTION 'invalid value for number_sync_standbys: %', set_formation_number_sync_standbys.number_sync_standbys
            USING ERRCODE = '22023', DETAIL = 'It must not be negative.';
    END IF;
    IF set_formation_number_sync_standbys.number_sync_standbys > 0 THEN
        RAISE EXCEPTION 'cannot set number_sync_standbys to % in formation "%"', set_formation_number_sync_standbys.number_sync_standbys, formation_id
            USING ERRCODE = '22023',
                DETAIL = 'Groups have at most two nodes in this version, and one standby more than that is needed.';
    END IF;
    UPDATE pgautofailover.formation f SET number_sync_standbys = set_formation_number_sync_standbys.number_sync_standbys
    WHERE f.formationid = set_formation_number_sync_standbys.formation_id;
    RETURN true;
END
$$;
REVOKE ALL ON FUNCTION pgautofailover.set_formation_number_sync_standbys(text, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.set_formation_number_sync_standbys(text, int) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.set_formation_number_sync_standbys(text, int) IS 'Changes how many standbys must confirm a commit.';

CREATE FUNCTION pgautofailover.start_maintenance(node_id bigint)
RETURNS bool
LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'maintenance is not supported in this version'
        USING ERRCODE = '0A000', HINT = 'Use perform_failover() to move the primary away before stopping a node.';
END
$$;
REVOKE ALL ON FUNCTION pgautofailover.start_maintenance(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.start_maintenance(bigint) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.start_maintenance(bigint) IS 'Not supported in this version.';

CREATE FUNCTION pgautofailover.stop_maintenance(node_id bigint)
RETURNS bool
LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'maintenance is not supported in this version'
        USING ERRCODE = '0A000', HINT = 'Use perform_failover() to move the primary away before stopping a node.';
END
$$;
REVOKE ALL ON FUNCTION pgautofailover.stop_maintenance(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.stop_maintenance(bigint) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.stop_maintenance(bigint) IS 'Not supported in this version.';

CREATE FUNCTION pgautofailover.enable_secondary(formation_id text)
RETURNS bool
LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'changing whether a formation has standbys is not supported in this version'
        USING ERRCODE = '0A000', HINT = 'Drop the standby node instead.';
END
$$;
REVOKE ALL ON FUNCTION pgautofailover.enable_secondary(text) FROM PUBLIC;
COMMENT ON FUNCTION pgautofailover.enable_secondary(text) IS 'Not supported in this version.';

CREATE FUNCTION pgautofailover.disable_secondary(formation_id text)
RETURNS bool
LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'changing whether a formation has standbys is not supported in this version'
        USING ERRCODE = '0A000', HINT = 'Drop the standby node instead.';
END
$$;
REVOKE ALL ON FUNCTION pgautofailover.disable_secondary(text) FROM PUBLIC;
COMMENT ON FUNCTION pgautofailover.disable_secondary(text) IS 'Not supported in this version.';

CREATE FUNCTION pgautofailover.set_node_system_identifier(INOUT node_id bigint, node_sysidentifier bigint, OUT node_name text, OUT node_host text, OUT node_port int)
RETURNS record
LANGUAGE sql VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE pgautofailover.node n SET sysidentifier = set_node_system_identifier.node_sysidentifier
    WHERE n.nodeid = set_node_system_identifier.node_id
    RETURNING n.nodeid, n.nodename, n.nodehost, n.nodeport
$$;
REVOKE ALL ON FUNCTION pgautofailover.set_node_system_identifier(bigint, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.set_node_system_identifier(bigint, bigint) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.set_node_system_identifier(bigint, bigint) IS 'Sets the system identifier of a node.';

CREATE FUNCTION pgautofailover.set_group_system_identifier(group_id int, node_sysidentifier bigint, OUT node_id bigint, OUT node_name text, OUT node_host text, OUT node_port int)
RETURNS SETOF record
LANGUAGE sql VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE pgautofailover.node n SET sysidentifier = set_group_system_identifier.node_sysidentifier
    WHERE n.groupid = set_group_system_identifier.group_id AND n.sysidentifier = 0
    RETURNING n.nodeid, n.nodename, n.nodehost, n.nodeport
$$;
REVOKE ALL ON FUNCTION pgautofailover.set_group_system_identifier(int, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.set_group_system_identifier(int, bigint) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.set_group_system_identifier(int, bigint) IS 'Sets the system identifier of the nodes of a group that have 0.';

CREATE FUNCTION pgautofailover.get_nodes(formation_id text DEFAULT 'default', group_id int DEFAULT NULL, OUT node_id bigint, OUT node_name text, OUT node_host text, OUT node_port int, OUT node_lsn pg_lsn, OUT node_is_primary bool)
RETURNS SETOF record
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT n.nodeid, n.nodename, n.nodehost, n.nodeport,
           CASE WHEN f.lsn > '0/0' THEN f.lsn ELSE n.reportedlsn END,
           n.reportedstate IN ('single', 'wait_primary', 'primary', 'join_primary', 'apply_settings')
    FROM pgautofailover.node n LEFT JOIN pgautofailover.node_facts() f ON f.node_id = n.nodeid
    WHERE n.formationid = get_nodes.formation_id
      AND (get_nodes.group_id IS NULL OR n.groupid = get_nodes.group_id)
    ORDER BY n.groupid, n.nodeid
$$;
REVOKE ALL ON FUNCTION pgautofailover.get_nodes(text, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.get_nodes(text, int) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.get_nodes(text, int) IS 'The nodes of a formation, or of one group; none for a NULL formation.';

CREATE FUNCTION pgautofailover.get_other_nodes(nodeid bigint, OUT node_id bigint, OUT node_name text, OUT node_host text, OUT node_port int, OUT node_lsn pg_lsn, OUT node_is_primary bool)
RETURNS SETOF record
LANGUAGE plpgsql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    me pgautofailover.node;
BEGIN
    SELECT * INTO me FROM pgautofailover.node n WHERE n.nodeid = get_other_nodes.nodeid;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'node % does not exist', get_other_nodes.nodeid USING ERRCODE = '42704';
    END IF;
    RETURN QUERY SELECT n.nodeid, n.nodename, n.nodehost, n.nodeport,
           CASE WHEN f.lsn > '0/0' THEN f.lsn ELSE n.reportedlsn END,
           n.reportedstate IN ('single', 'wait_primary', 'primary', 'join_primary', 'apply_settings')
    FROM pgautofailover.node n LEFT JOIN pgautofailover.node_facts() f ON f.node_id = n.nodeid
    WHERE n.formationid = me.formationid AND n.groupid = me.groupid
      AND n.nodeid <> me.nodeid AND n.goalstate <> 'dropped'
    ORDER BY n.nodeid;
END
$$;
REVOKE ALL ON FUNCTION pgautofailover.get_other_nodes(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.get_other_nodes(bigint) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.get_other_nodes(bigint) IS 'The other nodes of the group of a node, without those being dropped.';

CREATE FUNCTION pgautofailover.get_other_nodes(nodeid bigint, current_state pgautofailover.replication_state, OUT node_id bigint, OUT node_name text, OUT node_host text, OUT node_port int, OUT node_lsn pg_lsn, OUT node_is_primary bool)
RETURNS SETOF record
LANGUAGE sql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT o.* FROM pgautofailover.get_other_nodes(get_other_nodes.nodeid) o
    JOIN pgautofailover.node n ON n.nodeid = o.node_id
    WHERE n.goalstate = get_other_nodes.current_state
    ORDER BY o.node_id
$$;
REVOKE ALL ON FUNCTION pgautofailover.get_other_nodes(bigint, pgautofailover.replication_state) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.get_other_nodes(bigint, pgautofailover.replication_state) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.get_other_nodes(bigint, pgautofailover.replication_state) IS 'The other nodes of the group of a node that should be in the given state.';

CREATE FUNCTION pgautofailover.get_primary(formation_id text DEFAULT 'default', group_id int DEFAULT 0, OUT primary_node_id bigint, OUT primary_name text, OUT primary_host text, OUT primary_port int)
RETURNS record
LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    SELECT n.nodeid, n.nodename, n.nodehost, n.nodeport
    INTO primary_node_id, primary_name, primary_host, primary_port
    FROM pgautofailover.node n
    WHERE n.formationid = get_primary.formation_id AND n.groupid = get_primary.group_id
      AND (n.goalstate IN ('single', 'wait_primary', 'primary', 'join_primary', 'apply_settings')
           OR n.reportedstate IN ('draining', 'demote_timeout', 'prepare_maintenance'))
    ORDER BY n.goalstate IN ('single', 'wait_primary', 'primary', 'join_primary', 'apply_settings') DESC, n.nodeid
    LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'formation "%" group % has no writable node', get_primary.formation_id, get_primary.group_id
            USING ERRCODE = '55000', HINT = 'Wait until the failover has ended, or register a node.';
    END IF;
END
$$;
REVOKE ALL ON FUNCTION pgautofailover.get_primary(text, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.get_primary(text, int) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.get_primary(text, int) IS 'The primary of a group, or the node on its way out of that.';

CREATE FUNCTION pgautofailover.get_coordinator(formation_id text DEFAULT 'default', OUT node_host text, OUT node_port int)
RETURNS SETOF record
LANGUAGE sql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT n.nodehost, n.nodeport FROM pgautofailover.node n
    WHERE n.formationid = get_coordinator.formation_id AND n.groupid = 0
      AND n.goalstate IN ('single', 'wait_primary', 'primary', 'join_primary', 'apply_settings') AND n.reportedstate IN ('single', 'wait_primary', 'primary', 'join_primary', 'apply_settings')
$$;
REVOKE ALL ON FUNCTION pgautofailover.get_coordinator(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.get_coordinator(text) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.get_coordinator(text) IS 'The primary of group 0 when it is settled.';

CREATE FUNCTION pgautofailover.current_state(formation_id text DEFAULT 'default',
    OUT formation_kind text, OUT nodename text, OUT nodehost text, OUT nodeport int,
    OUT group_id int, OUT node_id bigint, OUT current_group_state pgautofailover.replication_state,
    OUT assigned_group_state pgautofailover.replication_state, OUT candidate_priority int,
    OUT replication_quorum bool, OUT reported_tli int, OUT reported_lsn pg_lsn,
    OUT health integer, OUT nodecluster text, OUT noderegion text)
RETURNS SETOF record
LANGUAGE sql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT fo.kind, n.nodename, n.nodehost, n.nodeport, n.groupid, n.nodeid, n.reportedstate,
           n.goalstate, n.candidatepriority, n.replicationquorum,
           CASE WHEN f.tli > 0 THEN f.tli ELSE n.reportedtli END,
           CASE WHEN f.lsn > '0/0' THEN f.lsn ELSE n.reportedlsn END,
           n.health, n.nodecluster, n.region
    FROM pgautofailover.node n
    JOIN pgautofailover.formation fo ON fo.formationid = n.formationid
    LEFT JOIN pgautofailover.node_facts() f ON f.node_id = n.nodeid
    WHERE n.formationid = current_state.formation_id
    ORDER BY n.groupid, n.nodeid
$$;
REVOKE ALL ON FUNCTION pgautofailover.current_state(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.current_state(text) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.current_state(text) IS 'State of the nodes of a formation.';

CREATE FUNCTION pgautofailover.current_state(
    formation_id text, group_id int,
    OUT formation_kind text, OUT nodename text, OUT nodehost text, OUT nodeport int,
    OUT group_id int, OUT node_id bigint, OUT current_group_state pgautofailover.replication_state,
    OUT assigned_group_state pgautofailover.replication_state, OUT candidate_priority int,
    OUT replication_quorum bool, OUT reported_tli int, OUT reported_lsn pg_lsn,
    OUT health integer, OUT nodecluster text, OUT noderegion text)
RETURNS SETOF record
LANGUAGE sql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT s.* FROM pgautofailover.current_state(current_state.formation_id) s
    WHERE s.group_id = $2
    ORDER BY s.node_id
$$;
REVOKE ALL ON FUNCTION pgautofailover.current_state(text, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.current_state(text, int) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.current_state(text, int) IS 'State of the nodes of a group.';

CREATE FUNCTION pgautofailover.last_events(count int DEFAULT 10)
RETURNS SETOF pgautofailover.event
LANGUAGE sql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT * FROM (
        SELECT * FROM pgautofailover.event e
        ORDER BY e.eventid DESC LIMIT last_events.count) AS last
    ORDER BY eventtime, eventid
$$;
REVOKE ALL ON FUNCTION pgautofailover.last_events(int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.last_events(int) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.last_events(int) IS 'The last events of all formations.';

CREATE FUNCTION pgautofailover.last_events(formation_id text, count int DEFAULT 10)
RETURNS SETOF pgautofailover.event
LANGUAGE sql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT * FROM (
        SELECT * FROM pgautofailover.event e
        WHERE e.formationid = last_events.formation_id
        ORDER BY e.eventid DESC LIMIT last_events.count) AS last
    ORDER BY eventtime, eventid
$$;
REVOKE ALL ON FUNCTION pgautofailover.last_events(text, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.last_events(text, int) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.last_events(text, int) IS 'The last events of a formation.';

CREATE FUNCTION pgautofailover.last_events(formation_id text, group_id int, count int)
RETURNS SETOF pgautofailover.event
LANGUAGE sql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT * FROM (
        SELECT * FROM pgautofailover.event e
        WHERE e.formationid = last_events.formation_id AND e.groupid = last_events.group_id
        ORDER BY e.eventid DESC LIMIT last_events.count) AS last
    ORDER BY eventtime, eventid
$$;
REVOKE ALL ON FUNCTION pgautofailover.last_events(text, int, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.last_events(text, int, int) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.last_events(text, int, int) IS 'The last events of a group.';

CREATE FUNCTION pgautofailover.formation_uri(formation_id text DEFAULT 'default', cluster_name text DEFAULT 'default',
    sslmode text DEFAULT 'prefer', sslrootcert text DEFAULT '', sslcrl text DEFAULT '')
RETURNS text
LANGUAGE sql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT 'postgres://'
           || string_agg(format('%s:%s', CASE WHEN n.nodehost LIKE '%:%' AND n.nodehost NOT LIKE '[%'
                                              THEN '[' || n.nodehost || ']' ELSE n.nodehost END,
                                n.nodeport), ',' ORDER BY n.nodeid)
           || '/' || f.dbname || '?'
           || CASE WHEN formation_uri.cluster_name = 'default'
                   THEN 'target_session_attrs=read-write&' ELSE '' END
           || 'sslmode=' || formation_uri.sslmode
           || CASE WHEN formation_uri.sslrootcert = '' THEN ''
                   ELSE '&sslrootcert=' || formation_uri.sslrootcert END
           || CASE WHEN formation_uri.sslcrl = '' THEN '' ELSE '&sslcrl=' || formation_uri.sslcrl END
    FROM pgautofailover.node n
    JOIN pgautofailover.formation f ON f.formationid = n.formationid
    WHERE n.formationid = formation_uri.formation_id AND n.groupid = 0
      AND n.nodecluster = formation_uri.cluster_name AND n.goalstate <> 'dropped'
    GROUP BY f.dbname
$$;
REVOKE ALL ON FUNCTION pgautofailover.formation_uri(text, text, text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.formation_uri(text, text, text, text, text) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.formation_uri(text, text, text, text, text) IS 'Connection string of a formation for applications; NULL without nodes.';

CREATE FUNCTION pgautofailover.formation_settings(formation_id text DEFAULT 'default', OUT context text, OUT group_id int, OUT node_id bigint,
    OUT nodename text, OUT setting text, OUT value text)
RETURNS SETOF record
LANGUAGE sql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT 'formation', NULL::int, NULL::bigint, f.formationid, 'number_sync_standbys', f.number_sync_standbys::text
    FROM pgautofailover.formation f WHERE f.formationid = formation_settings.formation_id
    UNION ALL
    (SELECT 'primary', n.groupid, n.nodeid, n.nodename, 'synchronous_standby_names',
           quote_literal(pgautofailover.synchronous_standby_names(n.formationid, n.groupid))
    FROM pgautofailover.node n
    WHERE n.formationid = formation_settings.formation_id AND n.goalstate IN ('single', 'wait_primary', 'primary', 'join_primary', 'apply_settings')
    ORDER BY n.groupid, n.nodeid)
    UNION ALL
    (SELECT 'node', n.groupid, n.nodeid, n.nodename, 'replication quorum', n.replicationquorum::text
    FROM pgautofailover.node n WHERE n.formationid = formation_settings.formation_id
    ORDER BY n.groupid, n.nodeid)
    UNION ALL
    (SELECT 'node', n.groupid, n.nodeid, n.nodename, 'candidate priority', n.candidatepriority::text
    FROM pgautofailover.node n WHERE n.formationid = formation_settings.formation_id
    ORDER BY n.groupid, n.nodeid)
$$;
REVOKE ALL ON FUNCTION pgautofailover.formation_settings(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.formation_settings(text) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.formation_settings(text) IS 'Settings of a formation, its primaries and its nodes.';
