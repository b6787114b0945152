#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pgaf/core/result.hpp"

/// Fingerprints of certificates: SHA-256 of their DER form, as 64 lower-case hexadecimal digits.
namespace pgaf::core {

/// A list as people write it: separated by commas or blanks, each with or without "sha256:" and
/// colons between the bytes, as openssl prints them. kBadArgument for anything else.
Result<std::vector<std::string>> ParseFingerprints(std::string_view text);

/// What a connection string carries the list in: libpq keeps the value of this option, and never
/// sends it where application_name is set, as in all sessions of ours.
inline constexpr const char *kPinOption = "fallback_application_name";
inline constexpr std::string_view kPinPrefix = "sha256:";
/// The value of that option.
std::string PinOf(std::span<const std::string> fingerprints);
/// The opposite; none for a value that is something else.
std::vector<std::string> PinnedIn(std::string_view value);

}  // namespace pgaf::core
