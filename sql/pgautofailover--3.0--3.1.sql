-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION pgautofailover UPDATE TO '3.1'" to load this file. \quit

-- Groups of any number of nodes.

ALTER TABLE pgautofailover.node
    ADD COLUMN goalversion bigint NOT NULL DEFAULT 0,
    ADD COLUMN replication_stall_since timestamptz,
    ADD COLUMN pg_versionnum int,
    ADD COLUMN pg_version text,
    ADD COLUMN pg_versionstring text,
    ADD COLUMN citus_version text;
COMMENT ON COLUMN pgautofailover.node.goalversion IS 'Raised with every new goal: what a node says about itself holds under one of them.';
COMMENT ON COLUMN pgautofailover.node.replication_stall_since IS 'Since when writes wait because no synchronous standby confirms; NULL when one does.';
COMMENT ON COLUMN pgautofailover.node.pg_versionnum IS 'server_version_num of the node, as told by report_postgres_version.';
COMMENT ON COLUMN pgautofailover.node.pg_version IS 'Version of PostgreSQL, as told by report_postgres_version.';
COMMENT ON COLUMN pgautofailover.node.pg_versionstring IS 'version() of the node, as told by report_postgres_version.';
COMMENT ON COLUMN pgautofailover.node.citus_version IS 'Version of Citus, as told by report_postgres_version.';

ALTER TABLE pgautofailover.group_state
    ADD COLUMN primary_node bigint NOT NULL DEFAULT 0,
    ADD COLUMN preferred_node bigint NOT NULL DEFAULT 0,
    ADD COLUMN timeline int NOT NULL DEFAULT 0,
    ADD COLUMN highest_timeline int NOT NULL DEFAULT 0,
    ADD COLUMN accepts_data_loss bool NOT NULL DEFAULT false,
    ADD COLUMN sync_superseded text NOT NULL DEFAULT '';
UPDATE pgautofailover.group_state g SET primary_node = coalesce((
    SELECT n.nodeid FROM pgautofailover.node n
    WHERE n.formationid = g.formationid AND n.groupid = g.groupid
      AND n.goalstate IN ('single', 'wait_primary', 'primary', 'apply_settings', 'draining', 'demote_timeout', 'dropped')
    ORDER BY n.goalstate = 'dropped', n.nodeid LIMIT 1), 0);
COMMENT ON COLUMN pgautofailover.group_state.primary_node IS 'Who was decided to be the primary of this term.';
COMMENT ON COLUMN pgautofailover.group_state.preferred_node IS 'Whom the operator wants to be the next primary; 0: nobody.';
COMMENT ON COLUMN pgautofailover.group_state.timeline IS 'Timeline on which the primary of this term writes; 0: not known yet.';
COMMENT ON COLUMN pgautofailover.group_state.highest_timeline IS 'Highest number that a timeline of the group has, or may have been given.';
COMMENT ON COLUMN pgautofailover.group_state.accepts_data_loss IS 'The operator accepts that the election under way loses acknowledged commits.';
COMMENT ON COLUMN pgautofailover.group_state.sync_superseded IS 'Sets that were replaced before they were confirmed, as k:members: they may have been in use.';

CREATE INDEX event_formation ON pgautofailover.event (formationid, eventid);
CREATE INDEX event_time ON pgautofailover.event (eventtime);
ALTER TABLE pgautofailover.event ADD COLUMN rule_section text;
COMMENT ON TABLE pgautofailover.event IS 'What happened and why. Events older than pgautofailover.event_retention are removed.';
COMMENT ON COLUMN pgautofailover.event.rule_section IS 'Section of the rule that decided.';

CREATE TABLE pgautofailover.node_timeline_history (
    nodeid bigint NOT NULL REFERENCES pgautofailover.node (nodeid) ON DELETE CASCADE,
    tli int NOT NULL,
    parenttli int NOT NULL,
    switchpoint_lsn pg_lsn NOT NULL,
    PRIMARY KEY (nodeid, tli)
);
COMMENT ON TABLE pgautofailover.node_timeline_history IS 'How the timelines of a node came to be.';
COMMENT ON COLUMN pgautofailover.node_timeline_history.nodeid IS 'The node.';
COMMENT ON COLUMN pgautofailover.node_timeline_history.tli IS 'The timeline that began.';
COMMENT ON COLUMN pgautofailover.node_timeline_history.parenttli IS 'The timeline that it left.';
COMMENT ON COLUMN pgautofailover.node_timeline_history.switchpoint_lsn IS 'Where it left it.';
GRANT SELECT ON pgautofailover.node_timeline_history TO autoctl_node;

