#include "worker/overrides.hpp"

#include "pgaf/core/pg_files.hpp"

namespace pgaf::worker {

core::Result<bool> RemoveOverrides(const Ports &ports, const std::string &pgdata) {
    bool has_changed = false;
    const std::string automatic = pgdata + "/postgresql.auto.conf";
    if (const auto present = ports.files.Read(automatic)) {
        const std::string wanted = core::WithoutOwnedSettings(*present);
        if (wanted != *present) {
            if (auto written = ports.files.WriteAtomic(automatic, wanted); !written)
                return tl::unexpected(written.error());
            has_changed = true;
            ports.log.Warning(
                "settings that pg_auto_failover decides were taken out of postgresql.auto.conf; "
                "they stand there as comments");
        }
    }
    // A line that includes a file which is not there would keep the server from starting.
    if (!ports.files.Exists(pgdata + "/" + std::string(core::kSettingsFile))) return has_changed;
    const std::string main = pgdata + "/postgresql.conf";
    if (const auto present = ports.files.Read(main)) {
        const std::string wanted = core::EnsureInclude(*present);
        if (wanted != *present) {
            if (auto written = ports.files.WriteAtomic(main, wanted); !written)
                return tl::unexpected(written.error());
            has_changed = true;
            ports.log.Warning(
                "the include line of pg_auto_failover was put back at the end of postgresql.conf");
        }
    }
    return has_changed;
}

}  // namespace pgaf::worker
