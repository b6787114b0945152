#include "pg/own_roles.hpp"

extern "C" {
#include <miscadmin.h>
#include <nodes/parsenodes.h>
#include <utils/acl.h>
}

namespace pgaf::pg {
namespace {

const char *const kOwnRoles[] = {
    "autoctl",        "autoctl_node",           "autoctl_operator",
    "autoctl_reader", "pgautofailover_monitor", "pgautofailover_replicator"};

bool IsOwn(const char *name) {
    for (const char *const own : kOwnRoles) {
        if (strcmp(name, own) == 0) return true;
    }
    return false;
}

void CheckNameUnsafe(const char *name) {
    if (!IsOwn(name)) return;
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                    errmsg("permission denied to change role \"%s\"", name),
                    errdetail("It is a role of pg_auto_failover, which many sessions share."),
                    errhint("Connect as a superuser, on the machine of the server.")));
}

/// PUBLIC and roles that do not exist are the business of the statement itself.
void CheckRoleUnsafe(const RoleSpec *role) {
    if (role == nullptr || role->roletype == ROLESPEC_PUBLIC) return;
    if (role->roletype == ROLESPEC_CSTRING) return CheckNameUnsafe(role->rolename);
    CheckNameUnsafe(get_rolespec_name(role));
}

void CheckRolesUnsafe(List *roles) {
    ListCell *cell = nullptr;
    foreach (cell, roles)
        CheckRoleUnsafe(static_cast<RoleSpec *>(lfirst(cell)));
}

void CheckGrantedUnsafe(List *privileges) {
    ListCell *cell = nullptr;
    foreach (cell, privileges) {
        const char *const name = static_cast<AccessPriv *>(lfirst(cell))->priv_name;
        if (name != nullptr) CheckNameUnsafe(name);
    }
}

/// ALTER GROUP ... ADD USER is an ALTER ROLE with a list of members.
void CheckAlterUnsafe(const AlterRoleStmt *alter) {
    CheckRoleUnsafe(alter->role);
    ListCell *cell = nullptr;
    foreach (cell, alter->options) {
        const auto *const option = static_cast<DefElem *>(lfirst(cell));
        if (strcmp(option->defname, "rolemembers") == 0)
            CheckRolesUnsafe(reinterpret_cast<List *>(option->arg));
    }
}

const char *FirstOwn(List *roles) {
    ListCell *cell = nullptr;
    foreach (cell, roles) {
        const auto *const role = static_cast<RoleSpec *>(lfirst(cell));
        if (role->roletype == ROLESPEC_CSTRING && IsOwn(role->rolename)) return role->rolename;
    }
    return nullptr;
}

}  // namespace

const char *DroppedOwnRoleUnsafe(Node *statement) {
    if (IsA(statement, DropRoleStmt))
        return FirstOwn(reinterpret_cast<DropRoleStmt *>(statement)->roles);
    if (IsA(statement, DropOwnedStmt))
        return FirstOwn(reinterpret_cast<DropOwnedStmt *>(statement)->roles);
    return nullptr;
}

void RefuseChangeOfOwnRoleUnsafe(Node *statement) {
    if (!IsA(statement, AlterRoleStmt) && !IsA(statement, AlterRoleSetStmt) &&
        !IsA(statement, GrantRoleStmt) && !IsA(statement, DropOwnedStmt) &&
        !IsA(statement, ReassignOwnedStmt))
        return;
    // An aborted transaction has no catalogs to look into, and runs nothing.
    if (!IsTransactionState() || has_createrole_privilege(GetUserId())) return;
    if (IsA(statement, AlterRoleStmt)) {
        CheckAlterUnsafe(reinterpret_cast<AlterRoleStmt *>(statement));
    } else if (IsA(statement, AlterRoleSetStmt)) {
        CheckRoleUnsafe(reinterpret_cast<AlterRoleSetStmt *>(statement)->role);
    } else if (IsA(statement, GrantRoleStmt)) {
        CheckGrantedUnsafe(reinterpret_cast<GrantRoleStmt *>(statement)->granted_roles);
        CheckRolesUnsafe(reinterpret_cast<GrantRoleStmt *>(statement)->grantee_roles);
    } else if (IsA(statement, DropOwnedStmt)) {
        CheckRolesUnsafe(reinterpret_cast<DropOwnedStmt *>(statement)->roles);
    } else {
        CheckRolesUnsafe(reinterpret_cast<ReassignOwnedStmt *>(statement)->roles);
    }
}

}  // namespace pgaf::pg
