#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <optional>

#include "model.hpp"

/// pgaf_simulate [--first SEED] [--seeds N] [--seconds S] [--story]
/// Exit status 0 when every seed is clean. `--first now` begins at a number from the clock; with
/// --seconds it goes on until the time is over. A seed that fails prints one line, a command that
/// reproduces it.
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
    std::uint64_t first = 1;
    std::uint64_t seeds = 1000;
    std::uint64_t seconds = 0;
    bool tells = false;
};

bool GetNumber(const char *text, std::uint64_t &out) {
    if (std::strcmp(text, "now") == 0) {
        out = static_cast<std::uint64_t>(
            std::chrono::system_clock::now().time_since_epoch().count() / 1000);
        return true;
    }
    const auto [end, error] = std::from_chars(text, text + std::strlen(text), out);
    return error == std::errc{} && *end == '\0';
}

std::optional<Options> Parse(int argc, char **argv) {
    Options options;
    for (int i = 1; i < argc; ++i) {
        if (std::strcmp(argv[i], "--story") == 0) {
            options.tells = true;
            continue;
        }
        std::uint64_t *target = std::strcmp(argv[i], "--first") == 0     ? &options.first
                                : std::strcmp(argv[i], "--seeds") == 0   ? &options.seeds
                                : std::strcmp(argv[i], "--seconds") == 0 ? &options.seconds
                                                                         : nullptr;
        if (target == nullptr || i + 1 == argc || !GetNumber(argv[++i], *target))
            return std::nullopt;
    }
    return options;
}

bool RunSeed(std::uint64_t seed, bool tells) {
    pgaf::sim::World world(seed);
    const std::string problem = world.Run();
    if (!problem.empty()) {
        std::printf("pgaf_simulate --story --seeds 1 --first %llu: %s\n",
                    static_cast<unsigned long long>(seed), problem.c_str());
    }
    if (tells) {
        for (const std::string &line : world.Story())
            std::printf("%s\n", line.c_str());
    }
    return problem.empty();
}

}  // namespace

int main(int argc, char **argv) {
    const auto options = Parse(argc, argv);
    if (!options) {
        std::fprintf(stderr, "usage: %s [--first SEED|now] [--seeds N] [--seconds S] [--story]\n",
                     argv[0]);
        return 1;
    }
    const auto end = Clock::now() + std::chrono::seconds(options->seconds);
    unsigned long long failed = 0;
    unsigned long long done = 0;
    const auto goes_on = [&] {
        return options->seconds > 0 ? Clock::now() < end : done < options->seeds;
    };
    for (; failed < 5 && goes_on(); ++done) {
        failed += RunSeed(options->first + done, options->tells) ? 0 : 1;
    }
    std::printf("%llu of %llu seeds failed, the first was %llu\n", failed, done,
                static_cast<unsigned long long>(options->first));
    return failed == 0 ? 0 : 1;
}
