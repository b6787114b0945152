#include "fuzz.hpp"
#include "pgaf/core/names.hpp"
#include "pgaf/core/pg_files.hpp"

using namespace pgaf;

// Quoting, redaction and what is shown.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    const std::string text(fuzz::Text(data, size));
    fuzz::Demand(core::SettingOf("x = " + core::QuoteSetting(text) + "\n", "x") == text);
    for (const char c : core::Printable(text)) {
        const auto byte = static_cast<unsigned char>(c);
        fuzz::Demand(byte >= 0x20 && byte != 0x7F);
    }
    if (core::IsHostName(text)) {
        fuzz::Demand(core::IsName(text) && core::Printable(text) == text);
        fuzz::Demand(text.find_first_of(" \t\r\n\"'#,\\/@?&=%") == text.npos);
    }
    const std::string redacted =
        core::RedactConninfo("host=a password=" + core::QuoteConninfo("S3cretS3cret" + text));
    fuzz::Demand(redacted.find("S3cretS3cret") == redacted.npos);
    (void)core::RedactConninfo(text);
    const std::string once = core::EnsureInclude(text);
    fuzz::Demand(core::EnsureInclude(once) == once);
    (void)core::WithoutOwnedSettings(text);
    return 0;
}
