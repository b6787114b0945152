#include "api/copies.hpp"

#include "api/arguments.hpp"
#include "api/rights.hpp"
#include "facts/node_facts.hpp"
#include "pg/report.hpp"

#include <string>

/// Copies of whole nodes: asked for by the operator, and how far they have come.
namespace pgaf::api {

using core::NodeId;
using pg::PgError;

void NoteCopy(Group &group, const core::Report &report) {
    const core::NodeView *const node = group.view().Find(report.node);
    if (node == nullptr || node->wanted_copy == 0) return;
    const bool is_done = report.copies >= node->wanted_copy;
    const bool is_needed =
        report.state == core::NodeState::kSecondary || core::IsWritable(report.state);
    if (!is_done && !is_needed) return;
    store::UpdateWantedCopy(report.node, 0);
    const store::NodeRow row = group.RowOf(report.node);
    store::Announce(group.key(), row,
                    is_done ? "The data of " + store::Describe(row.view) +
                                  " were replaced by a copy, as the operator has asked"
                            : "The copy of " + store::Describe(row.view) +
                                  " is called off: the node has kept its data");
    group.Reload();
}

/// copy_node(node): the node rests, and its data are replaced by a copy of the primary's. The
/// number of that copy.
PGAF_SQL_FUNCTION(pgautofailover_copy_node) {
    const NodeId id{PG_GETARG_INT64(0)};
    pg::Spi spi;
    const auto node = store::FindNode(id);
    if (!node)
        throw PgError(ERRCODE_UNDEFINED_OBJECT,
                      "node " + std::to_string(id.value) + " does not exist");
    CheckOrder(node->group.formation, node->group.group);
    Group group = Group::Lock(node->group);
    const core::Decision decision = pg::ValueOrRaise(core::RequestCopy(group.view(), id));
    const std::int64_t copy = core::NextCopy(*group.view().Find(id));
    store::UpdateWantedCopy(id, copy);
    group.Reload();
    group.Carry(decision);
    group.Settle();
    return Int64GetDatum(copy);
}

/// copy_progress(node): done, total and kB per second; no row while no copy is made.
PGAF_SQL_FUNCTION(pgautofailover_copy_progress) {
    StartSet(fcinfo);
    for (const facts::NodeFacts &f : facts::All()) {
        const core::CopyProgress &copying = f.report.copying;
        if (!f.has_report || copying.total == 0) continue;
        PutRow(fcinfo,
               {Int64GetDatum(f.key.node), Int64GetDatum(copying.done),
                Int64GetDatum(copying.total), Int64GetDatum(copying.per_second)},
               {false, false, false, false});
    }
    return Datum{0};
}

/// node_copies(node): how often the data of a node were replaced, as it has reported last.
PGAF_SQL_FUNCTION(pgautofailover_node_copies) {
    const auto facts = facts::Find(NodeId{PG_GETARG_INT64(0)});
    if (!facts || !facts->has_report) PG_RETURN_NULL();
    return Int64GetDatum(facts->report.copies);
}

}  // namespace pgaf::api
