#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "pgaf/core/decide.hpp"

/// A conversation between the nodes of a group, an operator, and the monitor: one command a line,
/// in virtual time. The monitor's rules are the real ones; what the nodes say is in the script.
namespace pgaf::conversation {

using Words = std::vector<std::string>;

class Conversation {
 public:
    /// Carries out one line of a scenario; returns what follows from it, line by line. A line that
    /// is not understood is said so, which no expectation may contain.
    std::vector<std::string> Say(const std::string &line);
    /// Names of the rules that have fired.
    [[nodiscard]] const std::set<std::string> &Fired() const { return fired_; }
    [[nodiscard]] bool HasFailed() const { return has_failed_; }

 private:
    /// What the monitor keeps in shared memory, and how the node lives.
    struct Actor {
        core::LeaseRecord lease{};
        core::BootTime goal_since{};
        core::BootTime reported_at{};
        core::BootTime quiet_since{};  ///< its receiver hears nothing since
        bool is_alive = true;          ///< reports by itself while time passes
        core::Reply reply{};
        std::string last_answer{};
    };

    // Commands
    void Group(const Words &words);
    void Register(const std::string &name, const Words &options);
    void Operator(const Words &words);
    void AskFailover(const Words &words);
    void Pass(const Words &words);
    void Show();
    void Obey();
    void RestartMonitor();
    void NodeSays(const std::string &name, const Words &words);

    // Nodes
    void ApplyFacts(core::NodeView &node, const Words &words);
    [[nodiscard]] std::size_t ApplyFact(core::NodeView &node, const Words &words, std::size_t at);
    [[nodiscard]] std::size_t ApplyListFact(core::NodeView &node, const Words &words,
                                            std::size_t at);
    void Reach(core::NodeView &node, const Words &words);
    void BecomeAs(core::NodeView &node);
    void Follow(core::NodeView &node);
    void Kill(core::NodeView &node);
    void FallQuiet(core::NodeView &node);
    void Report(core::NodeId id);
    void Stream(core::NodeView &from, core::NodeView &to);

    // Monitor
    void Refresh();
    void Settle();
    void Carry(const core::Decision &decision);
    void Ask(const core::Result<core::Decision> &asked);
    void Answer(core::NodeId id);
    void Print(const core::Problem &problem);

    core::NodeView *Find(const std::string &name);
    [[nodiscard]] std::string NameOf(core::NodeId id) const;
    [[nodiscard]] std::string SetText(const core::SyncSet &set) const;
    void Print(std::string text) { out_.push_back(std::move(text)); }
    void Fail(const std::string &text);

    core::GroupView view_;
    std::map<std::int64_t, Actor> actors_;
    core::BootTime now_{1'000'000'000'000};
    core::BootTime monitor_started_{0};
    std::string blocked_;
    std::vector<std::string> out_;
    std::set<std::string> fired_;
    bool has_failed_ = false;
};

}  // namespace pgaf::conversation
