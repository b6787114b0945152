#pragma once

namespace pgaf::keeper {

inline constexpr const char *kLibraryName = "pgautofailover_keeper";

/// pgautofailover_keeper.directory; empty: the node is not managed.
extern char *directory_setting;

}  // namespace pgaf::keeper

// Entry points of background workers, looked up by name.
extern "C" {
PGDLLEXPORT void pgautofailover_keeper_main(Datum argument);
PGDLLEXPORT void pgautofailover_keeper_wake(Datum argument);
PGDLLEXPORT void pgautofailover_keeper_checkpoint(Datum argument);
}