CREATE TABLE pgautofailover.accepted_timeline (
    formationid text NOT NULL,
    groupid int NOT NULL,
    accepted_tli int NOT NULL,
    decided_by text,
    decided_at timestamptz NOT NULL DEFAULT now(),
    resolved_at timestamptz,
    PRIMARY KEY (formationid, groupid, decided_at)
);
COMMENT ON TABLE pgautofailover.accepted_timeline IS 'Which timeline operators have said is the right one.';
COMMENT ON COLUMN pgautofailover.accepted_timeline.formationid IS 'Formation of the group.';
COMMENT ON COLUMN pgautofailover.accepted_timeline.groupid IS 'Group within the formation.';
COMMENT ON COLUMN pgautofailover.accepted_timeline.accepted_tli IS 'The right timeline.';
COMMENT ON COLUMN pgautofailover.accepted_timeline.decided_by IS 'Who said so.';
COMMENT ON COLUMN pgautofailover.accepted_timeline.decided_at IS 'When.';
COMMENT ON COLUMN pgautofailover.accepted_timeline.resolved_at IS 'When it stopped to count; NULL while it counts.';
GRANT SELECT ON pgautofailover.accepted_timeline TO autoctl_node;

SELECT pg_catalog.pg_extension_config_dump('pgautofailover.node_timeline_history', '');
SELECT pg_catalog.pg_extension_config_dump('pgautofailover.accepted_timeline', '');

CREATE FUNCTION pgautofailover.perform_failover(formation_id text, group_id int, allow_data_loss bool, primary_is_off bool DEFAULT false)
RETURNS void
LANGUAGE c VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', $$pgautofailover_perform_failover$$;
REVOKE ALL ON FUNCTION pgautofailover.perform_failover(text, int, bool, bool) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.perform_failover(text, int, bool, bool) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.perform_failover(text, int, bool, bool) IS 'Starts a failover; may accept the loss of commits that nobody can vouch for, and the word of the operator that the machine of the primary is off.';

CREATE OR REPLACE FUNCTION pgautofailover.set_formation_number_sync_standbys(formation_id text, number_sync_standbys int)
RETURNS bool
LANGUAGE c VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', $$pgautofailover_set_formation_number_sync_standbys$$;

CREATE OR REPLACE FUNCTION pgautofailover.start_maintenance(node_id bigint)
RETURNS bool
LANGUAGE c VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', $$pgautofailover_start_maintenance$$;
COMMENT ON FUNCTION pgautofailover.start_maintenance(bigint) IS 'Takes a node out of elections and synchronous replication; a primary hands over first. False for an unknown node.';

CREATE OR REPLACE FUNCTION pgautofailover.stop_maintenance(node_id bigint)
RETURNS bool
LANGUAGE c VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', $$pgautofailover_stop_maintenance$$;
COMMENT ON FUNCTION pgautofailover.stop_maintenance(bigint) IS 'Takes a node back as a standby. False for an unknown node.';

CREATE OR REPLACE FUNCTION pgautofailover.enable_secondary(formation_id text)
RETURNS bool
LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE pgautofailover.formation SET opt_secondary = true WHERE formationid = enable_secondary.formation_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'formation "%" does not exist', enable_secondary.formation_id USING ERRCODE = '42704';
    END IF;
    RETURN true;
END
$$;
COMMENT ON FUNCTION pgautofailover.enable_secondary(text) IS 'Allows standbys in a formation.';

CREATE OR REPLACE FUNCTION pgautofailover.disable_secondary(formation_id text)
RETURNS bool
LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE pgautofailover.formation SET opt_secondary = false WHERE formationid = disable_secondary.formation_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'formation "%" does not exist', disable_secondary.formation_id USING ERRCODE = '42704';
    END IF;
    RETURN true;
END
$$;
COMMENT ON FUNCTION pgautofailover.disable_secondary(text) IS 'Forbids standbys in a formation that has none.';
GRANT EXECUTE ON FUNCTION pgautofailover.enable_secondary(text) TO autoctl_node;
GRANT EXECUTE ON FUNCTION pgautofailover.disable_secondary(text) TO autoctl_node;

