#pragma once

/// The server's headers that only the keeper needs. Include this first in every file of this
/// folder.
#include "pg/headers.hpp"

extern "C" {
#include <access/twophase.h>
#include <access/xlog_internal.h>
#include <access/xlogarchive.h>
#include <access/xloginsert.h>
#if PG_VERSION_NUM >= 150000
#include <access/xlogrecovery.h>
#endif
#include <catalog/pg_control.h>
#include <commands/user.h>
#include <common/controldata_utils.h>
#include <executor/executor.h>
// Port keeps its layout without GSSAPI ("for extension ABI compatibility", libpq-be.h), and this
// way Kerberos' development files are not needed.
#pragma push_macro("ENABLE_GSS")
#undef ENABLE_GSS
#include <libpq/auth.h>
#include <libpq/libpq-be.h>
#pragma pop_macro("ENABLE_GSS")
#include <postmaster/bgwriter.h>
#include <postmaster/postmaster.h>
#include <postmaster/walwriter.h>
#include <replication/slot.h>
#include <replication/syncrep.h>
#include <replication/walreceiver.h>
#include <replication/walsender.h>
#include <replication/walsender_private.h>
#include <storage/condition_variable.h>
#include <storage/lock.h>
#include <storage/pmsignal.h>
#include <utils/acl.h>
#include <utils/guc_tables.h>
}

#undef Min
#undef Max
#undef Abs

#include "server_compat.hpp"
