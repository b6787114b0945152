#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// What is asked over HTTP, as plain values. Pure: the bytes come from anybody.
namespace pgaf::view {

enum class Method { kGet, kHead, kOptions, kOther };
Method ParseMethod(std::string_view text);

/// Longer ones are refused.
inline constexpr std::size_t kUriMost = 2048;

struct Request {
    Method method = Method::kGet;
    std::string path;
    std::vector<std::pair<std::string, std::string>> query;
    /// The value of the first parameter of that name.
    [[nodiscard]] std::optional<std::string_view> Find(std::string_view name) const;
};

/// "/replica?lag=16MB"; none when it is malformed: no path, a bad percent sign, control characters.
std::optional<Request> ParseRequest(Method method, std::string_view uri);

/// "1048576", "16kB", "64MB", "1GB", "1TB", upper or lower case; none for anything else.
std::optional<std::uint64_t> ParseBytes(std::string_view text);

}  // namespace pgaf::view
