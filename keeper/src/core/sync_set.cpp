#include "pgaf/core/sync_set.hpp"

#include <algorithm>

namespace pgaf::core {

bool SyncSet::Contains(NodeId node) const {
    return std::find(members.begin(), members.end(), node) != members.end();
}

std::string ToSetting(const SyncSet &set) {
    if (set.members.empty()) return "";
    std::string text = "ANY " + std::to_string(set.k) + " (";
    for (std::size_t i = 0; i < set.members.size(); ++i) {
        if (i > 0) text += ", ";
        text += StandbyName(set.members[i]);
    }
    return text + ")";
}

bool CoversEveryCommit(const SyncSet &set, const std::vector<NodeId> &sealed) {
    if (set.members.empty() || set.k < 1) return false;
    const auto present = std::count_if(set.members.begin(), set.members.end(), [&](NodeId member) {
        return std::find(sealed.begin(), sealed.end(), member) != sealed.end();
    });
    return present >= static_cast<std::int64_t>(set.members.size()) - set.k + 1;
}

}  // namespace pgaf::core
