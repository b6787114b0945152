#include "azure/executor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "azure/host_keys.hpp"
#include "azure/markers.hpp"

namespace pgaf::azure {
namespace {

// An az process takes some 100 MB of memory and a second or two of CPU.
constexpr std::size_t kLanesMax = 12;
constexpr Milliseconds kLookLimit{120'000};
constexpr Milliseconds kStablePause{1000};
constexpr std::chrono::seconds kTick{1};

Problem Stopped() { return {ProblemCode::kRefused, "interrupted", {}, {}}; }

std::string Table(const std::vector<NodeState> &nodes) {
    std::string text;
    for (const NodeState &node : nodes) {
        text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", node.name, node.reported);
        if (node.assigned != node.reported) text += " -> " + node.assigned;
    }
    return text;
}

}  // namespace

std::vector<Problem> Executor::Run(const Plan &plan) {
    std::vector<Problem> problems;
    for (const Stage &stage : plan.stages) {
        const std::size_t before = problems.size();
        RunStage(stage, problems);
        if (port_.IsStopped()) {
            problems.push_back(Stopped());
            return problems;
        }
        if (problems.size() > before && stage.on_failure == OnFailure::kStop) return problems;
    }
    return problems;
}

void Executor::RunStage(const Stage &stage, std::vector<Problem> &problems) {
    std::vector<const Lane *> lanes;
    Event begin{.kind = Event::Kind::kStage, .text = stage.title};
    for (const Lane &lane : stage.lanes) {
        if (failed_machines_.contains(lane.machine)) continue;
        lanes.push_back(&lane);
        begin.lanes.push_back(lane.machine);
    }
    if (lanes.empty()) return;
    port_.Report(begin);
    std::mutex mutex;
    std::condition_variable all_done;
    std::set<std::string> failed;
    std::size_t next = 0;
    std::size_t done = 0;
    const auto work = [&] {
        std::unique_lock lock(mutex);
        while (next < lanes.size()) {
            const Lane &lane = *lanes[next++];
            lock.unlock();
            Result<void> result = RunLane(lane);
            lock.lock();
            if (!result && !port_.IsStopped()) {
                failed.insert(lane.machine);
                problems.push_back(result.error());
            }
            ++done;
            all_done.notify_all();
        }
    };
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < std::min(lanes.size(), kLanesMax); ++i)
        threads.emplace_back(work);
    std::unique_lock lock(mutex);
    while (!all_done.wait_for(lock, kTick, [&] { return done == lanes.size(); })) {
        lock.unlock();
        port_.Tick();
        lock.lock();
    }
    lock.unlock();
    threads.clear();
    failed_machines_.merge(failed);
    port_.Report({.kind = Event::Kind::kStageEnd, .text = stage.title});
}

Result<void> Executor::RunLane(const Lane &lane) {
    for (const Step &step : lane.steps) {
        if (port_.IsStopped()) return tl::unexpected(Stopped());
        if (NeedsAFailedMachine(step)) continue;
        port_.Report({.kind = Event::Kind::kStep, .machine = lane.machine, .text = step.doing});
        if (auto done = RunStep(step); !done) {
            port_.Report({.kind = Event::Kind::kFailed,
                          .machine = lane.machine,
                          .text = done.error().message});
            return done;
        }
    }
    port_.Report({.kind = Event::Kind::kFinished, .machine = lane.machine});
    return {};
}

/// A group in which a node is missing does not become what was wanted: it is not waited for.
bool Executor::NeedsAFailedMachine(const Step &step) const {
    const auto has_failed = [this](const std::string &node) {
        return failed_machines_.contains(
            MachineOf(region_, node.substr(region_.region.size() + 1)));
    };
    return failed_machines_.contains(step.resource) ||
           std::any_of(step.until_stable.begin(), step.until_stable.end(), has_failed);
}

Result<void> Executor::RunStep(const Step &step) {
    auto command = CommandFor(step);
    if (!command) {
        return Pass(command, fmt::format("{} \"{}\"", step.doing, step.resource));
    }
    return step.until_stable.empty() ? Repeat(step, *command) : AwaitStable(step, *command);
}

Result<void> Executor::Repeat(const Step &step, const io::Command &command) {
    Milliseconds pause = options_.first_pause;
    for (int attempt = 1;; ++attempt) {
        auto outcome = port_.Run(command);
        if (!outcome) {
            Problem problem =
                outcome.error().In(fmt::format("{} \"{}\"", step.doing, step.resource));
            if (problem.code == ProblemCode::kTimeout && problem.hint.empty()) {
                problem.detail = fmt::format("The limit is {} s; --timeout sets another one.",
                                             command.timeout.count() / 1000);
                problem.hint = "The same command goes on with what is missing.";
            }
            return tl::unexpected(std::move(problem));
        }
        auto failure = Judge(step, *outcome);
        if (!failure) return KeepHostKeys(step, *outcome);
        if (!failure->is_transient || attempt >= options_.attempts_max || port_.IsStopped()) {
            return tl::unexpected(std::move(failure->problem));
        }
        port_.Report({.kind = Event::Kind::kRetry,
                      .machine = step.resource,
                      .text = fmt::format("{}, retrying in {} s", failure->problem.message,
                                          (pause.count() + 999) / 1000)});
        port_.Pause(pause);
        pause = std::min(pause * 2, options_.longest_pause);
        if (port_.IsStopped()) return tl::unexpected(Stopped());
    }
}

Result<void> Executor::KeepHostKeys(const Step &step, const io::Outcome &outcome) {
    if (!step.tells_host_keys) return {};
    auto said = ReadRunCommand(outcome.out);
    if (!said) return Pass(said);
    auto known = KnownHosts(*said, step.resource);
    if (!known) return Pass(known);
    return port_.WriteLocalFile(KnownHostsOf(region_, step.resource), *known);
}

Result<void> Executor::AwaitStable(const Step &step, const io::Command &command) {
    const core::BootTime start = port_.Now();
    const Milliseconds limit = command.timeout;
    io::Command look = command;
    look.timeout = std::min(limit, kLookLimit);
    std::string last;
    while (!port_.IsStopped()) {
        auto outcome = port_.Run(look);
        if (!outcome) return Pass(outcome, step.doing);
        auto nodes = outcome->status == 0
                         ? ReadStates(outcome->out)
                         : Fail(ProblemCode::kMonitor, "the monitor is not ready", outcome->err);
        const std::string shown = nodes ? Table(*nodes) : nodes.error().message;
        if (shown != last) {
            port_.Report({.kind = Event::Kind::kState, .machine = step.resource, .text = shown});
            last = shown;
        }
        if (nodes && IsStable(*nodes, step.until_stable)) return {};
        if (port_.Now() - start >= limit) {
            return Fail(
                ProblemCode::kTimeout,
                fmt::format("the nodes are not primary and secondary after {} s",
                            limit.count() / 1000),
                nodes ? fmt::format("The monitor reports {}.", shown) : nodes.error().detail,
                "Look at it with pg_autoctl do azure show state and, in the machine, "
                "journalctl -u pgautofailover.");
        }
        port_.Pause(kStablePause);
    }
    return tl::unexpected(Stopped());
}

Result<io::Command> Executor::CommandFor(const Step &step) {
    io::Command command;
    command.timeout = options_.deadline.count() > 0 ? options_.deadline : step.deadline;
    for (const std::string &word : step.argv) {
        auto filled = Fill(
            word, [this](const Marker &marker) { return AddressOf(marker.kind, marker.machine); });
        if (!filled) return Pass(filled);
        command.argv.push_back(std::move(*filled));
    }
    if (!step.input_file.empty()) {
        auto file = port_.ReadLocalFile(step.input_file);
        if (!file) return Pass(file);
        command.input = std::move(*file);
        return command;
    }
    for (const std::string &name : step.secrets) {
        const auto secret = options_.secrets.find(name);
        if (secret == options_.secrets.end())
            return Fail(ProblemCode::kInternal, fmt::format("there is no secret {}", name));
        command.input += fmt::format("export {}={}\n", name, ShellQuote(secret->second));
    }
    command.input += step.input;
    return command;
}

Result<std::string> Executor::AddressOf(const std::string &kind, const std::string &machine) {
    // The lock is held while az is asked: other lanes wait for the same answer.
    const std::lock_guard lock(addresses_mutex_);
    const bool is_public = kind == "public";
    const auto known = [&] {
        const auto found = addresses_.find(machine);
        if (found == addresses_.end()) return std::string();
        return is_public ? found->second.public_ip : found->second.private_ip;
    };
    if (!known().empty()) return known();
    if (auto fetched = FetchAddresses(); !fetched) return Pass(fetched);
    if (!known().empty()) return known();
    if (!addresses_.contains(machine)) {
        return Fail(ProblemCode::kNotFound, fmt::format("there is no machine \"{}\"", machine), {},
                    "pg_autoctl do azure create region makes it.");
    }
    return Fail(ProblemCode::kBadState,
                fmt::format("machine \"{}\" has no {} address", machine, kind),
                "A machine that is deallocated has none.",
                fmt::format("Start it with: az vm start --resource-group {} --name {}",
                            GroupOf(region_), machine));
}

Result<void> Executor::FetchAddresses() {
    const Step look{
        .doing = "looking up the addresses of",
        .resource = GroupOf(region_),
        .argv = AzJson({"vm", "list-ip-addresses", "--resource-group", GroupOf(region_)})};
    for (int attempt = 1;; ++attempt) {
        auto outcome = port_.Run({.argv = look.argv, .timeout = kLookLimit});
        if (!outcome) return Pass(outcome, look.doing);
        if (auto failure = Judge(look, *outcome)) {
            if (!failure->is_transient || attempt >= options_.attempts_max || port_.IsStopped())
                return tl::unexpected(std::move(failure->problem));
            port_.Pause(options_.first_pause);
            continue;
        }
        auto all = ReadAddresses(outcome->out, region_);
        if (!all) return Pass(all);
        for (Addresses &one : *all)
            addresses_[one.name] = one;
        return {};
    }
}

}  // namespace pgaf::azure
