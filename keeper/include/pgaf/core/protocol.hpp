#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pgaf/core/node_state.hpp"
#include "pgaf/core/postgres_settings.hpp"
#include "pgaf/core/result.hpp"
#include "pgaf/core/sync_set.hpp"
#include "pgaf/core/timeline.hpp"
#include "pgaf/core/types.hpp"

namespace pgaf::core {

inline constexpr int kProtocolVersion = 1;
/// Longer texts are refused before anything is read of them.
inline constexpr std::size_t kReportMost = 64 * 1024;
inline constexpr std::size_t kReplyMost = 1024 * 1024;

enum class KeeperHolder { kWorker, kSupervisor };

/// One walsender of the reporting node, as its shared memory shows it.
struct StandbyFact {
    NodeId node;             ///< from the name of the slot it uses
    bool streaming = false;  ///< caught up and streaming
    bool in_sync_set =
        false;  ///< the walsender itself has priority > 0: the set is in force for it
    Lsn flush_lsn;
    /// Since the last answer of the standby; never an overestimate by more than a loop of the
    /// worker.
    Milliseconds reply_age{0};
};

/// What a standby knows of its upstream.
struct ReceiverFact {
    NodeId upstream;  ///< 0: not configured
    bool streaming = false;
    /// Since anything was last received from any upstream. Never an overestimate.
    Milliseconds stream_age{0};
    /// primary_conninfo is durably empty and the walreceiver has ended: nothing more can arrive.
    bool sealed = false;
    Lsn replay_lsn{};            ///< replayed so far; 0: not told
    bool replay_paused = false;  ///< by somebody's hand, or because settings are too low for it
};

/// How far a copy of another node has come, in kB; nothing while none is made.
struct CopyProgress {
    std::int64_t done = 0;
    std::int64_t total = 0;  ///< 0: not known yet, or no copy is made
    std::int64_t per_second = 0;
    friend bool operator==(const CopyProgress &, const CopyProgress &) = default;
};

/// Facts that go up with every report.
struct Report {
    std::string formation;
    NodeId node;
    int group = 0;
    std::int64_t keeper_epoch = 0;
    /// Tells the node directory, in this run of its machine, from every copy of it; 0: not told.
    std::int64_t instance = 0;
    std::int64_t sequence =
        0;  ///< grows with every report of this keeper; 0: it does not count them
    KeeperHolder holder = KeeperHolder::kWorker;
    NodeState state = NodeState::kInit;
    /// Number of the goal that the keeper obeys: what it says about sealing holds under that goal.
    std::int64_t goal_version = 0;
    std::int64_t term = 0;            ///< highest term that this node has seen
    std::int64_t promotion_term = 0;  ///< NodeRecord::promotion_term
    std::int64_t copies = 0;          ///< how often its data were copied anew
    bool pg_running = false;
    bool in_recovery = false;
    int timeline = 0;
    TimelineHistory history;  ///< how the timeline came to be
    Lsn lsn;  ///< primary: flushed; standby: received and flushed (replayed if that is further)
    /// Where this server began to write: the end of the WAL that it found at its start; 0: not
    /// known.
    Lsn begun_at;
    std::uint64_t system_identifier = 0;
    /// The gate is closed and every commit that passed it has ended: nothing is acknowledged any
    /// more until a new grant. True also when PostgreSQL and all its processes are gone.
    bool fenced = false;
    /// With `fenced` on a draining primary: end of WAL after sessions ended; 0 otherwise.
    Lsn sealed_lsn;
    /// Version of the synchronous set that PostgreSQL really uses (0: none of ours yet).
    std::int64_t sync_version = 0;
    /// Of a primary: synchronous_standby_names of that set, or of the recorded one.
    std::string sync_names{};
    /// Of a primary: the set that was in force last, before this start of its server perhaps.
    std::int64_t recorded_sync_version = 0;
    /// The newest synchronous set of the group that the node has heard of in `term`.
    std::int64_t known_sync_version = 0;
    /// The gate obeys timed grants (not an unlimited one): a standby may become promotable.
    bool lease_mode = false;
    std::vector<StandbyFact> standbys;
    ReceiverFact receiver;
    /// How long WAL has waited: that of a primary to reach its disk, that of a standby to be
    /// replayed. 0: none waits longer than is usual.
    Milliseconds stall_age{0};
    /// Commits since server_start that lost their clients, or were ended, while they waited for
    /// synchronous standbys, and how many of them those have not confirmed yet.
    std::int64_t cancelled_waits = 0;
    std::int64_t unconfirmed_waits = 0;
    /// Its configuration has an error, named in `problem`: a reload changes nothing, and the server
    /// would not start.
    bool cannot_reload = false;
    /// A standby that has not replayed enough for its data to be a whole: it cannot be promoted.
    bool is_inconsistent = false;
    std::string problem;      ///< what the keeper cannot do now, in words; empty when all is well
    bool is_damaged = false;  ///< PostgreSQL has found a part of these data damaged
    /// What happened once and belongs into the monitor's events; repeated until it is answered.
    std::string event{};
    std::string pg_version;
    /// PostgreSQL's settings of the formation: the version that the node has accepted, and the one
    /// that it cannot, with the name of the setting and the reason; 0: none.
    std::int64_t settings_version = 0;
    std::int64_t refused_settings = 0;
    std::string refused_name{};
    std::string refusal{};
    bool refused_at_start = false;  ///< it was accepted, and no server came up with it
    /// When the server was started, in microseconds by the node's own clock: tells one run from
    /// another. 0: it is down.
    std::int64_t server_start = 0;
    std::optional<ServerSizes> sizes{};  ///< in force; none: it is down
    /// A mark of `settings_state`, which is sent as long as the monitor does not know it.
    std::int64_t settings_mark = 0;
    std::string settings_state{};  ///< see EncodeSettingStates
    CopyProgress copying{};        ///< its data are being replaced
};

enum class GrantKind { kNone, kTimed, kUnlimited };

/// Why the monitor does not listen to a keeper. Such a reply carries no order.
enum class Refusal {
    kNone,
    /// Another keeper of this node reports, holds a grant, or has just been heard: this one is a
    /// copy, or its machine was started anew a moment ago. It must wait.
    kSecondInstance,
    /// A keeper with a higher epoch has reported before: this node was set back to an old disk.
    kOldMemory,
};

struct Peer {
    NodeId node;
    std::string name;
    std::string host;
    int port = 0;
    NodeState state = NodeState::kUnknown;  ///< reported
    bool is_primary = false;
    bool is_promotable = false;
    Lsn lsn;
    /// Of the upstream only: whoever follows it must be a prefix of this.
    int timeline = 0;
    TimelineHistory history{};
    std::optional<ServerSizes> sizes{};  ///< in force; none: it does not run, or was not heard
    bool is_damaged = false;             ///< see Report
};

/// What comes down.
struct Reply {
    NodeId node;
    int group = 0;
    NodeState goal = NodeState::kInit;
    std::int64_t goal_version = 0;  ///< raised with every new goal of the node
    std::int64_t term = 0;
    GrantKind grant = GrantKind::kNone;
    Milliseconds lease{0};  ///< valid with kTimed; also the window of the stream extension
    Milliseconds report_interval{500};
    std::int64_t sync_version = 0;  ///< the synchronous set that the primary must use
    std::string sync_names;         ///< value of synchronous_standby_names for it
    Lsn target_lsn;                 ///< prepare_promotion, fast_forward: hold at least this
    /// A promotion must begin a timeline of exactly this number, or a higher one; 0: no matter.
    int next_timeline = 0;
    /// Who extends the lease of a primary when the monitor is silent: at least k members of each of
    /// these must have confirmed. k = 0: every member, and every other standby that has streamed
    /// since. Empty: nobody can.
    std::vector<SyncSet> extension;
    /// The data must come from a copy of this number or a later one: what an earlier one holds is
    /// not what the group has. 0: no matter.
    std::int64_t needed_copy = 0;
    NodeId upstream;          ///< whom a standby follows; 0: nobody
    std::vector<Peer> peers;  ///< the other nodes of the group, without those being dropped
    int candidate_priority = 50;
    bool replication_quorum = true;
    /// LISTEN here; a notification means: report now. Empty: the session is notified without that.
    std::string channel;
    std::string reason;  ///< why the goal is what it is
    /// PostgreSQL's settings that the node is to have, 0: none are known; their items come along
    /// when the node has reported another version.
    std::int64_t settings_version = 0;
    std::optional<std::vector<PostgresSetting>> settings{};
    std::int64_t settings_mark = 0;  ///< of the state that the monitor knows
    /// The operator wants the server that was started then to be restarted; 0: none.
    std::int64_t restart_of = 0;
    Refusal refusal = Refusal::kNone;
    std::int64_t known_epoch = 0;  ///< with kOldMemory: the highest epoch that has reported
    /// Why a copy is needed, when that is not lost WAL.
    std::string copy_reason{};
};

/// JSON texts. Decoding ignores unknown members (a newer peer may send them), and fails with
/// kCorrupt on a missing or mistyped required member, naming it.
std::string Encode(const Report &report);
std::string Encode(const Reply &reply);
Result<Report> DecodeReport(std::string_view text);
Result<Reply> DecodeReply(std::string_view text);

/// True when `last` of the same keeper was sent later: the connection that carried `report` was
/// given up meanwhile, and its facts are of the past.
constexpr bool IsOvertaken(const Report &report, const Report &last) {
    return report.keeper_epoch == last.keeper_epoch && report.instance == last.instance &&
           report.sequence < last.sequence;
}

}  // namespace pgaf::core
