#include "fuzz.hpp"
#include "pgaf/core/node_record.hpp"

using namespace pgaf;

// The state file: what is accepted is exactly what was written.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    const auto record = core::DecodeNodeRecord(fuzz::Text(data, size));
    if (!record) return 0;
    const auto again = core::DecodeNodeRecord(core::Encode(*record));
    fuzz::Demand(again.has_value() && *again == *record);
    return 0;
}
