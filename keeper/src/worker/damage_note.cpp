#include "worker/damage_note.hpp"

#include <algorithm>

namespace pgaf::worker {
namespace {

/// The data that the note is about.
std::string DataOf(const core::NodeRecord &record) {
    return "node " + std::to_string(record.node.value) + " copy " + std::to_string(record.copies) +
           "\n";
}

}  // namespace

void DamageNote::Load(Files &files, const core::NodeRecord &record) {
    text_.clear();
    const auto text = files.Read(path_);
    const std::string head = DataOf(record);
    if (text && text->starts_with(head)) text_ = text->substr(head.size());
}

bool DamageNote::Note(Files &files, const core::NodeRecord &record, const std::string &seen) {
    if (seen.empty() || IsDamaged()) return false;
    text_ = seen;
    (void)files.WriteAtomic(path_, DataOf(record) + seen);
    return true;
}

void DamageNote::Forget(Files &files) {
    if (!IsDamaged()) return;
    text_.clear();
    (void)files.WriteAtomic(path_, "");
}

std::string DamageNote::Problem(const std::string &name, core::NodeState state,
                                const core::Reply *reply) const {
    constexpr std::size_t kWords = 120;  // the monitor keeps a line; the event has all of it
    const std::string what = "damaged data were seen: " +
                             (text_.size() > kWords ? text_.substr(0, kWords) + "..." : text_);
    if (reply == nullptr) return what;
    const auto any = [reply](auto is) {
        return std::any_of(reply->peers.begin(), reply->peers.end(), is);
    };
    const bool is_source_damaged =
        any([](const core::Peer &peer) { return peer.is_primary && peer.is_damaged; });
    if (core::IsStandby(state) && !is_source_damaged)
        return what + "; copy it anew: pg_autoctl reinit --name " + name;
    const bool has_whole_standby =
        any([](const core::Peer &peer) { return peer.is_promotable && !peer.is_damaged; });
    if (!core::IsStandby(state) && has_whole_standby)
        return what + "; hand over: pg_autoctl perform switchover, then pg_autoctl reinit --name " +
               name;
    return what + "; no other node is whole: mend it here, then pg_autoctl restart --name " + name;
}

}  // namespace pgaf::worker
