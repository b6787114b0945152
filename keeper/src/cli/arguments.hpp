#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// Words of a command line: as they are handed on, and as others may see them.
namespace pgaf::cli {

/// Secrets that came as arguments must not stay visible in the process list: stars in their place,
/// in the very memory.
void HideSecrets(std::span<char *> arguments);
/// The same words with stars, for a log.
std::vector<std::string> WithoutSecrets(const std::vector<std::string> &words);
/// An error names the words that it does not know.
std::string WithoutSecrets(std::string_view text);

/// All words as one text, for the environment; Decode is its inverse.
std::string EncodeWords(const std::vector<std::string> &words);
std::vector<std::string> DecodeWords(std::string_view text);

}  // namespace pgaf::cli
