#pragma once

#include <string>
#include <vector>

#include "faults.hpp"
#include "rigs.hpp"
#include "world.hpp"

/// Words for scenarios.
namespace pgaf::sim {

/// A group that has settled; the first machine is the primary.
class Stage {
 public:
    Stage(std::uint64_t seed, int nodes, std::vector<std::string> &story,
          World::Options options = {})
        : world(WithNodes(options, seed, nodes)), story_(story) {
        if (!world.SetUp()) wrong = "fresh nodes did not settle:" + world.Summary();
    }
    ~Stage() { story_ = world.Story(); }
    Stage(const Stage &) = delete;
    Stage &operator=(const Stage &) = delete;

    /// Faults go on; the longest time without an acknowledgement is measured from here.
    void Run(int ms);
    /// Until the group is whole again and serves.
    bool Heals(int limit_ms);
    bool Until(const std::function<bool()> &is_true, int limit_ms) {
        return world.RunUntil(is_true, Milliseconds{limit_ms});
    }
    bool Reaches(int place, NodeState state, int limit_ms);
    void Cut(int a, int b) { world.SetPath(a, b, Way::kSilent, true); }
    void Mend(int a, int b) { world.SetPath(a, b, Way::kOpen, true); }
    void Alter(int place, const std::string &name, const std::string &value) {
        AlterSystem(world, world.At(place), name, value);
    }
    /// Somebody acknowledges again.
    bool Serves(int limit_ms);
    /// Nobody has acknowledged for longer.
    void MustServe(int limit_ms, const char *when);
    /// All that was acknowledged is on the machine that writes, when one does.
    void MustHoldAll();
    /// What was violated, or what the scenario itself found wrong.
    [[nodiscard]] std::string Verdict() const {
        return world.Violation().empty() ? wrong : world.Violation();
    }
    [[nodiscard]] Milliseconds LongestGap() const { return longest_; }
    void ForgetGap() { longest_ = {}; }

    World world;
    std::string wrong;

 private:
    static World::Options WithNodes(World::Options options, std::uint64_t seed, int nodes) {
        options.seed = seed;
        options.nodes = nodes;
        return options;
    }
    std::vector<std::string> &story_;
    Milliseconds longest_{0};
};

}  // namespace pgaf::sim
