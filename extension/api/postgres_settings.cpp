#include "api/postgres_settings.hpp"

#include "api/arguments.hpp"
#include "api/rights.hpp"
#include "facts/node_facts.hpp"
#include "pg/report.hpp"
#include "store/setting_store.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace pgaf::api {
namespace {

using core::NodeId;
using pg::PgError;
using store::SettingChange;
using store::SettingScope;

/// Raises what this server says against the value. Checks that depend on the machine are left to
/// the nodes: what a text means is.
void CheckValueHere(const std::string &name, const std::string &value) {
    const char *const setting = name.c_str();
    const char *const text = value.c_str();
    pg::CallPg([setting, text] {
        (void)set_config_option(setting, text, PGC_POSTMASTER, PGC_S_FILE, GUC_ACTION_SET, false,
                                ERROR, false);
    });
}

void CheckHere(const std::string &formation, const std::string &name,
               const std::optional<std::string> &value) {
    if (name.find('.') != std::string::npos) return;  // of an extension, which only nodes have
    const auto known = store::FindKnownSetting(name);
    if (!known) {
        if (store::HasNewerNode(formation)) return;
        throw PgError(ERRCODE_UNDEFINED_OBJECT,
                      "unrecognized configuration parameter \"" + name + "\"");
    }
    if (known->context == "internal")
        throw PgError(ERRCODE_CANT_CHANGE_RUNTIME_PARAM,
                      "parameter \"" + name + "\" cannot be changed");
    if (value && known->type != "string") CheckValueHere(name, *value);
}

std::string Sentence(const SettingChange &change, const std::string &where) {
    const std::string what = "\"" + change.name + "\" of " + where;
    return change.value ? "Setting PostgreSQL's " + what + " to \"" + *change.value + "\""
                        : "Resetting PostgreSQL's " + what;
}

/// Who the event is about: the node, else the primary of the group, else its first node.
NodeId SubjectOf(const Group &group, NodeId node) {
    if (node.IsValid()) return node;
    const auto &nodes = group.view().nodes;
    if (group.Has(group.view().primary)) return group.view().primary;
    return nodes.empty() ? NodeId{} : nodes.front().id;
}

void Tell(const Group &group, NodeId node, const std::string &text) {
    const NodeId subject = SubjectOf(group, node);
    if (subject.IsValid()) store::Announce(group.key(), group.RowOf(subject), text);
    group.WakeKeepers();
}

std::vector<Group> LockGroups(const SettingScope &scope,
                              const std::optional<store::NodeAddress> &node) {
    std::vector<Group> groups;
    if (node) {
        groups.push_back(Group::Lock(node->group));
        (void)groups.back().RowOf(node->node);  // raises when it has been removed meanwhile
        return groups;
    }
    for (const int number : store::GroupsOf(scope.formation))
        groups.push_back(Group::Lock({scope.formation, number}));
    return groups;
}

/// Before the locks of groups, so that two changes of a formation come one after the other.
std::int64_t Change(SettingChange change, const std::optional<std::string> &node_name) {
    SettingScope &scope = change.scope;
    store::LockFormation(scope.formation);
    if (!store::HasFormation(scope.formation))
        throw PgError(ERRCODE_UNDEFINED_OBJECT,
                      "formation \"" + scope.formation + "\" does not exist", {},
                      "Create it with pg_autoctl create formation.");
    std::optional<store::NodeAddress> node;
    if (node_name) {
        node = store::FindNodeByName(scope.formation, *node_name);
        if (!node)
            throw PgError(ERRCODE_UNDEFINED_OBJECT, "node \"" + *node_name +
                                                        "\" does not exist in formation \"" +
                                                        scope.formation + "\"");
        scope.node = node->node;
    }
    if (change.value) CheckHere(scope.formation, change.name, change.value);
    const std::vector<Group> groups = LockGroups(scope, node);
    change.former = store::FindSetting(scope, change.name);
    if (change.former == change.value) return 0;
    const std::int64_t version = store::StoreChange(change);
    const std::string where = node ? store::Describe(groups.front().RowOf(node->node).view)
                                   : "formation \"" + scope.formation + "\"";
    for (const Group &group : groups)
        Tell(group, scope.node, Sentence(change, where));
    store::AcceptChanges(scope.formation);  // when there is nobody to ask
    return version;
}

void Refuse(const Group &group, const store::NodeRow &row, const core::Report &report) {
    store::UpdateSettingsReported(report.node, -row.settings_version);
    const SettingScope scope{group.key().formation, report.node};
    const std::string text = store::Describe(row.view) + " refuses PostgreSQL's \"" +
                             report.refused_name + "\": " + report.refusal.substr(0, 1000);
    const auto which = report.refused_at_start ? store::Which::kPresent : store::Which::kPending;
    const auto change = store::FindChange(scope, report.refused_name, row.settings_version, which);
    if (!change) return Tell(group, report.node, text);
    store::TakeBack(*change, text);
    Tell(group, report.node,
         text + "; " +
             (change->former ? "it is \"" + *change->former + "\" again" : "it is no longer set"));
}

}  // namespace

