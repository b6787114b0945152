#include "api/rights.hpp"

#include "api/arguments.hpp"
#include "pg/report.hpp"
#include "settings.hpp"

extern "C" {
#include "utils/acl.h"
}

#include <algorithm>
#include <optional>

namespace pgaf::api {
namespace {

using core::NodeId;
using pg::PgError;

constexpr const char *kOperatorRole = "autoctl_operator";
constexpr std::size_t kSecretLeast = 32;

pg::Statement compare_secret{
    "SELECT s.hash = pg_catalog.sha256(pg_catalog.convert_to($2, 'UTF8'))"
    " FROM pgautofailover.node_secret s WHERE s.nodeid = $1"};
pg::Statement keep_secret{
    "INSERT INTO pgautofailover.node_secret (nodeid, hash)"
    " VALUES ($1, pg_catalog.sha256(pg_catalog.convert_to($2, 'UTF8'))) ON CONFLICT DO NOTHING"};
pg::Statement find_by_secret{
    "SELECT n.nodeid, n.formationid, n.groupid FROM pgautofailover.node_secret s"
    " JOIN pgautofailover.node n ON n.nodeid = s.nodeid"
    " WHERE s.hash = pg_catalog.sha256(pg_catalog.convert_to($1, 'UTF8'))"};

pg::Statement replace_secret{
    "UPDATE pgautofailover.node_secret SET hash = pg_catalog.sha256(pg_catalog.convert_to($2, "
    "'UTF8')), known_since = pg_catalog.now() WHERE nodeid = $1"};

enum class Secret { kNone, kRight, kWrong };

/// "SECRET", or "SECRET:FORMER" while a node changes its own.
struct Shown {
    std::string present;
    std::string former;
};

Shown ShownSecret() {
    const std::string text = settings::NodeSecret();
    const std::size_t colon = std::min(text.find(':'), text.size());
    return {text.substr(0, colon), text.substr(std::min(colon + 1, text.size()))};
}

/// What the catalog says of the session's secret for this node; none: the node has none.
Secret CompareSecret(NodeId node, const std::string &secret) {
    const pg::Rows rows =
        pg::Execute(compare_secret, {pg::Param::Int8(node.value), pg::Param::Text(secret)});
    if (rows.empty()) return Secret::kNone;
    return rows.Bool(0, 1) ? Secret::kRight : Secret::kWrong;
}

struct Origin {
    std::string formation;
    int group = 0;
};

std::optional<Origin> OriginOfSession() {
    const Shown shown = ShownSecret();
    for (const std::string &secret : {shown.present, shown.former}) {
        if (secret.empty()) continue;
        const pg::Rows rows = pg::Execute(find_by_secret, {pg::Param::Text(secret)});
        if (!rows.empty()) return Origin{rows.Text(0, 2), rows.Int4(0, 3)};
    }
    return std::nullopt;
}

[[noreturn]] void RefuseOrder(const std::string &formation) {
    throw PgError(ERRCODE_INSUFFICIENT_PRIVILEGE,
                  "permission denied for formation \"" + formation + "\"",
                  "Nodes may ask for changes of their own group only.",
                  "Connect as a member of role autoctl_operator, or run the command on the monitor "
                  "with its --pgdata.");
}

bool MayOrderAnywhere(const std::optional<Origin> &origin) {
    return IsOperator() || (!origin && settings::NodeRoleMayOrder());
}

}  // namespace

bool IsOperator() {
    return pg::CallPg([] {
        Oid const user = GetOuterUserId();  // inside of SECURITY DEFINER functions: the caller
        if (superuser_arg(user)) return true;
        Oid const role = get_role_oid(kOperatorRole, true);
        return OidIsValid(role) && is_member_of_role(user, role);
    });
}

bool IsNode(NodeId node) {
    const Shown shown = ShownSecret();
    const auto fits = [node](const std::string &secret) {
        return !secret.empty() && CompareSecret(node, secret) == Secret::kRight;
    };
    return fits(shown.present) || fits(shown.former);
}

void CheckNode(NodeId node, FirstSecret first) {
    const Shown shown = ShownSecret();
    const std::string &secret = shown.present;
    const Secret found = CompareSecret(node, secret);
    if (found == Secret::kRight) return;
    if (found == Secret::kWrong && secret.size() >= kSecretLeast && !shown.former.empty() &&
        CompareSecret(node, shown.former) == Secret::kRight) {
        if (first == FirstSecret::kKeep)
            (void)pg::Execute(replace_secret,
                              {pg::Param::Int8(node.value), pg::Param::Text(secret)});
        return;
    }
    const std::string who = "node " + std::to_string(node.value);
    if (found == Secret::kNone) {
        if (secret.empty() || first == FirstSecret::kPassOver) return;
        if (secret.size() < kSecretLeast)
            throw PgError(ERRCODE_INVALID_PASSWORD, "the secret of " + who + " is too short");
        (void)pg::Execute(keep_secret, {pg::Param::Int8(node.value), pg::Param::Text(secret)});
        return;
    }
    if (IsOperator()) return;
    throw PgError(ERRCODE_INSUFFICIENT_PRIVILEGE,
                  secret.empty() ? "this session does not have the secret of " + who
                                 : "the secret of this session is not that of " + who,
                  "Only the node itself and operators may speak for it.",
                  "If the node has lost its secret, an operator lets it make a new one: SELECT "
                  "pgautofailover.reset_node_secret(" +
                      std::to_string(node.value) + ")");
}

void CheckOrder(const std::string &formation, int group) {
    const std::optional<Origin> origin = OriginOfSession();
    if (origin && origin->formation == formation && origin->group == group) return;
    if (!MayOrderAnywhere(origin)) RefuseOrder(formation);
}

void CheckOrder(const std::string &formation) {
    const std::optional<Origin> origin = OriginOfSession();
    if (origin && origin->formation == formation) return;
    if (!MayOrderAnywhere(origin)) RefuseOrder(formation);
}

void CheckOperator(const std::string &what) {
    if (IsOperator()) return;
    throw PgError(ERRCODE_INSUFFICIENT_PRIVILEGE, "permission denied to " + what,
                  "Only superusers and members of role autoctl_operator may do that.",
                  "Run the command on the monitor with its --pgdata, or with the connection string "
                  "of such a role in --monitor.");
}

/// For functions in SQL: check_node(node_id), check_order(formation_id), check_operator(what).
PGAF_SQL_FUNCTION(pgautofailover_check_node) {
    pg::Spi spi;
    CheckNode({PG_GETARG_INT64(0)}, FirstSecret::kPassOver);
    PG_RETURN_VOID();
}

PGAF_SQL_FUNCTION(pgautofailover_check_order) {
    const std::string formation = TextArg(fcinfo, 0);
    pg::Spi spi;
    CheckOrder(formation);
    PG_RETURN_VOID();
}

}  // namespace pgaf::api
