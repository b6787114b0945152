#include "fuzz.hpp"
#include "pgaf/core/hba.hpp"
#include "pgaf/core/lines.hpp"

using namespace pgaf;

// pg_hba.conf of the administrator: what he wrote stays, ours are there once and go again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    const std::string_view text = fuzz::Text(data, size);
    core::KeeperConfig config;
    config.auth_method = "scram-sha-256";
    config.host = "10.0.0.1";
    config.username = "app";
    core::Peer peer;
    peer.node = {2};
    peer.host = "10.0.0.2";
    const std::string with = core::EnsureHba(text, config, {&peer, 1});
    fuzz::Demand(core::EnsureHba(with, config, {&peer, 1}) == with);
    fuzz::Demand(with.find("\"pgautofailover_replicator\" 10.0.0.2/32") != with.npos);
    core::KeeperConfig nothing;
    nothing.auth_method = "scram-sha-256";
    const std::string without = core::EnsureHba(with, nothing, {});
    fuzz::Demand(without == core::EnsureHba(text, nothing, {}));
    config.auth_method = "skip";
    fuzz::Demand(core::EnsureHba(text, config, {&peer, 1}) == text);
    (void)core::LeaveHba(with);
    return 0;
}
