#pragma once

// HOLD_INTERRUPTS() and its like count volatile variables, which C++20 deprecates.
#ifdef __clang__
#pragma clang diagnostic ignored "-Wdeprecated-volatile"
#endif

/// The only door to PostgreSQL's headers. Include this first in every file; C++ headers follow.
extern "C" {
#include <postgres.h>

#include <access/htup_details.h>
#include <access/xact.h>
#include <access/xlog.h>
#include <catalog/pg_database.h>
#include <catalog/pg_extension.h>
#include <catalog/pg_type.h>
#include <commands/async.h>
#include <commands/dbcommands.h>
#include <commands/extension.h>
#include <executor/spi.h>
#include <fmgr.h>
#include <funcapi.h>
#include <mb/pg_wchar.h>
#include <miscadmin.h>
#include <pgstat.h>
#include <postmaster/bgworker.h>
#include <postmaster/interrupt.h>
#include <storage/ipc.h>
#include <storage/latch.h>
#include <storage/lmgr.h>
#include <storage/lwlock.h>
#include <storage/proc.h>
#include <storage/procarray.h>
#include <storage/procsignal.h>
#include <storage/shmem.h>
#include <tcop/utility.h>
#include <utils/builtins.h>
#include <utils/guc.h>
#include <utils/hsearch.h>
#include <utils/memutils.h>
#include <utils/pg_lsn.h>
#include <utils/resowner.h>
#include <utils/snapmgr.h>
#include <utils/timestamp.h>
}

// The server redefines these as its own; C++ code wants the standard ones.
#undef printf
#undef fprintf
#undef sprintf
#undef snprintf
#undef vsnprintf
#undef vsprintf
#undef vprintf
#undef vfprintf
#undef strerror
#undef strerror_r
#undef gettext
#undef dgettext
#undef ngettext
#undef dngettext
#undef bind
#undef Min
#undef Max
#undef Abs

#include "pg/compat.hpp"