CREATE FUNCTION pgautofailover.update_secondary_check()
RETURNS trigger
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    standby pgautofailover.node;
BEGIN
    IF NEW.opt_secondary OR NOT OLD.opt_secondary THEN
        RETURN NEW;
    END IF;
    SELECT * INTO standby FROM pgautofailover.node n
    WHERE n.formationid = NEW.formationid AND n.goalstate <> 'dropped' AND n.reportedstate <> 'single'
    ORDER BY n.nodeid LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'cannot disable secondaries in formation "%" while it has some', NEW.formationid
            USING ERRCODE = '55000',
                DETAIL = format('Node %s "%s" is in state %s.', standby.nodeid, standby.nodename, standby.reportedstate),
                HINT = 'Drop the standbys first: pg_autoctl drop node.';
    END IF;
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION pgautofailover.update_secondary_check() FROM PUBLIC;
COMMENT ON FUNCTION pgautofailover.update_secondary_check() IS 'Trigger: secondaries are disabled only where there are none.';
CREATE TRIGGER disable_secondary_check BEFORE UPDATE ON pgautofailover.formation
    FOR EACH ROW EXECUTE FUNCTION pgautofailover.update_secondary_check();

CREATE FUNCTION pgautofailover.set_node_region(formation_id text, node_name text, region text)
RETURNS bool
LANGUAGE c VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', $$pgautofailover_set_node_region$$;
REVOKE ALL ON FUNCTION pgautofailover.set_node_region(text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.set_node_region(text, text, text) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.set_node_region(text, text, text) IS 'Changes the region of a node.';

CREATE FUNCTION pgautofailover.report_postgres_version(
    node_id bigint, pg_versionnum int DEFAULT NULL, pg_version text DEFAULT NULL,
    pg_versionstring text DEFAULT NULL, citus_version text DEFAULT NULL)
RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE pgautofailover.node n
    SET pg_versionnum = report_postgres_version.pg_versionnum,
        pg_version = report_postgres_version.pg_version,
        pg_versionstring = report_postgres_version.pg_versionstring,
        citus_version = report_postgres_version.citus_version
    WHERE n.nodeid = report_postgres_version.node_id
$$;
REVOKE ALL ON FUNCTION pgautofailover.report_postgres_version(bigint, int, text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.report_postgres_version(bigint, int, text, text, text) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.report_postgres_version(bigint, int, text, text, text) IS 'Remembers the version of PostgreSQL of a node; an unknown node is passed over.';

CREATE FUNCTION pgautofailover.report_timeline_history(node_id bigint, history jsonb)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF node_id IS NULL OR history IS NULL OR jsonb_typeof(history) <> 'array' THEN
        RAISE EXCEPTION 'a node and a JSON array of {tli, parenttli, switchpoint} are needed' USING ERRCODE = '22023';
    END IF;
    INSERT INTO pgautofailover.node_timeline_history (nodeid, tli, parenttli, switchpoint_lsn)
    SELECT report_timeline_history.node_id, h.tli, h.parenttli, h.switchpoint::pg_lsn
    FROM jsonb_to_recordset(history) AS h(tli int, parenttli int, switchpoint text)
    ON CONFLICT DO NOTHING;
EXCEPTION WHEN foreign_key_violation THEN
    RAISE EXCEPTION 'node % does not exist', node_id USING ERRCODE = '42704';
END
$$;
REVOKE ALL ON FUNCTION pgautofailover.report_timeline_history(bigint, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.report_timeline_history(bigint, jsonb) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.report_timeline_history(bigint, jsonb) IS 'Remembers how the timelines of a node came to be.';

CREATE FUNCTION pgautofailover.accept_timeline(formation_id text, group_id int, target_tli int, decided_by text DEFAULT NULL)
RETURNS bool
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM pgautofailover.node n LEFT JOIN pgautofailover.node_facts() f ON f.node_id = n.nodeid
        WHERE n.formationid = accept_timeline.formation_id AND n.groupid = accept_timeline.group_id
          AND target_tli IN (n.reportedtli, f.tli)
        UNION ALL
        SELECT 1 FROM pgautofailover.node_timeline_history h JOIN pgautofailover.node n ON n.nodeid = h.nodeid
        WHERE n.formationid = accept_timeline.formation_id AND n.groupid = accept_timeline.group_id
          AND target_tli IN (h.tli, h.parenttli)) THEN
        RAISE EXCEPTION 'no node of formation "%" group % has reported timeline %', formation_id, group_id, target_tli
            USING HINT = 'See what they have: SELECT * FROM pgautofailover.node_timeline_status(formation_id, group_id).';
    END IF;
    INSERT INTO pgautofailover.accepted_timeline (formationid, groupid, accepted_tli, decided_by, decided_at)
    VALUES (formation_id, group_id, target_tli, coalesce(accept_timeline.decided_by, session_user), clock_timestamp());
    RETURN true;
END
$$;
REVOKE ALL ON FUNCTION pgautofailover.accept_timeline(text, int, int, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.accept_timeline(text, int, int, text) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.accept_timeline(text, int, int, text) IS 'Says which timeline of a group is the right one, where nodes have parted.';

CREATE FUNCTION pgautofailover.resolve_accepted_timeline(formation_id text, group_id int)
RETURNS bool
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    WITH resolved AS (
        UPDATE pgautofailover.accepted_timeline a SET resolved_at = now()
        WHERE a.formationid = resolve_accepted_timeline.formation_id
          AND a.groupid = resolve_accepted_timeline.group_id AND a.resolved_at IS NULL
        RETURNING 1)
    SELECT EXISTS (SELECT 1 FROM resolved)
$$;
REVOKE ALL ON FUNCTION pgautofailover.resolve_accepted_timeline(text, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.resolve_accepted_timeline(text, int) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.resolve_accepted_timeline(text, int) IS 'What was said about the right timeline stops to count; false when nothing was.';

CREATE FUNCTION pgautofailover.node_timeline_status(formation_id text, group_id int,
    OUT node_id bigint, OUT node_name text, OUT tli int, OUT lsn pg_lsn, OUT reference_tli int,
    OUT on_accepted_lineage bool)
RETURNS SETOF record
LANGUAGE sql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
    WITH RECURSIVE nodes AS (
        SELECT n.nodeid, n.nodename, CASE WHEN f.tli > 0 THEN f.tli ELSE n.reportedtli END AS tli,
               CASE WHEN f.lsn > '0/0' THEN f.lsn ELSE n.reportedlsn END AS lsn
        FROM pgautofailover.node n LEFT JOIN pgautofailover.node_facts() f ON f.node_id = n.nodeid
        WHERE n.formationid = node_timeline_status.formation_id
          AND n.groupid = node_timeline_status.group_id AND n.goalstate <> 'dropped'
    ), reference AS (
        SELECT coalesce(
            (SELECT a.accepted_tli FROM pgautofailover.accepted_timeline a
             WHERE a.formationid = node_timeline_status.formation_id
               AND a.groupid = node_timeline_status.group_id AND a.resolved_at IS NULL
             ORDER BY a.decided_at DESC LIMIT 1),
            (SELECT g.timeline FROM pgautofailover.group_state g
             WHERE g.formationid = node_timeline_status.formation_id
               AND g.groupid = node_timeline_status.group_id AND g.timeline > 0),
            (SELECT max(n.tli) FROM nodes n)) AS tli
    ), switches AS (
        SELECT DISTINCT h.tli, h.parenttli, h.switchpoint_lsn
        FROM pgautofailover.node_timeline_history h JOIN nodes n ON n.nodeid = h.nodeid
    ), lineage AS (
        SELECT r.tli, NULL::pg_lsn AS ends FROM reference r
        UNION
        SELECT s.parenttli, s.switchpoint_lsn FROM lineage l JOIN switches s ON s.tli = l.tli
    )
    SELECT n.nodeid, n.nodename, n.tli, n.lsn, r.tli,
           EXISTS (SELECT 1 FROM lineage l WHERE l.tli = n.tli AND (l.ends IS NULL OR n.lsn <= l.ends))
    FROM nodes n CROSS JOIN reference r ORDER BY n.nodeid
$$;
REVOKE ALL ON FUNCTION pgautofailover.node_timeline_status(text, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.node_timeline_status(text, int) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.node_timeline_status(text, int) IS 'Which nodes of a group are on the right timeline, or before it.';

CREATE FUNCTION pgautofailover.get_most_advanced_standby(
    formationid text DEFAULT 'default', groupid int DEFAULT 0, caller_node_id bigint DEFAULT 0,
    OUT node_id bigint, OUT node_name text, OUT node_host text, OUT node_port int, OUT node_lsn pg_lsn,
    OUT node_is_primary bool)
RETURNS SETOF record
LANGUAGE sql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT n.nodeid, n.nodename, n.nodehost, n.nodeport,
           CASE WHEN f.lsn > '0/0' THEN f.lsn ELSE n.reportedlsn END, false
    FROM pgautofailover.node n LEFT JOIN pgautofailover.node_facts() f ON f.node_id = n.nodeid
    WHERE n.formationid = get_most_advanced_standby.formationid
      AND n.groupid = get_most_advanced_standby.groupid
      AND n.nodeid <> get_most_advanced_standby.caller_node_id
      AND n.reportedstate = 'report_lsn' AND n.health > 0
    ORDER BY 5 DESC, n.nodeid LIMIT 1
$$;
REVOKE ALL ON FUNCTION pgautofailover.get_most_advanced_standby(text, int, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.get_most_advanced_standby(text, int, bigint) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.get_most_advanced_standby(text, int, bigint) IS 'The healthy standby with the most WAL among those in state report_lsn, the caller left out.';

CREATE FUNCTION pgautofailover.failover_status(formation_id text DEFAULT 'default',
    OUT group_id int, OUT term bigint, OUT primary_node_id bigint, OUT candidate_node_id bigint,
    OUT synchronous_standby_names text, OUT is_confirmed bool, OUT can_fail_over bool, OUT reason text)
RETURNS SETOF record
LANGUAGE c VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', $$pgautofailover_failover_status$$;
REVOKE ALL ON FUNCTION pgautofailover.failover_status(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.failover_status(text) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.failover_status(text) IS 'Whether a failover could succeed now without the loss of a commit, to whom, and if not, why.';

DROP FUNCTION pgautofailover.dump_fsm();
CREATE FUNCTION pgautofailover.dump_fsm(OUT pos int, OUT name text, OUT section text, OUT comment text,
    OUT active_node_assigned_state text, OUT other_node_assigned_state text)
RETURNS SETOF record
LANGUAGE c IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', $$pgautofailover_dump_fsm$$;
REVOKE ALL ON FUNCTION pgautofailover.dump_fsm() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.dump_fsm() TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.dump_fsm() IS 'The monitor''s rules, in the order in which they are tried. The other node is the old primary.';

CREATE FUNCTION pgautofailover.dump_fsm_edges(OUT pos int, OUT current_state text, OUT assigned_state text)
RETURNS SETOF record
LANGUAGE c IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', $$pgautofailover_dump_fsm_edges$$;
REVOKE ALL ON FUNCTION pgautofailover.dump_fsm_edges() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.dump_fsm_edges() TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.dump_fsm_edges() IS 'The transitions that keepers carry out; every state can also go to dropped.';

CREATE FUNCTION pgautofailover.check_fsm_reachability(keeper_edges jsonb,
    OUT pos int, OUT current_state text, OUT assigned_state text, OUT comment text)
RETURNS SETOF record
LANGUAGE sql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT e.pos, e.current_state, e.assigned_state, 'the keeper does not know this transition'
    FROM pgautofailover.dump_fsm_edges() e
    WHERE NOT EXISTS (
        SELECT 1 FROM jsonb_to_recordset(keeper_edges) AS k(current text, assigned text)
        WHERE k.assigned = e.assigned_state AND k.current IN (e.current_state, 'any'))
    ORDER BY e.pos
$$;
REVOKE ALL ON FUNCTION pgautofailover.check_fsm_reachability(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgautofailover.check_fsm_reachability(jsonb) TO autoctl_node;
COMMENT ON FUNCTION pgautofailover.check_fsm_reachability(jsonb) IS 'Transitions that the monitor may ask for and a keeper, by its list of {current, assigned}, does not know.';

CREATE VIEW pgautofailover.fsm AS
    SELECT pos, section, name, comment, active_node_assigned_state, other_node_assigned_state
    FROM pgautofailover.dump_fsm() ORDER BY pos;
COMMENT ON VIEW pgautofailover.fsm IS 'The monitor''s rules, in the order in which they are tried.';
GRANT SELECT ON pgautofailover.fsm TO autoctl_node;

CREATE FUNCTION pgautofailover.testing_lock_formation(formation_id text)
RETURNS void
LANGUAGE c VOLATILE STRICT
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', $$pgautofailover_testing_lock_formation$$;
REVOKE ALL ON FUNCTION pgautofailover.testing_lock_formation(text) FROM PUBLIC;
COMMENT ON FUNCTION pgautofailover.testing_lock_formation(text) IS 'Holds the lock of a formation until the end of the transaction, for tests.';

CREATE FUNCTION pgautofailover.testing_lock_node_group(formation_id text, group_id int)
RETURNS void
LANGUAGE c VOLATILE STRICT
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', $$pgautofailover_testing_lock_node_group$$;
REVOKE ALL ON FUNCTION pgautofailover.testing_lock_node_group(text, int) FROM PUBLIC;
COMMENT ON FUNCTION pgautofailover.testing_lock_node_group(text, int) IS 'Holds the lock of a group until the end of the transaction, for tests.';
