#pragma once

#include <sys/types.h>

#include <string>

namespace pgaf::io {

/// True when logind takes the shared memory of `user` away once the last session has ended, from a
/// PostgreSQL that goes on as a service too. `root` is "" but for tests.
///
/// Source: logind.conf(5), RemoveIPC (yes by default; system users and root are spared), and
/// loginctl(1), enable-linger.
bool RemovesSharedMemory(const std::string &root, const std::string &user, uid_t uid);

}  // namespace pgaf::io
