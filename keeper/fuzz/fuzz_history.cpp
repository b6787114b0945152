#include "fuzz.hpp"
#include "pgaf/core/timeline.hpp"

using namespace pgaf;

// History files, and how histories travel.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    const std::string_view text = fuzz::Text(data, size);
    const core::TimelineHistory read = core::ParseTimelineHistory(text);
    const core::TimelineHistory sent = core::DecodeHistory(core::EncodeHistory(read));
    fuzz::Demand(sent.size() <= core::kTimelineSwitchesMax);
    fuzz::Demand(core::DecodeHistory(core::EncodeHistory(sent)) == sent);
    const core::TimelineHistory told = core::DecodeHistory(text);
    const core::WalPosition a{read.empty() ? 1 : read.back().timeline, core::Lsn{100}, read};
    const core::WalPosition b{told.empty() ? 1 : told.back().timeline, core::Lsn{90}, told};
    (void)core::Compare(a, b);
    fuzz::Demand(core::Compare(a, a) == core::Ancestry::kEqual ||
                 core::Compare(a, a) == core::Ancestry::kUnknown || !read.empty());
    return 0;
}