void NoteSettings(const Group &group, const core::Report &report) {
    if (!group.Has(report.node)) return;
    const store::NodeRow row = group.RowOf(report.node);
    if (!report.settings_state.empty() && report.settings_mark != row.settings_mark)
        store::StoreSettingStates(report.node, report.settings_mark, report.settings_state);
    const bool refuses = report.refused_settings == row.settings_version;
    if (refuses && row.settings_reported != -row.settings_version) {
        Refuse(group, row, report);
    } else if (report.settings_version == row.settings_version &&
               row.settings_reported != row.settings_version) {
        store::UpdateSettingsReported(report.node, row.settings_version);
        store::AcceptChanges(group.key().formation);
    }
}

void AnswerSettings(const Group &group, const core::Report &report, core::Reply &reply) {
    if (!group.Has(report.node)) return;
    const store::NodeRow row = group.RowOf(report.node);
    reply.settings_version = row.settings_version;
    // A new monitor knows of none: the node keeps those that another one gave it.
    if (row.settings_version == 0 && report.settings_version > 0) {
        reply.settings_version = report.settings_version;
        return;
    }
    // One that was refused was given back; a node that refuses an old value keeps its own.
    const bool is_known = report.settings_version == row.settings_version ||
                          report.refused_settings == row.settings_version;
    if (!is_known) reply.settings = store::SettingsOf({group.key().formation, report.node});
    reply.settings_mark = report.settings_state.empty() ? row.settings_mark : report.settings_mark;
    const bool is_that_server = row.restart_of != 0 && report.server_start == row.restart_of;
    if (is_that_server && row.is_restart_new) reply.restart_of = row.restart_of;
}

/// set_postgres_setting(formation, name, value, node)
PGAF_SQL_FUNCTION(pgautofailover_set_postgres_setting) {
    const auto formation = OptionalTextArg(fcinfo, 0);
    const auto name = OptionalTextArg(fcinfo, 1);
    if (!formation || !name)
        throw PgError(ERRCODE_NULL_VALUE_NOT_ALLOWED,
                      "formation_id and setting_name must not be NULL");
    SettingChange change{.version = 0,
                         .scope = {*formation, {}},
                         .name = core::FoldName(*name),
                         .value = OptionalTextArg(fcinfo, 2),
                         .former = {}};
    if (change.value) pg::CheckOrRaise(core::CheckPostgresSetting(*name, *change.value));
    pg::Spi spi;
    CheckOrder(*formation);
    if (core::NeedsOperator(change.name)) CheckOperator("set \"" + change.name + "\"");
    return Int64GetDatum(Change(std::move(change), OptionalTextArg(fcinfo, 3)));
}

PGAF_SQL_FUNCTION(pgautofailover_restart_node) {
    const std::string formation = TextArg(fcinfo, 0);
    const std::string name = TextArg(fcinfo, 1);
    pg::Spi spi;
    const auto node = store::FindNodeByName(formation, name);
    if (!node)
        throw PgError(ERRCODE_UNDEFINED_OBJECT,
                      "node \"" + name + "\" does not exist in formation \"" + formation + "\"");
    CheckOrder(formation, node->group.group);
    const Group group = Group::Lock(node->group);
    const store::NodeRow row = group.RowOf(node->node);
    const core::NodeView &view = row.view;
    if (!view.has_report || !view.report.pg_running || view.report.server_start == 0)
        throw PgError(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                      "PostgreSQL of " + store::Describe(view) + " is not running", {},
                      "Start its keeper: pg_autoctl run.");
    if (view.reported != view.goal)
        throw PgError(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                      "cannot restart " + store::Describe(view) + " now",
                      "It reports " + std::string(core::ToString(view.reported)) +
                          " and is assigned " + std::string(core::ToString(view.goal)) + ".",
                      "Wait until it has reached that state.");
    store::UpdateRestart(node->node, view.report.server_start);
    Tell(group, node->node, "Restarting PostgreSQL of " + store::Describe(view));
    return Int64GetDatum(view.report.server_start);
}

PGAF_SQL_FUNCTION(pgautofailover_server_start) {
    const auto facts = facts::Find(NodeId{PG_GETARG_INT64(0)});
    if (!facts || !facts->has_report || facts->report.server_start == 0) PG_RETURN_NULL();
    return Int64GetDatum(facts->report.server_start);
}

PGAF_SQL_FUNCTION(pgautofailover_is_streaming) {
    const auto facts = facts::Find(NodeId{PG_GETARG_INT64(0)});
    return BoolGetDatum(facts && facts->has_report && facts->report.receiver_streaming);
}

}  // namespace pgaf::api
