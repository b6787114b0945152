#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "azure/failure.hpp"
#include "azure/plan.hpp"

/// Carries a plan out. Knows no processes: everything goes through the port.
namespace pgaf::azure {

struct Event {
    enum class Kind {
        kStage,     ///< begins; `lanes` are the machines
        kStep,      ///< a lane begins a step
        kRetry,     ///< a step is tried again, because of `text`
        kFinished,  ///< a lane is done
        kFailed,    ///< a lane is not, because of `text`
        kState,     ///< the monitor reports something new: `text`
        kStageEnd,
    };
    Kind kind = Kind::kStage;
    std::string machine{};
    std::string text{};
    std::vector<std::string> lanes{};
};

/// Everything that a plan needs from outside. Called from several threads at once.
class Port {
 public:
    Port() = default;
    Port(const Port &) = delete;
    Port &operator=(const Port &) = delete;
    virtual ~Port() = default;
    /// argv[0] is "az" or "ssh". Ended by the port when somebody asks to stop: kRefused.
    virtual Result<io::Outcome> Run(io::Command command) = 0;
    virtual Result<std::string> ReadLocalFile(const std::string &path) = 0;
    /// All or nothing, for nobody else to read; directories are made.
    virtual Result<void> WriteLocalFile(const std::string &path, const std::string &text) = 0;
    /// Returns early when somebody asks to stop.
    virtual void Pause(Milliseconds time) = 0;
    [[nodiscard]] virtual bool IsStopped() const = 0;
    [[nodiscard]] virtual core::BootTime Now() const = 0;
    virtual void Report(const Event &event) = 0;
    /// Called about every second while lanes run.
    virtual void Tick() = 0;
};

struct ExecutorOptions {
    std::map<std::string, std::string> secrets{};
    Milliseconds first_pause{1000};  ///< before a second attempt; doubled each time
    Milliseconds longest_pause{15'000};
    int attempts_max = 8;
    Milliseconds deadline{0};  ///< for each step, instead of its own; 0: none
};

class Executor {
 public:
    Executor(const Region &region, Port &port, ExecutorOptions options)
        : region_(region), port_(port), options_(std::move(options)) {}

    /// Every failure that there was; none when all is done. After a stop the last one is kRefused.
    std::vector<Problem> Run(const Plan &plan);
    /// The address of a machine, asked of az when it is not known yet.
    Result<std::string> AddressOf(const std::string &kind, const std::string &machine);

 private:
    void RunStage(const Stage &stage, std::vector<Problem> &problems);
    Result<void> RunLane(const Lane &lane);
    Result<void> RunStep(const Step &step);
    [[nodiscard]] bool NeedsAFailedMachine(const Step &step) const;
    Result<void> Repeat(const Step &step, const io::Command &command);
    Result<void> AwaitStable(const Step &step, const io::Command &command);
    Result<void> KeepHostKeys(const Step &step, const io::Outcome &outcome);
    Result<io::Command> CommandFor(const Step &step);
    Result<void> FetchAddresses();

    const Region &region_;
    Port &port_;
    ExecutorOptions options_;
    /// Machines that failed in an earlier stage; not changed while lanes run.
    std::set<std::string> failed_machines_;
    std::mutex addresses_mutex_;
    std::map<std::string, Addresses> addresses_;
};

}  // namespace pgaf::azure
