#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "conversation.hpp"

/// pgaf_conversation [--accept] DIRECTORY: holds every scenario of the directory, and compares what
/// follows from each line with what the file says, indented, below it. With --accept the files are
/// written anew. A rule that no scenario has seen, and a scenario that is not there, are failures.
namespace {

namespace fs = std::filesystem;
using pgaf::conversation::Conversation;

constexpr std::string_view kIndent = "    ";
/// What every collection must speak of, by the numbers of the safety scenarios.
constexpr int kScenarios[] = {11, 12, 13, 14, 15, 16, 17, 18, 19,
                              20, 21, 22, 23, 24, 25, 45, 46, 47};

std::string ReadAll(const fs::path &path) {
    std::ifstream in(path);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

/// The file as it ought to be.
std::string Hold(const std::string &text, std::set<std::string> &fired, bool &failed) {
    Conversation conversation;
    std::string out;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with(kIndent)) continue;
        out += line + "\n";
        if (line.empty() || line.starts_with("#")) continue;
        for (const std::string &said : conversation.Say(line))
            out += std::string(kIndent) + said + "\n";
    }
    fired.insert(conversation.Fired().begin(), conversation.Fired().end());
    failed = failed || conversation.HasFailed();
    return out;
}

void PrintDifference(const fs::path &path, const std::string &expected, const std::string &found) {
    std::istringstream a(expected);
    std::istringstream b(found);
    std::string want;
    std::string have;
    for (int number = 1; true; ++number) {
        const bool more_a = static_cast<bool>(std::getline(a, want));
        const bool more_b = static_cast<bool>(std::getline(b, have));
        if (!more_a) want = "(end)";
        if (!more_b) have = "(end)";
        if (want == have && more_a) continue;
        std::printf("%s:%d: expected:\n%s\nfound:\n%s\n", path.filename().c_str(), number,
                    want.c_str(), have.c_str());
        return;
    }
}

bool Check(const fs::path &path, bool accepts, std::set<std::string> &fired, std::string &all) {
    const std::string expected = ReadAll(path);
    bool failed = false;
    const std::string found = Hold(expected, fired, failed);
    all += expected;
    if (accepts) std::ofstream(path) << found;
    if (failed) std::printf("%s: a line was not understood\n", path.filename().c_str());
    if (!accepts && found != expected) PrintDifference(path, expected, found);
    return !failed && (accepts || found == expected);
}

bool IsComplete(const std::set<std::string> &fired, const std::string &all) {
    bool is_complete = true;
    for (const pgaf::core::RuleInfo &rule : pgaf::core::Rules()) {
        if (fired.contains(std::string(rule.name))) continue;
        std::printf("no scenario has seen rule %.*s\n", static_cast<int>(rule.name.size()),
                    rule.name.data());
        is_complete = false;
    }
    for (const int number : kScenarios) {
        if (all.find("# S" + std::to_string(number) + " ") != std::string::npos) continue;
        std::printf("there is no scenario S%d\n", number);
        is_complete = false;
    }
    return is_complete;
}

}  // namespace

int main(int argc, char **argv) {
    const bool accepts = argc == 3 && std::string_view(argv[1]) == "--accept";
    if (argc != 2 && !accepts) {
        std::fprintf(stderr, "usage: pgaf_conversation [--accept] DIRECTORY\n");
        return 2;
    }
    std::vector<fs::path> files;
    for (const auto &entry : fs::directory_iterator(argv[argc - 1])) {
        if (entry.path().extension() == ".txt") files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    std::set<std::string> fired;
    std::string all;
    bool is_good = !files.empty();
    for (const fs::path &path : files)
        is_good = Check(path, accepts, fired, all) && is_good;
    is_good = IsComplete(fired, all) && is_good;
    std::printf("%zu scenarios: %s\n", files.size(), is_good ? "as written" : "FAILED");
    return is_good ? 0 : 1;
}
