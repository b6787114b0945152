#include "io/config_lines.hpp"

#include <algorithm>
#include <sstream>

#include "io/files.hpp"

namespace pgaf::io {
namespace {

constexpr int kDeepest = 10;  // as in PostgreSQL

bool IsOfName(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '$';
}

std::string Folded(std::string_view text) {
    std::string folded(text);
    for (char &c : folded)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    return folded;
}

struct Words {
    std::string name;
    std::string value;  ///< without its quotes; only files are of interest
};

Words Split(std::string_view line) {
    const std::size_t first = line.find_first_not_of(" \t");
    if (first == std::string_view::npos || line.at(first) == '#') return {};
    line.remove_prefix(first);
    const auto *const end = std::find_if_not(line.begin(), line.end(), IsOfName);
    Words words{.name = Folded({line.begin(), end}), .value = {}};
    line.remove_prefix(words.name.size());
    const std::size_t value = line.find_first_not_of(" \t=");
    if (value == std::string_view::npos) return words;
    const bool is_quoted = line.at(value) == '\'';
    line.remove_prefix(value + (is_quoted ? 1 : 0));
    words.value = line.substr(0, line.find_first_of(is_quoted ? "'" : " \t#"));
    return words;
}

std::string Beside(const std::string &file, const std::string &name) {
    if (name.starts_with('/')) return name;
    return file.substr(0, file.rfind('/') + 1) + name;
}

struct Found {
    std::vector<ConfigLine> lines;
    std::vector<std::string> included;
};

void ReadInto(Found &found, const std::string &path, int depth) {
    if (depth > kDeepest) return;
    const auto text = ReadFile(path);
    if (!text) return;
    std::istringstream stream(*text);
    int number = 0;
    for (std::string line; std::getline(stream, line);) {
        ++number;
        const Words words = Split(line);
        if (words.name.empty()) continue;
        if (words.name == "include" || words.name == "include_if_exists") {
            found.included.push_back(Beside(path, words.value));
            ReadInto(found, Beside(path, words.value), depth + 1);
        } else if (words.name == "include_dir") {
            const std::string directory = Beside(path, words.value);
            found.included.push_back(directory);
            for (const std::string &name : NamesIn(directory)) {
                if (name.starts_with('.') || !name.ends_with(".conf")) continue;
                found.included.push_back(directory + "/" + name);
                ReadInto(found, directory + "/" + name, depth + 1);
            }
        } else {
            found.lines.push_back({path, number, words.name});
        }
    }
}

/// Where it stands as a word of its own.
std::size_t FindWord(const std::string &text, const std::string &word) {
    for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
        const std::size_t end = at + word.size();
        const bool begins = at == 0 || !IsOfName(text.at(at - 1));
        if (begins && (end == text.size() || !IsOfName(text.at(end)))) return at;
    }
    return std::string::npos;
}

}  // namespace

std::vector<ConfigLine> ReadConfigLines(const std::string &path) {
    Found found;
    ReadInto(found, path, 0);
    return std::move(found.lines);
}

std::vector<std::string> ListIncluded(const std::string &path) {
    Found found;
    ReadInto(found, path, 0);
    return std::move(found.included);
}

const ConfigLine *FindRefusedLine(const std::vector<ConfigLine> &lines, std::string_view said) {
    const std::string text = Folded(said);
    const ConfigLine *found = nullptr;
    std::size_t first = std::string::npos;
    for (const ConfigLine &line : lines) {
        const std::size_t at = FindWord(text, line.name);
        if (at == std::string::npos || (found != nullptr && at > first)) continue;
        first = at;
        found = &line;
    }
    return found;
}

}  // namespace pgaf::io
