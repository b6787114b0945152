#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "worker/damage_note.hpp"
#include "worker/facts.hpp"
#include "worker/group_settings.hpp"
#include "worker/housekeeping.hpp"
#include "worker/lease.hpp"
#include "worker/ports.hpp"
#include "worker/steps.hpp"
#include "worker/sync_applier.hpp"
#include "worker/timelines.hpp"
#include "worker/write_probe.hpp"

namespace pgaf::worker {

/// The keeper in the server: one Iterate per turn of the worker's loop, which never waits.
class Keeper {
 public:
    Keeper(std::string directory, const Ports &ports);
    void Iterate();
    /// Until when nothing needs to be done unless the latch or the socket says so.
    [[nodiscard]] core::BootTime NextWake() const { return next_wake_; }
    /// While it waits: looks at what has no event. True when there is more to do than that.
    bool Glance();
    /// Until when not even Glance is needed.
    [[nodiscard]] core::BootTime NextGlance() const { return std::min(next_wake_, next_glance_); }
    [[nodiscard]] bool HasMore() const { return has_more_; }
    /// After an exception: forgets the step under way; it is begun again later.
    void OnFailedIteration();

 private:
    void NoteStream(const ServerFacts &facts);
    bool LoadRecord();
    void LoadConfig();
    void LookAtConfig();
    bool SaveRecord(const core::NodeRecord &record);
    bool SetState(core::NodeState state, const std::string &why);

    void TakeAnswer();
    bool AcceptReply(const core::Reply &reply);
    void OnRefusal(const core::Reply &reply);
    void RememberOrders(const core::Reply &reply);
    bool ForgetOrders();
    void Resume();
    void KeepLease(const ServerFacts &facts);
    void AdmitStandbys(const ServerFacts &facts);
    void CloseExpired(const ServerFacts &facts);
    void ExtendByStream(const ServerFacts &facts);
    [[nodiscard]] core::BootTime SilentAt() const;
    void OpenIfGranted(const ServerFacts &facts);
    void CompareWithRecord(const ServerFacts &facts);
    [[nodiscard]] bool MayShow(const ServerFacts &facts);
    [[nodiscard]] bool MayShowEnded(const ServerFacts &facts);

    void Advance(Context &context);
    void BeginStep(const core::Edge &edge, const ServerFacts &facts);
    void PollStep(Context &context);
    bool NoteOwnWrites();
    [[nodiscard]] bool BeginsToPromote(const core::NodeRecord &record) const;
    bool NotePromotion();
    void StayInState(Context &context);
    void DrainAgain(Context &context);
    core::Result<void> KeepUpstream(const Context &context);
    void RestartWhenAsked(const ServerFacts &facts);
    void StopServer(core::NodeState record_state, const std::string &why);
    void LeaveEvent();
    void Drop(Context &context);

    [[nodiscard]] core::Report BuildReport(const ServerFacts &facts) const;
    void NoteDamage(const ServerFacts &facts);
    void MaybeReport(const ServerFacts &facts);
    [[nodiscard]] core::Milliseconds ReportInterval() const;
    void RecordSyncVersion();
    void SetProblem(std::string problem);
    void ChooseWake(const ServerFacts &facts);

    std::string directory_;
    Ports ports_;
    Lease lease_;
    Ages ages_;
    SyncApplier sync_;
    Housekeeping housekeeping_;
    GroupSettings settings_;
    HistoryReader history_;
    WriteProbe write_probe_;
    DamageNote damage_;

    core::BootTime now_;
    core::BootTime next_wake_;
    core::BootTime next_glance_ = core::kForever;
    bool receiver_streams_ = false;
    int stream_pid_ = 0;  ///< the receiver that streams
    core::BootTime stream_pid_since_;
    core::BootTime no_stream_since_;  ///< a standby without the stream that it should have
    bool has_more_ = false;           ///< this turn has made another one necessary
    std::optional<core::NodeRecord> record_;
    std::optional<core::KeeperConfig> config_;
    std::int64_t config_stamp_ = 0;
    core::BootTime config_check_at_;
    std::string load_problem_;
    core::BootTime settings_check_at_;
    ConfigProblem config_problem_;

    std::optional<core::Reply> reply_;
    std::string orders_;  ///< as remembered on the disk
    bool are_orders_gone_ = false;
    bool is_resuming_ = false;  ///< without the monitor; see core::NodeRecord::resumes
    core::BootTime answered_at_;
    std::vector<core::NodeId> streamed_;  ///< nodes that were seen streaming since the last answer
    bool warned_old_term_ = false;
    bool was_granted_ = false;      ///< by the monitor, to this server
    core::BootTime expired_at_;     ///< when the worker closed the gate; 0: it did not
    bool is_fresh_server_ = false;  ///< it has recovered, and has not been open since
    core::Lsn recovery_end_;
    core::Lsn
        begun_at_;  ///< of a fresh server: its first checkpoint is the first that it has written
    core::BootTime begun_seen_;
    std::uint64_t confirmed_waits_ = 0;  ///< of those that were left, see WaitsLeft
    core::Lsn shown_held_;               ///< up to here the set has held WaitsLeft::shown_end
    bool is_judged_ = false;             ///< the monitor knows begun_at_, and gives a grant
    std::string contradiction_;  ///< what PostgreSQL does that is not on record; empty: nothing

    std::unique_ptr<StepMachine> step_;
    core::NodeState step_goal_ = core::NodeState::kUnknown;
    core::BootTime step_retry_at_;
    core::Milliseconds step_backoff_{0};
    core::Lsn sealed_lsn_;
    bool drained_for_drop_ = false;
    bool drained_again_ = false;
    bool stopping_ = false;
    core::BootTime stop_again_at_;

    core::BootTime report_at_;
    core::BootTime reported_at_;
    std::int64_t sequence_ = 0;  ///< of the last report
    std::string signature_;      ///< what decides, as last reported
    std::string problem_;
    std::string record_problem_;  ///< the node's record cannot be written
    std::string logged_problem_;
    core::BootTime logged_at_;
    std::string housekeeping_problem_;
    std::string settings_problem_;
    std::string event_;  ///< for the monitor's events; until it was heard
    bool event_is_sent_ = false;
    std::string link_problem_;
};

}  // namespace pgaf::worker
