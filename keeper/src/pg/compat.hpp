#pragma once

/// Differences between the supported server versions (14 to 18) live here and nowhere else. Include
/// only through headers.hpp.
#if PG_VERSION_NUM < 140000
#error "PostgreSQL 14 or later is needed"
#endif

#if PG_VERSION_NUM >= 160000
extern "C" {
#include <utils/guc_hooks.h>
}
#endif

// From 17 on the extension may ask for its own wait events; the generic one suffices for us
// everywhere.
#ifndef PG_WAIT_EXTENSION
extern "C" {
#include <utils/wait_event.h>
}
#endif

extern "C" {
#include <utils/backend_status.h>
}

// Until 14 nobody declares it, until 15 PGDLLEXPORT is empty and comes from our command line.
#if PG_VERSION_NUM < 160000
extern "C" PGDLLEXPORT void _PG_init(void);
#endif

namespace pgaf::pg {

/// Before 15 shared memory is requested in _PG_init; since then in a hook.
#if PG_VERSION_NUM >= 150000
inline constexpr bool kHasShmemRequestHook = true;
#else
inline constexpr bool kHasShmemRequestHook = false;
#endif

/// Makes an idle session run an empty transaction. False when there is no such process.
inline bool SendCatchupInterruptUnsafe(int pid) {
#if PG_VERSION_NUM >= 170000
    return SendProcSignal(pid, PROCSIG_CATCHUP_INTERRUPT, INVALID_PROC_NUMBER) == 0;
#else
    return SendProcSignal(pid, PROCSIG_CATCHUP_INTERRUPT, InvalidBackendId) == 0;
#endif
}

/// May raise. A wait event set that belongs to no resource owner.
inline WaitEventSet *CreateWaitEventSetUnsafe(MemoryContext context, int events) {
#if PG_VERSION_NUM >= 170000
    (void)context;
    return CreateWaitEventSet(nullptr, events);
#else
    return CreateWaitEventSet(context, events);
#endif
}

/// May raise. What a session says of itself; `index` counts from 1.
inline const LocalPgBackendStatus *SessionUnsafe(int index) {
#if PG_VERSION_NUM >= 160000
    return pgstat_get_local_beentry_by_index(index);
#else
    return pgstat_fetch_stat_local_beentry(index);
#endif
}

/// May raise. Prepares a set-returning function that returns all rows at once.
inline void InitMaterializedSetUnsafe(FunctionCallInfo fcinfo) {
#if PG_VERSION_NUM >= 160000
    InitMaterializedSRF(fcinfo, 0);
#elif PG_VERSION_NUM >= 150000
    SetSingleFuncCall(fcinfo, 0);
#else
    auto *const result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    if (result == nullptr || !IsA(result, ReturnSetInfo) ||
        (result->allowedModes & SFRM_Materialize) == 0) {
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("set-valued function called in context that cannot accept a set")));
    }
    MemoryContext const outer = MemoryContextSwitchTo(result->econtext->ecxt_per_query_memory);
    TupleDesc descriptor = nullptr;
    if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE) {
        elog(ERROR, "return type must be a row type");
    }
    result->returnMode = SFRM_Materialize;
    result->setResult = tuplestore_begin_heap(false, false, work_mem);
    result->setDesc = descriptor;
    MemoryContextSwitchTo(outer);
#endif
}

}  // namespace pgaf::pg
