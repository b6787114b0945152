#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "known.hpp"
#include "run.hpp"
#include "scenarios.hpp"

/// pgaf_simulate [--known FILE] [--first SEED|now] [--seeds N] [--seconds S] [--story] [--shrink]
///               [--with FAULT,...] [--without FAULT,...]
/// pgaf_simulate [--known FILE] --scenarios [--only FINDING] [--story]
///
/// Exit status 0 when every seed is clean. `--first now` begins at a number from the clock; with
/// --seconds it goes on until the time is over. A seed that fails prints one line, a command that
/// reproduces it with the fewest faults that still fail.
///
/// --known names the list of faults that are known: its scenarios must fail, all others must hold,
/// and random seeds do without what would only find the known ones again.
namespace {

using Clock = std::chrono::steady_clock;
using pgaf::sim::FaultKind;
using pgaf::sim::FaultSet;

struct Options {
    std::uint64_t first = 1;
    std::uint64_t seeds = 1000;
    std::uint64_t seconds = 0;
    std::uint64_t failures = 5;
    bool tells = false;
    bool shrinks = false;
    bool scenarios = false;
    std::string only;
    FaultSet allowed = FaultSet::All();
    std::vector<pgaf::sim::KnownFault> known;
    std::string arguments;  ///< those that choose the world, for the command that reproduces
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

template <typename Do>
bool ForEachName(std::string_view list, Do what) {
    while (!list.empty()) {
        const std::size_t end = std::min(list.find(','), list.size());
        const FaultKind kind = pgaf::sim::FaultNamed(list.substr(0, end));
        if (kind == FaultKind::kFaultKinds) return false;
        what(kind);
        list.remove_prefix(std::min(end + 1, list.size()));
    }
    return true;
}

bool Parse(int argc, char **argv, Options &options) {
    for (int i = 1; i < argc; ++i) {
        const std::string_view name = argv[i];
        if (name == "--story" || name == "--shrink") {
            (name == "--story" ? options.tells : options.shrinks) = true;
            continue;
        }
        if (name == "--scenarios") {
            options.scenarios = true;
            continue;
        }
        if (i + 1 == argc) return false;
        const char *const value = argv[++i];
        if (name == "--known") {
            auto known = pgaf::sim::ReadKnownFaults(value);
            if (!known) {
                std::fprintf(stderr, "error: %s\n", known.error().message.c_str());
                return false;
            }
            options.known = std::move(*known);
            options.arguments += " --known " + std::string(value);
            for (const auto &fault : options.known) {
                for (const FaultKind kind : fault.withheld)
                    options.allowed.Remove(kind);
            }
            continue;
        }
        if (name == "--only") {
            options.only = value;
            continue;
        }
        if (name == "--with") {
            options.allowed = FaultSet{};
            if (!ForEachName(value, [&](FaultKind kind) { options.allowed.Add(kind); }))
                return false;
            options.arguments += " --with " + std::string(value);
            continue;
        }
        if (name == "--without") {
            if (!ForEachName(value, [&](FaultKind kind) { options.allowed.Remove(kind); }))
                return false;
            options.arguments += " --without " + std::string(value);
            continue;
        }
        std::uint64_t *target = name == "--first"      ? &options.first
                                : name == "--seeds"    ? &options.seeds
                                : name == "--seconds"  ? &options.seconds
                                : name == "--failures" ? &options.failures
                                                       : nullptr;
        if (target == nullptr || !GetNumber(value, *target)) return false;
    }
    return true;
}

bool RunSeed(std::uint64_t seed, const Options &options) {
    pgaf::sim::Plan plan = pgaf::sim::DrawPlan(seed, options.allowed);
    for (const auto &fault : options.known) {
        plan.disregarded.insert(plan.disregarded.end(), fault.ignored.begin(), fault.ignored.end());
    }
    pgaf::sim::Outcome outcome = pgaf::sim::Execute(plan);
    static std::mutex printing;
    const std::lock_guard<std::mutex> lock(printing);
    if (!outcome.violation.empty()) {
        std::printf("pgaf_simulate --story --shrink --seeds 1 --first %llu%s: %s\n",
                    static_cast<unsigned long long>(seed), options.arguments.c_str(),
                    outcome.violation.c_str());
        if (options.shrinks) {
            plan = pgaf::sim::Shrink(plan);
            outcome = pgaf::sim::Execute(plan);
            std::printf("fewest faults: %s: %s\n", Describe(plan).c_str(),
                        outcome.violation.c_str());
        }
    }
    if (options.tells) {
        for (const std::string &line : outcome.story)
            std::printf("%s\n", line.c_str());
    }
    return outcome.violation.empty();
}

/// What of the scenario is not as it should be; empty: nothing.
std::string Unexpected(const Options &options, std::string_view finding, const std::string &wrong) {
    for (const auto &fault : options.known) {
        if (fault.finding != finding) continue;
        if (wrong.empty()) return "holds by now: take it off the list of known faults";
        return wrong.starts_with(fault.violation) ? "" : "fails in another way than the list says";
    }
    return wrong.empty() ? "" : "does not hold";
}

int RunScenarios(const Options &options) {
    int unexpected = 0;
    int known = 0;
    int count = 0;
    for (const pgaf::sim::Scenario &scenario : pgaf::sim::Scenarios()) {
        if (!options.only.empty() && scenario.finding != options.only) continue;
        std::vector<std::string> story;
        std::string wrong;
        for (std::uint64_t seed = options.first; wrong.empty() && seed < options.first + 4; ++seed)
            wrong = scenario.run(seed, story);
        const std::string problem = Unexpected(options, scenario.finding, wrong);
        ++count;
        known += !wrong.empty() && problem.empty() ? 1 : 0;
        unexpected += problem.empty() ? 0 : 1;
        if (!problem.empty() || options.tells) {
            std::printf("%s, \"%s\": %s%s%s\n", std::string(scenario.finding).c_str(),
                        std::string(scenario.says).c_str(),
                        problem.empty() ? "as expected" : problem.c_str(),
                        wrong.empty() ? "" : ": ", wrong.c_str());
        }
        if (!options.tells) continue;
        for (const std::string &line : story)
            std::printf("%s\n", line.c_str());
    }
    std::printf("%d scenarios: %d hold, %d show a known fault, %d are not as expected\n", count,
                count - known - unexpected, known, unexpected);
    return unexpected == 0 ? 0 : 1;
}

/// Worlds share nothing: as many at a time as there are cores.
int RunSeeds(const Options &options) {
    const auto end = Clock::now() + std::chrono::seconds(options.seconds);
    std::atomic<std::uint64_t> next{0};
    std::atomic<std::uint64_t> failed{0};
    const auto goes_on = [&](std::uint64_t number) {
        if (failed >= options.failures) return false;
        return options.seconds > 0 ? Clock::now() < end : number < options.seeds;
    };
    std::atomic<std::uint64_t> done{0};
    const auto work = [&] {
        for (std::uint64_t number = next++; goes_on(number); number = next++) {
            failed += RunSeed(options.first + number, options) ? 0U : 1U;
            ++done;
        }
    };
    std::vector<std::thread> threads;
    const bool is_alone = options.tells || options.seeds == 1;
    const unsigned jobs = is_alone ? 1 : std::max(1U, std::thread::hardware_concurrency());
    for (unsigned i = 1; i < jobs; ++i)
        threads.emplace_back(work);
    work();
    for (std::thread &thread : threads)
        thread.join();
    const std::chrono::duration<double> took =
        Clock::now() - (end - std::chrono::seconds(options.seconds));
    std::printf("%llu of %llu seeds failed, the first was %llu; %.0f seeds a second\n",
                static_cast<unsigned long long>(failed), static_cast<unsigned long long>(done),
                static_cast<unsigned long long>(options.first),
                static_cast<double>(done) / std::max(took.count(), 0.001));
    return failed == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char **argv) {
    Options options;
    if (!Parse(argc, argv, options)) {
        std::fprintf(stderr,
                     "usage: %s [--known FILE] [--scenarios [--only FINDING]] [--first SEED|now] "
                     "[--seeds N] [--seconds S] [--failures N] "
                     "[--story] [--shrink] [--with FAULT,...] [--without FAULT,...]\n",
                     argv[0]);
        return 1;
    }
    if (options.scenarios) return RunScenarios(options);
    return RunSeeds(options);
}
