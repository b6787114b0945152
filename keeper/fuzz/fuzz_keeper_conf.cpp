#include "fuzz.hpp"
#include "pgaf/core/keeper_config.hpp"

using namespace pgaf;

// keeper.conf, which the worker reads.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    const auto config = core::DecodeKeeperConfig(fuzz::Text(data, size));
    if (!config) return 0;
    const auto text = core::Encode(*config);
    if (!text) return 0;
    const auto again = core::DecodeKeeperConfig(*text);
    fuzz::Demand(again.has_value() && core::Encode(*again) == *text);
    return 0;
}
