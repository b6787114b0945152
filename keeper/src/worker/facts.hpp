#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pgaf/core/postgres_settings.hpp"
#include "pgaf/core/types.hpp"

namespace pgaf::worker {

/// A short name for a text of a setting, for shared memory; 0 only for the empty text.
constexpr std::uint64_t Mark(std::string_view text) {
    if (text.empty()) return 0;
    std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
    for (const char c : text) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    }
    return hash == 0 ? 1 : hash;
}

struct SenderFact {
    int pid = 0;
    core::NodeId node;  ///< from the slot it uses; 0: not one of ours
    bool streaming = false;
    int sync_priority = 0;
    core::Lsn flush_lsn;
    std::int64_t reply_time = 0;  ///< changes with every answer; not comparable with our clock
    bool is_starting = false;     ///< it has not said yet what it wants
    bool sends_wal = false;  ///< catching up, streaming or about to end: it may release commits
    std::optional<std::uint64_t> sync_mark;  ///< the synchronous set it has read, see Mark
};

struct SlotFact {
    std::string name;
    bool active = false;
    core::Lsn restart_lsn;
    bool holds_xmin = false;  ///< keeps dead rows for the queries of a standby
};

struct ReceiverState {
    int pid = 0;
    bool stopped = true;  ///< no process, and none was asked for
    bool streaming = false;
    core::Lsn received_lsn;         ///< flushed
    std::int64_t receipt_time = 0;  ///< changes with every message
    std::string host;
    int port = 0;
    core::Lsn sender_end{};  ///< the end of the primary's WAL, as the primary said last
};

/// One look at this server's shared memory.
struct ServerFacts {
    bool in_recovery = true;
    bool is_crash_recovery = false;
    bool is_hot_standby = false;  ///< in recovery, consistent, and lets sessions in
    /// Recovery has begun to replay, or has ended: the slots of the last run are loaded.
    bool slots_ready = false;
    /// The startup process asks for no WAL receiver, and none is there.
    bool has_no_upstream = false;
    bool is_barred = false;  ///< see Server::BarReceiver
    /// What the startup process has read of whom to follow, see Mark and core::UpstreamMark.
    std::uint64_t startup_upstream = 0;
    /// It has no upstream, or those who received when it was barred have ended: nothing more is
    /// received.
    bool receives_nothing = false;
    /// `lsn` of a standby that receives nothing is the end of all WAL that it has. After a restart
    /// it is not, until the startup process has read everything that is there.
    bool is_lsn_final = false;
    int timeline = 0;
    core::Lsn lsn;       ///< primary: flushed; standby: received or replayed, whichever is further
    core::Lsn redo_lsn;  ///< of a primary: where its last checkpoint begins
    /// wal_writer_delay: so long a record that nobody waits for may lie before it is flushed.
    core::Milliseconds flush_delay{0};
    core::Lsn replay_lsn;        ///< of a standby
    bool replay_paused = false;  ///< it will not go on by itself
    bool delays_replay = false;  ///< recovery_min_apply_delay is set
    bool sync_defined = false;
    std::uint64_t checkpointer_sync = 0;  ///< the set that commits wait for by now, see Mark
    std::string sync_names;               ///< synchronous_standby_names as this process sees it
    int sync_k = 0;                       ///< how many of sync_members must confirm
    std::vector<core::NodeId> sync_members;
    std::string primary_conninfo;
    std::optional<core::ServerSizes> sizes;  ///< see core::kSizeNames
    std::int64_t started_at = 0;             ///< microseconds, by the clock of the node
    std::string damage;  ///< the first that PostgreSQL has told of since its start; empty: none
    std::string receiver_error;  ///< why the WAL receiver has ended last; empty: not known
    std::string lacks;           ///< why replay has stopped: a size that the primary's WAL asks for
    std::vector<SenderFact> senders;
    std::vector<SlotFact> slots;
    /// Bytes of WAL that a slot may hold back; 0: no limit.
    std::uint64_t slot_wal_limit = 0;
    ReceiverState receiver;

    /// Nothing more arrives, and what has arrived is known.
    [[nodiscard]] bool IsSealed() const { return receives_nothing && is_lsn_final; }
    [[nodiscard]] const SenderFact *FindSender(core::NodeId node) const;
    [[nodiscard]] const SlotFact *FindSlot(const std::string &name) const;
};

/// Ages by the node's own clock, from changes of values that carry foreign clocks.
class Ages {
 public:
    void Update(const ServerFacts &facts, core::BootTime now);
    void UpdateReceiver(const ReceiverState &receiver, core::BootTime now);
    /// Since anything was received from an upstream, or since the first look. Never an
    /// overestimate.
    [[nodiscard]] core::Milliseconds StreamAge(core::BootTime now) const;
    [[nodiscard]] core::Milliseconds ReplyAge(const SenderFact &sender, core::BootTime now) const;
    /// Since replay could have gone on and has not; 0 when it goes on, or has nothing to do.
    [[nodiscard]] core::Milliseconds ReplayStall(core::BootTime now) const;

 private:
    void UpdateReplay(const ServerFacts &facts, core::BootTime now);

    struct Reply {
        int pid = 0;
        std::int64_t reply_time = 0;
        core::Lsn flush_lsn;
        core::BootTime at;
    };
    [[nodiscard]] const Reply *Find(int pid) const;
    std::vector<Reply> replies_;
    bool seen_ = false;
    int receiver_pid_ = 0;
    std::int64_t receipt_time_ = 0;
    core::Lsn received_lsn_;
    core::BootTime received_at_;
    core::Lsn replayed_;
    core::BootTime replay_stalled_since_;
};

}  // namespace pgaf::worker
