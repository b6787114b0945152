#include "headers.hpp"

#include "sync_applier.hpp"

#include <algorithm>

#include "files.hpp"
#include "pgaf/core/pg_files.hpp"
#include "server.hpp"

namespace pgaf::keeper {
namespace {

constexpr core::Milliseconds kReloadAgain{1000};
constexpr core::Milliseconds kPokeEvery{100};

}  // namespace

void SyncApplier::Begin(const Context &context) {
    if (version_ == context.reply.sync_version && names_ == context.reply.sync_names) return;
    version_ = context.reply.sync_version;
    names_ = context.reply.sync_names;
    changes_members_ = !names_.empty() && !context.facts.sync_names.empty() &&
                       context.facts.sync_names != names_;
    is_read_ = false;
    seen_.clear();
    hold_ = {};
    reload_at_ = {};
    confirmed_ = 0;
}

Progress SyncApplier::Write(const Context &context) {
    if (context.facts.sync_names == names_) {
        if (!is_read_) {
            for (const SenderFact &sender : context.facts.senders) {
                seen_.push_back({sender.pid, context.ages.ReplyCount(sender.pid)});
            }
        }
        is_read_ = true;
        return Done();
    }
    if (context.now < reload_at_) return Running();
    const bool again = reload_at_.ns != 0;
    reload_at_ = context.now + kReloadAgain;
    const std::string path = context.config.pgdata + "/" + std::string(core::kSyncFile);
    const std::string text = core::SyncText(names_);
    const auto present = ReadFile(path);
    if (!present || *present != text) {
        if (const auto written = WriteFileAtomic(path, text); !written) {
            return Failed(written.error().message);
        }
    }
    server::Reload();
    return Running(again ? "synchronous_standby_names does not take the value that was written; another "
                           "configuration file sets it"
                         : "");
}

bool SyncApplier::IsInForce(const Context &context) const {
    const ServerFacts &facts = context.facts;
    if (facts.sync_defined != !names_.empty()) return false;
    // A walsender releases commits by the setting that it has read itself.
    for (const SenderFact &sender : facts.senders) {
        const bool is_member = std::find(facts.sync_members.begin(), facts.sync_members.end(),
                                         sender.node) != facts.sync_members.end();
        if (sender.node.IsValid() && is_member != (sender.sync_priority > 0)) return false;
    }
    return !changes_members_ || EveryoneAnswered(context);
}

bool SyncApplier::EveryoneAnswered(const Context &context) const {
    // Priorities do not show that "ANY 1" became "ANY 2". A walsender reads settings before it takes the next
    // answer, so one that took two answers since has read them. Those that began later did so at birth.
    return std::all_of(seen_.begin(), seen_.end(), [&context](const Seen &seen) {
        const auto &senders = context.facts.senders;
        const bool lives = std::any_of(senders.begin(), senders.end(),
                                       [&seen](const SenderFact &s) { return s.pid == seen.pid; });
        return !lives || context.ages.ReplyCount(seen.pid) >= seen.replies + 2;
    });
}

bool SyncApplier::EnoughHold(const Context &context) const {
    int count = 0;
    for (const core::NodeId member : context.facts.sync_members) {
        const SenderFact *const sender = context.facts.FindSender(member);
        if (sender != nullptr && sender->sync_priority > 0 && sender->flush_lsn >= hold_) ++count;
    }
    return count >= std::max(context.facts.sync_k, 1);
}

void SyncApplier::Poke(const Context &context) {
    if (context.now < poke_at_ || context.facts.in_recovery) return;
    poke_at_ = context.now + kPokeEvery;
    (void)server::WriteMarker();
}

Progress SyncApplier::Prepare(const Context &context) {
    Begin(context);
    return Write(context);
}

Progress SyncApplier::Poll(const Context &context) {
    Begin(context);
    if (confirmed_ == version_) return Done();
    if (const Progress written = Write(context); written.kind != Progress::Kind::kDone) return written;
    if (!IsInForce(context)) {
        if (changes_members_) Poke(context);
        return Running();
    }
    if (!names_.empty()) {
        if (!hold_.IsValid()) hold_ = context.facts.lsn;
        if (!EnoughHold(context)) return Running("waiting until a synchronous standby holds all WAL");
    }
    confirmed_ = version_;
    return Done();
}

}  // namespace pgaf::keeper
