#include <charconv>
#include <cstdio>
#include <cstring>
#include <random>

#include "model.hpp"

/// pgaf_simulate [--first SEED] [--seeds N] [--story] [--mutant 1..4]
/// Exit status 0 when every seed is clean (with a mutant: when at least one seed catches it).
namespace {

bool GetNumber(const char *text, std::uint64_t &out) {
    const auto [end, error] = std::from_chars(text, text + std::strlen(text), out);
    return error == std::errc{} && *end == '\0';
}

bool RunSeed(std::uint64_t seed, std::uint64_t mutant, bool tell) {
    pgaf::sim::World world(seed);
    world.Mutate(static_cast<pgaf::sim::World::Mutation>(mutant));
    const std::string problem = world.Run();
    if (problem.empty()) return true;
    if (mutant == 0 || tell) {
        std::printf("pgaf_simulate --story --seeds 1 --first %llu: %s\n",
                    static_cast<unsigned long long>(seed), problem.c_str());
    }
    if (tell) {
        for (const std::string &line : world.Story())
            std::printf("%s\n", line.c_str());
    }
    return false;
}

}  // namespace

int main(int argc, char **argv) {
    std::uint64_t first = 1;
    std::uint64_t seeds = 1000;
    std::uint64_t mutant = 0;
    bool tell = false;
    for (int i = 1; i < argc; ++i) {
        const bool has_value = i + 1 < argc;
        if (std::strcmp(argv[i], "--story") == 0) {
            tell = true;
        } else if (std::strcmp(argv[i], "--first") == 0 && has_value &&
                   GetNumber(argv[i + 1], first)) {
            ++i;
        } else if (std::strcmp(argv[i], "--seeds") == 0 && has_value &&
                   GetNumber(argv[i + 1], seeds)) {
            ++i;
        } else if (std::strcmp(argv[i], "--mutant") == 0 && has_value &&
                   GetNumber(argv[i + 1], mutant) && mutant <= 4) {
            ++i;
        } else {
            std::fprintf(stderr, "usage: %s [--first SEED] [--seeds N] [--story] [--mutant 1..4]\n",
                         argv[0]);
            return 1;
        }
    }
    std::uint64_t failed = 0;
    for (std::uint64_t seed = first; seed < first + seeds && failed < 5; ++seed) {
        failed += RunSeed(seed, mutant, tell) ? 0 : 1;
    }
    std::printf("%llu of up to %llu seeds failed%s\n", static_cast<unsigned long long>(failed),
                static_cast<unsigned long long>(seeds), mutant != 0 ? " (a mutant must fail)" : "");
    return (failed == 0) == (mutant == 0) ? 0 : 1;
}
