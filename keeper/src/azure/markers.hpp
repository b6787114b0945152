#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "io/common.hpp"

/// Words of a plan may hold what is known only when it runs, "{{public:ha-demo-paris-a}}".
namespace pgaf::azure {

std::string PublicIp(const std::string &machine);
std::string PrivateIp(const std::string &machine);
/// Our own public address as a network, "{{own}}".
std::string OwnNetwork();

struct Marker {
    std::string kind;     ///< public, private or own
    std::string machine;  ///< empty for own
};

/// The parts of a word: plain text, or a marker.
struct Part {
    std::string text{};
    Marker marker{};  ///< kind is empty for plain text
};
std::vector<Part> SplitMarkers(std::string_view word);

/// The word with its markers replaced.
Result<std::string> Fill(const std::string &word,
                         const std::function<Result<std::string>(const Marker &)> &value_of);

/// A word for sh: bare when it is plain, else in single quotes; markers become `"$name"`, with
/// `name_of` saying which variable holds them.
std::string ShellWord(std::string_view word,
                      const std::function<std::string(const Marker &)> &name_of);
std::string ShellQuote(std::string_view text);

}  // namespace pgaf::azure
