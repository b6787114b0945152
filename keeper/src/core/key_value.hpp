#pragma once

#include <map>
#include <string>
#include <string_view>

/// Lines "key = value", as the small files of a node use them.
namespace pgaf::core {

inline void PutLine(std::string &text, std::string_view key, std::string_view value) {
    text.append(key).append(" = ").append(value).append("\n");
}

/// Later lines win; lines without "=" and comments (#) are passed over.
inline std::map<std::string, std::string, std::less<>> ReadLines(std::string_view text) {
    std::map<std::string, std::string, std::less<>> values;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        const std::size_t equals = line.find('=');
        if (line.starts_with('#') || equals == std::string_view::npos) continue;
        std::string_view key = line.substr(0, equals);
        std::string_view value = line.substr(equals + 1);
        while (key.ends_with(' '))
            key.remove_suffix(1);
        if (value.starts_with(' ')) value.remove_prefix(1);
        values.insert_or_assign(std::string(key), std::string(value));
    }
    return values;
}

}  // namespace pgaf::core
