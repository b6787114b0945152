#include "fuzz.hpp"
#include "node/config.hpp"

using namespace pgaf;

// pg_autoctl.cfg, which an administrator edits: what is accepted is written so that the same is
// read.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    const auto config = node::FromIni(fuzz::Text(data, size));
    if (!config || !node::CheckConfig(*config)) return 0;
    const std::string text = node::ToIni(*config);
    const auto again = node::FromIni(text);
    fuzz::Demand(again && node::CheckConfig(*again) && node::ToIni(*again) == text);
    for (const auto &[key, value] : node::ParseIni(text)) {
        const auto shown = node::GetSetting(*again, key);
        fuzz::Demand(shown && *shown == value);
        node::Config set = *again;
        fuzz::Demand(node::SetSetting(set, key, value) && node::ToIni(set) == text);
    }
    return 0;
}
