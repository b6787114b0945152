#include "pg/headers.hpp"

#include "drops.hpp"
#include "facts/node_facts.hpp"
#include "facts/sessions.hpp"
#include "facts/shared.hpp"
#include "facts/wake.hpp"
#include "health/launcher.hpp"
#include "settings.hpp"

/// Entry of the library: settings, shared memory, the launcher, and the hook for DROP DATABASE.
extern "C" {
PG_MODULE_MAGIC;
}

namespace pgaf {
namespace {

#if PG_VERSION_NUM >= 150000
shmem_request_hook_type previous_shmem_request = nullptr;

void RequestHook() {
    if (previous_shmem_request != nullptr) previous_shmem_request();
    facts::RequestSharedUnsafe();
}
#endif

shmem_startup_hook_type previous_shmem_startup = nullptr;

void StartupHook() {
    if (previous_shmem_startup != nullptr) previous_shmem_startup();
    facts::AttachSharedUnsafe();
}

void InstallHooks() {
#if PG_VERSION_NUM >= 150000
    previous_shmem_request = shmem_request_hook;
    shmem_request_hook = RequestHook;
#else
    facts::RequestSharedUnsafe();
#endif
    previous_shmem_startup = shmem_startup_hook;
    shmem_startup_hook = StartupHook;
}

}  // namespace
}  // namespace pgaf

void _PG_init(void) {
    if (!process_shared_preload_libraries_in_progress) {
        ereport(ERROR,
                (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                 errmsg("pgautofailover must be loaded via shared_preload_libraries"),
                 errhint("Add pgautofailover to shared_preload_libraries in postgresql.conf and "
                         "restart PostgreSQL.")));
    }
    pgaf::settings::DefineUnsafe();
    pgaf::InstallHooks();
    pgaf::facts::InstallWakeUnsafe();
    pgaf::facts::InstallSessionsUnsafe();
    pgaf::facts::InstallNodeFactsUnsafe();
    pgaf::health::InstallUnsafe();
    pgaf::drops::InstallUnsafe();
}
