#include "pgaf/core/fingerprint.hpp"

#include <algorithm>
#include <cctype>

namespace pgaf::core {
namespace {

constexpr std::size_t kDigits = 64;

/// Empty when it is none.
std::string Normal(std::string_view word) {
    std::string digits;
    for (const char c : word)
        digits += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (digits.starts_with(kPinPrefix)) digits.erase(0, kPinPrefix.size());
    const bool has_colons = digits.size() == kDigits + kDigits / 2 - 1;
    if (has_colons) {
        std::string bare;
        for (std::size_t i = 0; i < digits.size(); ++i) {
            if ((i % 3 == 2) != (digits[i] == ':')) return {};
            if (digits[i] != ':') bare += digits[i];
        }
        digits = std::move(bare);
    }
    const bool is_hex = digits.find_first_not_of("0123456789abcdef") == std::string::npos;
    return digits.size() == kDigits && is_hex ? digits : std::string();
}

}  // namespace

Result<std::vector<std::string>> ParseFingerprints(std::string_view text) {
    std::vector<std::string> found;
    std::size_t at = 0;
    while ((at = text.find_first_not_of(", ", at)) != std::string_view::npos) {
        const std::size_t end = std::min(text.find_first_of(", ", at), text.size());
        std::string one = Normal(text.substr(at, end - at));
        if (one.empty())
            return Fail(ProblemCode::kBadArgument, "not a SHA-256 fingerprint of a certificate",
                        "It has 64 hexadecimal digits, with or without colons.",
                        "openssl x509 -noout -fingerprint -sha256 -in CERTIFICATE prints one.");
        found.push_back(std::move(one));
        at = end;
    }
    return found;
}

std::string PinOf(std::span<const std::string> fingerprints) {
    std::string value;
    for (const std::string &one : fingerprints) {
        if (!value.empty()) value += ',';
        value.append(kPinPrefix).append(one);
    }
    return value;
}

std::vector<std::string> PinnedIn(std::string_view value) {
    if (!value.starts_with(kPinPrefix)) return {};
    auto found = ParseFingerprints(value);
    // What cannot be read lets nobody in.
    return found ? *found : std::vector<std::string>{""};
}

}  // namespace pgaf::core
