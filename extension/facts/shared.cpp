#include "facts/shared.hpp"

#include "facts/sessions.hpp"
#include "facts/wake.hpp"

#include "pg/clock.hpp"
#include "pg/guard.hpp"
#include "settings.hpp"

#include <type_traits>

namespace pgaf::facts {
namespace {

constexpr const char *kTranche = "pgautofailover";

Shared *shared = nullptr;
HTAB *nodes = nullptr;

static_assert(std::is_trivially_copyable_v<NodeFacts> && std::is_trivially_copyable_v<Shared>);

}  // namespace

void RequestSharedUnsafe() {
    Size size = MAXALIGN(sizeof(Shared));
    size = add_size(size, hash_estimate_size(settings::MaxNodes(), sizeof(NodeFacts)));
    size = add_size(size, WakeBytesUnsafe());
    size = add_size(size, SessionBytesUnsafe());
    RequestAddinShmemSpace(size);
    RequestNamedLWLockTranche(kTranche, 1);
}

void AttachSharedUnsafe() {
    LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
    bool found = false;
    shared = static_cast<Shared *>(ShmemInitStruct("pgautofailover", sizeof(Shared), &found));
    if (!found) {
        memset(static_cast<void *>(shared), 0, sizeof(Shared));
        shared->lock = &GetNamedLWLockTranche(kTranche)->lock;
        shared->server_start_ns = pg::BootNow().ns;
    }
    HASHCTL control{};
    control.keysize = sizeof(NodeKey);
    control.entrysize = sizeof(NodeFacts);
    nodes = ShmemInitHash("pgautofailover nodes", settings::MaxNodes(), settings::MaxNodes(),
                          &control, HASH_ELEM | HASH_BLOBS);
    AttachWakeUnsafe();
    AttachSessionsUnsafe();
    LWLockRelease(AddinShmemInitLock);
}

Shared &GetShared() { return *shared; }
HTAB *NodeTable() { return nodes; }

LockScope::LockScope(LWLockMode mode) {
    pg::CallPg([mode] { LWLockAcquire(shared->lock, mode); });
}

LockScope::~LockScope() { LWLockRelease(shared->lock); }

}  // namespace pgaf::facts
