#include "pgaf/core/plausible.hpp"

#include <algorithm>
#include <utility>

namespace pgaf::core {
namespace {

std::string Step(std::string_view what, std::int64_t number, std::int64_t last) {
    return std::string(what) + " " + std::to_string(number) + " after " + std::to_string(last);
}

/// The first of the numbers that cannot follow what is known; empty: all can.
struct Known {
    std::string_view what;
    std::int64_t number;
    std::int64_t last;
};
template <std::size_t N>
std::string FirstImplausible(const Known (&numbers)[N]) {
    const auto *const at = std::find_if(std::begin(numbers), std::end(numbers), [](const Known &n) {
        return !IsPlausibleStep(n.number, n.last);
    });
    return at == std::end(numbers) ? "" : Step(at->what, at->number, at->last);
}

/// A timeline that the group cannot come to by promotions. The first one that is known is taken as
/// it is, like that of a primary whose decisions the monitor has forgotten, or which the operator
/// accepted.
bool IsTimelineOfElsewhere(const GroupView &view, const Report &report) {
    if (view.timeline == 0 || report.term > view.term) return false;
    if (report.timeline <= view.highest_timeline) return false;
    return report.timeline != view.accepted_timeline &&
           report.timeline > view.timeline + kTimelineStepMost;
}

}  // namespace

bool IsPlausibleStep(std::int64_t number, std::int64_t last) {
    return number >= 0 && number <= last + kStepMost;
}

Result<void> CheckNumbers(const GroupView &view, const std::string &who, const Report &report) {
    const Known numbers[] = {
        {"term", report.term, view.term},
        {"set", report.sync_version, view.sync.goal_version},
        {"set", report.recorded_sync_version, view.sync.goal_version},
        {"set", report.known_sync_version, view.sync.goal_version},
    };
    std::string found = FirstImplausible(numbers);
    if (found.empty() && IsTimelineOfElsewhere(view, report))
        found = Step("timeline", report.timeline, view.timeline);
    if (found.empty()) return {};
    return Fail(ProblemCode::kBadArgument, "implausible report of " + who,
                "It has " + found + ", which this group cannot have reached.");
}

std::string ImplausibleOrder(const NodeRecord &record, const Reply &reply) {
    const Known numbers[] = {
        {"term", reply.term, record.term},
        {"set", reply.sync_version, record.known_sync_version},
        {"epoch", reply.known_epoch, record.keeper_epoch},
        {"copy", reply.needed_copy, record.copies},
    };
    const std::string found = FirstImplausible(numbers);
    return found.empty() ? found : "it has " + found + ", which no monitor can have reached";
}

}  // namespace pgaf::core
