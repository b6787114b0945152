#include "run.hpp"

#include <algorithm>

#include "pgaf/core/intake.hpp"
#include "random.hpp"
#include "world.hpp"

namespace pgaf::sim {

namespace {

/// Operators end what they began: a maintenance, and the removal of a node whose program has ended
/// before the monitor heard of it, or which a monitor from a backup has forgotten.
void EndWhatWasBegun(World &world) {
    const core::GroupView rows = world.monitor().Rows();
    for (const core::NodeView &row : rows.nodes) {
        (void)world.monitor().EndMaintenance(row.id);
        const Machine *const machine = world.FindByAddress(row.host);
        const bool has_ended = machine == nullptr || !machine->is_registered;
        if (has_ended && (row.goal == core::NodeState::kDropped || machine != nullptr))
            (void)world.monitor().Remove(row.id, true);
    }
}

bool Converges(World &world, Milliseconds limit) {
    return world.RunUntil([&world] { return world.IsConverged() && world.Primary() != 0; }, limit);
}

/// What a disk had confirmed and lost cannot be proved to be elsewhere, and what a lost machine had
/// neither: the operator has a command that accepts the loss, and one that drops the machine.
void AcceptLoss(World &world) {
    constexpr int kTries = 6;
    for (int i = 0; i < kTries && !Converges(world, Milliseconds{20'000}); ++i) {
        const core::GroupView rows = world.monitor().Rows();
        for (const core::NodeView &row : rows.nodes) {
            const Machine *const machine = world.FindByAddress(row.host);
            const bool is_gone = machine != nullptr && machine->is_gone;
            if (i >= kTries / 2 && is_gone) (void)world.monitor().Remove(row.id, true);
        }
        world.Tell("operator: " +
                   world.monitor().Failover({.allow_data_loss = true, .primary_is_off = i > 1}));
        (void)Converges(world, Milliseconds{5'000});
        EndWhatWasBegun(world);
    }
}

/// The monitor comes from a backup, and nobody is left from whom it can learn with certainty what
/// it lacks: it says so, and the operator does what the documents say. With every node there
/// nothing is lost by that.
void ElectWithOldRows(World &world) {
    constexpr int kTries = 3;
    for (int i = 0; i < kTries && !Converges(world, Milliseconds{20'000}); ++i) {
        const core::GroupView view = world.monitor().View();
        if (core::NewerThanRows(view) == nullptr) return;
        for (const core::NodeView &node : view.nodes) {
            Machine *const machine = world.FindByAddress(node.host);
            if (machine != nullptr && node.has_report && core::MayWrite(node))
                machine->KillServer();  // it comes back fenced
        }
        world.Run(Milliseconds{3'000});
        world.Tell("operator: " + world.monitor().Failover({.allow_data_loss = true}, true));
        (void)Converges(world, Milliseconds{10'000});
        EndWhatWasBegun(world);
    }
}

/// Everything that was promised is on whoever writes now.
std::string Judge(World &world) {
    const int primary = world.Primary();
    if (primary == 0) return "nobody accepts writes at the end:" + world.Summary();
    const Machine &machine = world.At(primary);
    world.CheckData(machine, machine.data->Data(), "the last primary");
    return world.Violation();
}

}  // namespace

Plan DrawPlan(std::uint64_t seed, const FaultSet &allowed) {
    Random random(seed ^ 0x5DEECE66DU);
    Plan plan;
    plan.seed = seed;
    plan.nodes = 2 + random.Below(4);
    plan.promises = random.Below(10) != 0;
    plan.with_prepare = allowed.Has(FaultKind::kPrepare) && random.Below(3) == 0;
    plan.with_cancels = allowed.Has(FaultKind::kCancels) && random.Below(3) == 0;
    plan.with_reads = allowed.Has(FaultKind::kReads) && random.Below(2) == 0;
    plan.faults = DrawFaults(random, allowed);
    return plan;
}

Outcome Execute(const Plan &plan) {
    const bool keeps_images =
        std::any_of(plan.faults.begin(), plan.faults.end(), [](const Fault &fault) {
            return fault.kind == FaultKind::kOldDisk || fault.kind == FaultKind::kUnheardOldDisk;
        });
    World world({.seed = plan.seed,
                 .nodes = plan.nodes,
                 .promises = plan.promises,
                 .with_prepare = plan.with_prepare,
                 .with_cancels = plan.with_cancels,
                 .with_reads = plan.with_reads,
                 .keeps_images = keeps_images});
    for (const std::string &prefix : plan.disregarded)
        world.Disregard(prefix);
    const auto end = [&world](std::string what) { return Outcome{std::move(what), world.Story()}; };
    if (!world.SetUp()) {
        return end(world.Violation().empty() ? "fresh nodes did not settle:" + world.Summary()
                                             : world.Violation());
    }
    for (const Fault &fault : plan.faults) {
        Inject(world, fault);
        world.Run(fault.then);
        if (!world.Violation().empty()) return end(world.Violation());
    }
    world.HealEverything();
    for (int i = 0; i < 60 && world.Violation().empty(); ++i) {
        EndWhatWasBegun(world);
        if (Converges(world, Milliseconds{1500})) break;
    }
    if (!world.Violation().empty()) return end(world.Violation());
    if (world.HasLostWal() || world.IsAnyGone()) AcceptLoss(world);
    if (!world.IsConverged()) ElectWithOldRows(world);
    if (!world.Violation().empty()) return end(world.Violation());
    // Every node was dropped, or is gone and was dropped in the end.
    if (world.monitor().Rows().nodes.empty()) return end(world.Violation());
    if (!world.IsConverged())
        return end("no convergence after everything healed:" + world.Summary());
    return end(Judge(world));
}

Plan Shrink(const Plan &plan) {
    Plan best = plan;
    bool goes_on = true;
    for (bool Plan::*clients : {&Plan::with_prepare, &Plan::with_cancels, &Plan::with_reads}) {
        Plan fewer = best;
        fewer.*clients = false;
        if (!Execute(fewer).violation.empty()) best = std::move(fewer);
    }
    while (goes_on) {
        goes_on = false;
        for (std::size_t i = best.faults.size(); i > 0; --i) {
            Plan fewer = best;
            // What came between stays as time.
            const Milliseconds then = fewer.faults.at(i - 1).then;
            fewer.faults.erase(fewer.faults.begin() + static_cast<std::ptrdiff_t>(i - 1));
            if (i >= 2) fewer.faults.at(i - 2).then += then;
            if (Execute(fewer).violation.empty()) continue;
            best = std::move(fewer);
            goes_on = true;
        }
    }
    return best;
}

std::string Describe(const Plan &plan) {
    std::string text = std::to_string(plan.nodes) + " nodes" +
                       (plan.promises ? "" : ", no quorum") +
                       (plan.with_prepare ? ", PREPARE" : "") +
                       (plan.with_cancels ? ", cancels" : "") + (plan.with_reads ? ", reads" : "");
    for (const Fault &fault : plan.faults) {
        text += ", " + std::string(InfoOf(fault.kind).name) + " +" +
                std::to_string(fault.then.count()) + " ms";
    }
    return text;
}

}  // namespace pgaf::sim
