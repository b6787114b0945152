#include "worker/sync_applier.hpp"

#include <algorithm>

#include "pgaf/core/pg_files.hpp"
#include "worker/overrides.hpp"

namespace pgaf::worker {
namespace {

constexpr core::Milliseconds kReloadAgain{1000};
/// PostgreSQL tells nobody but its waiting sessions that a standby has confirmed.
constexpr core::Milliseconds kFlushLook{10};

}  // namespace

void SyncApplier::Begin(const Context &context) {
    if (version_ == context.reply.sync_version && names_ == context.reply.sync_names) return;
    version_ = context.reply.sync_version;
    names_ = context.reply.sync_names;
    hold_ = {};
    awaits_flush_ = false;
    reload_at_ = {};
    confirmed_ = 0;
    first_ = 0;
    // A weaker set is on record before PostgreSQL uses it: commits may go by either.
    if (names_.empty()) context.ports.gate.RequireSync(false);
}

Progress SyncApplier::Write(const Context &context) {
    if (context.facts.sync_names == names_) return Done();
    if (context.now < reload_at_) return Running();
    const bool again = reload_at_.ns != 0;
    reload_at_ = context.now + kReloadAgain;
    const std::string path = context.config.pgdata + "/" + std::string(core::kSyncFile);
    const std::string text = core::SyncText(names_);
    const auto present = context.ports.files.Read(path);
    if (!present || *present != text) {
        if (const auto written = context.ports.files.WriteAtomic(path, text); !written) {
            return Failed(written.error().message);
        }
    }
    if (const auto repaired = RemoveOverrides(context.ports, context.config.pgdata); !repaired) {
        return Failed(repaired.error().message);
    }
    context.ports.server.Reload();
    return Running(
        again ? "synchronous_standby_names does not take the value that was written; another "
                "configuration file sets it"
              : "");
}

bool SyncApplier::IsInForce(const Context &context) const {
    const ServerFacts &facts = context.facts;
    const std::uint64_t mark = Mark(names_);
    if (facts.checkpointer_sync != mark || facts.sync_defined != !names_.empty()) return false;
    // A walsender releases commits by the setting that it has read itself. One without a priority
    // releases none, and gets a priority only by reading.
    for (const SenderFact &sender : facts.senders) {
        if (sender.sends_wal && sender.sync_priority > 0 && sender.sync_mark != mark) return false;
        const bool is_member = std::find(facts.sync_members.begin(), facts.sync_members.end(),
                                         sender.node) != facts.sync_members.end();
        if (sender.node.IsValid() && is_member != (sender.sync_priority > 0)) return false;
    }
    return true;
}

bool IsHeldBySet(const ServerFacts &facts, core::Lsn end) {
    if (facts.sync_names.empty()) return true;
    int count = 0;
    for (const core::NodeId member : facts.sync_members) {
        const SenderFact *const sender = facts.FindSender(member);
        if (sender != nullptr && sender->sync_priority > 0 && sender->flush_lsn >= end) ++count;
    }
    return count >= std::max(facts.sync_k, 1);
}

void SyncApplier::Withdraw() {
    hold_ = {};
    reload_at_ = {};
    confirmed_ = 0;
}

Progress SyncApplier::Prepare(const Context &context) {
    Begin(context);
    return Write(context);
}

Progress SyncApplier::Poll(const Context &context) {
    Begin(context);
    if (confirmed_ == version_) return Done();
    if (const Progress written = Write(context); written.kind != Progress::Kind::kDone)
        return written;
    awaits_flush_ = false;
    if (!IsInForce(context)) return Running();
    if (!names_.empty()) {
        if (!hold_.IsValid()) hold_ = context.facts.lsn;
        awaits_flush_ = !IsHeldBySet(context.facts, hold_);
        if (awaits_flush_) return Running("waiting until a synchronous standby holds all WAL");
    }
    confirmed_ = version_;
    context.ports.gate.RequireSync(!names_.empty());
    return Done();
}

core::BootTime SyncApplier::NextWake(core::BootTime now) const {
    if (confirmed_ == version_) return core::kForever;
    if (awaits_flush_) return now + kFlushLook;
    return reload_at_ > now ? reload_at_ : core::kForever;
}

}  // namespace pgaf::worker
