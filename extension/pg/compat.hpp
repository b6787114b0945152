#pragma once

/// Differences between the supported server versions (14 to 18) live here and nowhere else. Include only
/// through headers.hpp.
#if PG_VERSION_NUM < 140000
#error "PostgreSQL 14 or later is needed"
#endif

#if PG_VERSION_NUM >= 160000
extern "C" {
#include <utils/guc_hooks.h>
}
#endif

// From 17 on the extension may ask for its own wait events; the generic one suffices for us everywhere.
#ifndef PG_WAIT_EXTENSION
extern "C" {
#include <utils/wait_event.h>
}
#endif

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

/// May raise. A wait event set that belongs to no resource owner.
inline WaitEventSet *CreateWaitEventSetUnsafe(MemoryContext context, int events) {
#if PG_VERSION_NUM >= 170000
    (void)context;
    return CreateWaitEventSet(nullptr, events);
#else
    return CreateWaitEventSet(context, events);
#endif
}

}  // namespace pgaf::pg
