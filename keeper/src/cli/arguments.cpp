#include "cli/arguments.hpp"

#include <algorithm>
#include <cstring>

#include "pgaf/core/pg_files.hpp"

namespace pgaf::cli {
namespace {

/// `text` with stars in place of `word`'s secret part, no longer than `word` is in memory.
void Overwrite(char *word, std::string_view text) {
    const std::size_t size = std::strlen(word);
    std::memset(word, 0, size);
    std::memcpy(word, text.data(), std::min(size, text.size()));
}

bool MayHoldSecret(std::string_view word) {
    return word.find("://") != word.npos || word.find("password") != word.npos;
}

}  // namespace

void HideSecrets(std::span<char *> arguments) {
    for (std::size_t i = 1; i < arguments.size(); ++i) {
        const std::string word(arguments[i]);
        const bool is_short = word.starts_with("-w") || word.starts_with("-W");
        if (is_short && word.size() > 2) Overwrite(arguments[i], word.substr(0, 2) + "*");
        const bool follows = (is_short && word.size() == 2) || word.ends_with("-password");
        if (follows && i + 1 < arguments.size()) {
            Overwrite(arguments[++i], "****");
            continue;
        }
        const std::size_t equals = word.find("-password=");
        if (equals != std::string::npos) {
            Overwrite(arguments[i], word.substr(0, equals + 10) + "****");
        } else if (MayHoldSecret(word)) {
            Overwrite(arguments[i], core::RedactConninfo(word));
        }
    }
}

std::vector<std::string> WithoutSecrets(const std::vector<std::string> &words) {
    std::vector<std::string> shown = words;
    std::vector<char *> pointers;
    pointers.reserve(shown.size());
    for (std::string &word : shown)
        pointers.push_back(word.data());
    HideSecrets(pointers);
    for (std::string &word : shown)
        word.resize(std::strlen(word.c_str()));
    return shown;
}

std::string WithoutSecrets(std::string_view text) {
    std::string shown;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(' '), text.size());
        const std::string_view word = text.substr(0, end);
        shown += MayHoldSecret(word) ? core::RedactConninfo(word) : std::string(word);
        if (end < text.size()) shown += ' ';
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return shown;
}

std::string EncodeWords(const std::vector<std::string> &words) {
    std::string text;
    for (const std::string &word : words) {
        for (const char c : word) {
            if (c == '\\') text += "\\\\";
            if (c == '\n') text += "\\n";
            if (c != '\\' && c != '\n') text += c;
        }
        text += '\n';
    }
    return text;
}

std::vector<std::string> DecodeWords(std::string_view text) {
    std::vector<std::string> words;
    std::string word;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text.at(i);
        if (c == '\n') {
            words.push_back(std::move(word));
            word.clear();
        } else if (c == '\\' && i + 1 < text.size()) {
            word += text.at(++i) == 'n' ? '\n' : text.at(i);
        } else {
            word += c;
        }
    }
    return words;
}

}  // namespace pgaf::cli
