#include "io/files.hpp"
#include "node/steps/steps.hpp"

namespace pgaf::node {

std::span<const core::Peer> StepContext::Peers() const {
    return input.reply ? std::span<const core::Peer>(input.reply->peers)
                       : std::span<const core::Peer>{};
}

bool HasMarker(const Paths &paths) { return io::Exists(paths.unsafe_marker); }

Result<void> SetMarker(const Paths &paths, std::string_view what) {
    return io::WriteFile(paths.unsafe_marker, std::string(what) + "\n", 0600);
}

Result<void> ClearMarker(const Paths &paths) { return io::RemoveFile(paths.unsafe_marker); }

std::string UpstreamConninfo(const StepContext &context, const core::Peer &peer,
                             const std::string &database) {
    core::KeeperConfig keeper = context.keeper;
    keeper.replication_password.clear();
    // Not the name of the standby: what copies must never count as a synchronous standby.
    return core::PrimaryConninfo(keeper, peer) + " dbname=" + core::QuoteConninfo(database) +
           " application_name=pgautofailover_copy";
}

std::vector<std::pair<std::string, std::string>> CopyEnv(const StepContext &context) {
    std::vector<std::pair<std::string, std::string>> env{{"LC_ALL", "C"}};
    // Not the password itself: a copy takes hours, and its environment is seen all the while.
    if (!context.config.replication_password.empty())
        env.emplace_back("PGPASSFILE", PassfileOf(context.paths));
    return env;
}

}  // namespace pgaf::node
