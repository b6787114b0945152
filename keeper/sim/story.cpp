#include "story.hpp"

namespace pgaf::sim {

void Stage::Run(int ms) {
    const BootTime end = world.Now() + Milliseconds{ms};
    while (world.Now() < end && world.Violation().empty()) {
        world.Tick();
        longest_ = std::max(longest_, world.Now() - world.LastAcknowledged());
    }
}

bool Stage::Heals(int limit_ms) {
    const bool heals =
        Until([this] { return world.IsConverged() && world.Primary() != 0; }, limit_ms);
    if (!heals && wrong.empty()) wrong = "the group does not heal:" + world.Summary();
    return heals;
}

bool Stage::Reaches(int place, NodeState state, int limit_ms) {
    return Until(
        [&] {
            const core::NodeView *const row = world.monitor().Rows().Find(world.At(place).node);
            return row != nullptr && row->goal == state && row->reported == state;
        },
        limit_ms);
}

bool Stage::Serves(int limit_ms) {
    const std::int64_t before = world.Acknowledged();
    return Until([&] { return world.Acknowledged() > before; }, limit_ms);
}

void Stage::MustServe(int limit_ms, const char *when) {
    if (Serves(limit_ms) || !wrong.empty()) return;
    wrong = std::string("nobody has acknowledged for ") + std::to_string(limit_ms) + " ms " + when +
            ":" + world.Summary();
}

void Stage::MustHoldAll() {
    const int primary = world.Primary();
    if (primary == 0) return;
    const Machine &machine = world.At(primary);
    world.CheckData(machine, machine.data->Data(), "the primary");
}

}  // namespace pgaf::sim
