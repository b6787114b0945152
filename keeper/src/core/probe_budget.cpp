#include "pgaf/core/probe_budget.hpp"

#include <algorithm>

namespace pgaf::core {
namespace {

/// Nodes that are gone are not told from others; far more than a monitor has are no longer known.
constexpr std::size_t kKnownMost = 100'000;

}  // namespace

void ProbeBudget::Know(NodeId node, Target target) {
    if (known_.size() >= kKnownMost) known_.clear();
    known_.insert_or_assign(node.value, std::move(target));
}

bool ProbeBudget::Allows(NodeId node, const Target &target, int per_minute, BootTime now) {
    const auto found = known_.find(node.value);
    if (found != known_.end() && found->second == target) return true;
    const double most = per_minute;
    if (left_ < 0) left_ = most;
    const Milliseconds passed = now - filled_;
    left_ = std::min(most, left_ + static_cast<double>(passed.count()) * most / 60'000);
    filled_ = filled_ + passed;  // what is left of a millisecond counts the next time
    if (left_ < 1) return false;
    left_ -= 1;
    Know(node, target);
    return true;
}

}  // namespace pgaf::core
