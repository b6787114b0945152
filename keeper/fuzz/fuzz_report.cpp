#include "fuzz.hpp"
#include "pgaf/core/names.hpp"
#include "pgaf/core/protocol.hpp"

using namespace pgaf;

// What the monitor reads of a keeper.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    const auto report = core::DecodeReport(fuzz::Text(data, size));
    if (!report) return 0;
    const std::string text = core::Encode(*report);
    fuzz::Demand(text.size() <= core::kReportMost || size > core::kReportMost / 2);
    fuzz::Demand(core::Printable(report->event) == report->event);
    fuzz::Demand(report->timeline >= 0 && report->keeper_epoch >= 0 && report->term >= 0);
    const auto again = core::DecodeReport(text);
    fuzz::Demand(!again || core::Encode(*again) == text);
    return 0;
}
