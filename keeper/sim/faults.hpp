#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "pgaf/core/types.hpp"

/// What goes wrong, and what operators do meanwhile, as data: a run is a list of these, so that it
/// can be made shorter.
namespace pgaf::sim {

class World;
class Machine;
class Random;

enum class FaultKind {
    kKillServer,
    kPower,
    kFreezeMachine,
    kFreezeWorker,
    kFreezeSupervisor,
    kKillSupervisor,
    kKillWorker,
    kCut,
    kMonitorDown,
    kFailover,
    kNumberSync,
    kAcceptLoss,
    kMaintenance,
    kPriority,
    kMembership,
    kDieInStep,
    kDieInPromotion,
    kLateReloads,
    kReset,
    kUnreachable,
    kMonitorLock,
    kMonitorRestore,
    kMonitorLost,
    kCopyMachine,
    kLastingCopy,
    kOldDisk,
    kUnheardOldDisk,
    kImpostor,
    kAlterSync,
    kAlterConninfo,
    kAlterPreload,
    kLoseInclude,
    kSyntaxError,
    kPgCtlStart,
    kPgCtlStop,
    kPgCtlRestart,
    kPgCtlPromote,
    kNodeGone,
    kPauseReplay,
    kSlowReplay,
    kStartFails,
    kBreakReplay,
    kLostTail,
    kLeakedSession,
    kFreezeDisk,
    kHungPostmaster,
    kPauseMachine,
    // Not events but kinds of clients, drawn once for a world.
    kPrepare,
    kCancels,
    kReads,
    kFaultKinds,
};

struct FaultInfo {
    FaultKind kind;
    std::string_view name;
    int weight;  ///< 0: a kind of clients
};
/// In the order of the kinds.
const FaultInfo &InfoOf(FaultKind kind);
/// kFaultKinds when there is none of that name.
FaultKind FaultNamed(std::string_view name);

struct Fault {
    FaultKind kind = FaultKind::kKillServer;
    std::array<std::uint32_t, 4> numbers{};
    core::Milliseconds then{0};  ///< until the next one
};

class FaultSet {
 public:
    void Add(FaultKind kind) { kinds_.at(static_cast<std::size_t>(kind)) = true; }
    void Remove(FaultKind kind) { kinds_.at(static_cast<std::size_t>(kind)) = false; }
    [[nodiscard]] bool Has(FaultKind kind) const {
        return kinds_.at(static_cast<std::size_t>(kind));
    }
    static FaultSet All();

 private:
    std::array<bool, static_cast<std::size_t>(FaultKind::kFaultKinds)> kinds_{};
};

std::vector<Fault> DrawFaults(Random &random, const FaultSet &allowed);
void Inject(World &world, const Fault &fault);
/// As the operator, or a tool that writes the file, does it: ours refuses it in the server.
void AlterSystem(World &world, Machine &machine, const std::string &name, const std::string &value);

}  // namespace pgaf::sim
