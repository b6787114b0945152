#include "drops.hpp"

#include "facts/node_facts.hpp"
#include "pg/own_roles.hpp"
#include "settings.hpp"

extern "C" {
#include <access/heapam.h>
#include <access/table.h>
#include <access/tableam.h>
#include <catalog/namespace.h>
#include <catalog/objectaccess.h>
#include <catalog/pg_class.h>
#include <nodes/parsenodes.h>
#include <utils/lsyscache.h>
#include <utils/rel.h>
}

namespace pgaf::drops {
namespace {

object_access_hook_type previous_object_access = nullptr;

[[noreturn]] void RaiseUnsafe(const char *what) {
    ereport(ERROR, (errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
                    errmsg("cannot drop %s while nodes are registered", what),
                    errdetail("They would go on without a monitor, and none would take the place "
                              "of a primary that fails."),
                    errhint("Use \"pg_autoctl drop node\" for each of them first. Superusers may "
                            "SET pgautofailover.guard_monitor = off.")));
    pg_unreachable();
}

bool HasRowUnsafe(Oid table) {
    Relation const relation = table_open(table, AccessShareLock);
    Snapshot const snapshot = RegisterSnapshot(GetLatestSnapshot());
    TableScanDesc const scan = table_beginscan(relation, snapshot, 0, nullptr);
    const bool has_row = heap_getnext(scan, ForwardScanDirection) != nullptr;
    table_endscan(scan);
    UnregisterSnapshot(snapshot);
    table_close(relation, NoLock);
    return has_row;
}

/// The table of nodes goes before the extension that it is a part of, and while it is still whole.
bool IsTableOfNodesUnsafe(Oid relation) {
    Oid const schema = get_rel_namespace(relation);
    if (!OidIsValid(schema) || schema != get_namespace_oid("pgautofailover", true)) return false;
    return relation == get_relname_relid("node", schema);
}

void OnObjectAccess(ObjectAccessType access, Oid catalog, Oid object, int part, void *argument) {
    if (access == OAT_DROP && catalog == RelationRelationId && part == 0 &&
        settings::GuardsMonitor() && IsTableOfNodesUnsafe(object) && HasRowUnsafe(object)) {
        RaiseUnsafe("extension pgautofailover");
    }
    if (previous_object_access != nullptr)
        previous_object_access(access, catalog, object, part, argument);
}

}  // namespace

void RefuseUnsafe(Node *statement) {
    if (!settings::GuardsMonitor()) return;
    if (IsA(statement, DropdbStmt)) {
        Oid const database =
            get_database_oid(reinterpret_cast<DropdbStmt *>(statement)->dbname, true);
        if (OidIsValid(database) && facts::HasNodesUnsafe(database))
            RaiseUnsafe("the database of a monitor");
        return;
    }
    const char *const role = pg::DroppedOwnRoleUnsafe(statement);
    if (role != nullptr && facts::HasNodesUnsafe(InvalidOid))
        RaiseUnsafe(psprintf("role \"%s\", or what it may do,", role));
}

void InstallUnsafe() {
    previous_object_access = object_access_hook;
    object_access_hook = OnObjectAccess;
}

}  // namespace pgaf::drops
