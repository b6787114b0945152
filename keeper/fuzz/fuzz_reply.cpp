#include <algorithm>

#include "fuzz.hpp"
#include "pgaf/core/hba.hpp"
#include "pgaf/core/names.hpp"
#include "pgaf/core/pg_files.hpp"

using namespace pgaf;

// What a keeper reads of whoever answers as the monitor, and the files that it writes of it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    const auto reply = core::DecodeReply(fuzz::Text(data, size));
    if (!reply) return 0;
    core::KeeperConfig config;
    config.auth_method = "scram-sha-256";
    config.node = {1};
    for (const core::Peer &peer : reply->peers) {
        fuzz::Demand(core::IsHostName(peer.host) && core::IsName(peer.name));
        const std::string standby = core::StandbyText(config, &peer);
        fuzz::Demand(std::count(standby.begin(), standby.end(), '\n') == 6);
    }
    const std::string sync = core::SyncText(reply->sync_names);
    fuzz::Demand(std::count(sync.begin(), sync.end(), '\n') == 3);
    const std::string hba = core::EnsureHba("local all all peer\n", config, reply->peers);
    fuzz::Demand(core::EnsureHba(hba, config, {}) == "local all all peer\n");
    const std::string text = core::Encode(*reply);
    const auto again = core::DecodeReply(text);
    fuzz::Demand(!again || core::Encode(*again) == text);
    return 0;
}
