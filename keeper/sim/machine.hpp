#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "pgaf/core/node_record.hpp"
#include "pgaf/core/result.hpp"
#include "server.hpp"

/// A host: its clock, its disk, and the processes on it.
namespace pgaf::sim {

class World;
class SupervisorRig;
struct Packet;

/// Thrown by an effect that is the last one of a process.
struct ProcessDied {};

enum class Death { kServer, kPower };

class Machine {
 public:
    Machine(World &world, int place, std::string address);
    Machine(const Machine &) = delete;
    Machine &operator=(const Machine &) = delete;
    ~Machine();

    void Tick();
    [[nodiscard]] BootTime Clock() const;
    [[nodiscard]] bool IsFrozen() const;
    [[nodiscard]] bool IsDiskFrozen() const;
    [[nodiscard]] std::string Who() const;
    /// See core::Report::instance.
    [[nodiscard]] std::int64_t Instance() const { return place * 100'000 + boots; }

    // Power.
    void PowerOff(std::size_t lost_units = 0);
    void PowerOn();

    // The supervisor's process; systemd starts it again.
    void StartSupervisor();
    void KillSupervisor();

    // PostgreSQL, by whomever.
    core::Result<void> StartServer(const std::vector<std::string> &options);
    /// The same by an operator, whom the lock of a supervisor keeps out.
    void StartServerByHand();
    void StopServer(Ending how);
    /// SIGKILL of every process of it.
    void KillServer();
    void Reload();
    void KillWorker();
    void RequestPromotion();
    void RequestCheckpoint();
    void EndSenders();
    /// A walsender or a walreceiver has ended.
    void EndSender(int pid);
    void EndReceiver();
    [[nodiscard]] bool IsServing() const;

    /// Marks an effect on disk or server, which may be the last one before a death that was drawn.
    void Effect();
    /// The same for effects that PostgreSQL makes by itself: false when it has died.
    [[nodiscard]] bool Survives();
    void Die();
    void Receive(Packet &packet);
    /// The record on disk; none when there is none.
    [[nodiscard]] std::optional<core::NodeRecord> Record() const;
    [[nodiscard]] std::optional<core::NodeState> RecordedState() const;

    World &world;
    const int place;
    const std::string address;
    NodeId node;
    std::string name;
    bool is_registered = false;

    // On disk.
    std::map<std::string, std::string> files;  ///< of the node directory
    std::optional<Cluster> data;
    std::optional<Cluster> copy;

    // Conditions.
    double clock_rate = 1.0;
    std::int64_t clock_offset_ns = 0;
    bool is_up = true;
    int boots = 1;
    bool is_gone = false;      ///< never to return
    bool is_set_back = false;  ///< to an old disk, and not heard since
    BootTime retires_at = core::kForever;
    BootTime frozen_until;
    BootTime worker_frozen_until;
    BootTime supervisor_frozen_until;
    BootTime disk_frozen_until;
    bool reloads_late = false;
    int dies_after_effects = 0;  ///< 0: it does not
    int dies_in_promotion = 0;   ///< after this effect of the next promotion; 0: it does not
    Death death = Death::kServer;
    bool restarts_by_hand = false;  ///< pg_ctl starts a server when the present one has ended

    // Processes.
    std::unique_ptr<Server> server;
    std::unique_ptr<SupervisorRig> supervisor;
    BootTime supervisor_began;
    BootTime supervisor_starts = core::kForever;
    /// An operator's pg_ctl, or a service of the distribution, starts a server then.
    BootTime foreign_start = core::kForever;
    bool repeats_options = false;        ///< then it is pg_ctl restart, which repeats the options
    std::int64_t supervisor_serial = 0;  ///< of the last process
    enum class Holder { kNobody, kSupervisor, kWorker };
    Holder baton = Holder::kNobody;
    std::optional<std::pair<BootTime, std::int64_t>> heartbeat;  ///< clock, and process
    BootTime no_stream_since;
    core::Lsn heartbeat_lsn;
    int heartbeat_timeline = 0;
    /// Settings of replay that an operator has made.
    bool is_replay_paused = false;
    int replay_units = 64;

 private:
    // server.cpp
    void TickServer();
    void Read(Proc &proc, bool is_checkpointer);
    void TellChildren();
    void ReadSettingsDue();
    void LeavePhase();
    void BecomeWritable();
    void Replay();
    void Promote();
    void WriteControl();
    void EndServer(int status, bool is_clean);
    // clients.cpp
    void TickClients();
    void TickSession(Session &session);
    [[nodiscard]] bool IsAnswered(const Session &session) const;
    void BeginSession();
    [[nodiscard]] worker::GateFacts Gate() const;
    friend class WorkerRig;

    void TickWorker();
    void TickSupervisor();
    BootTime next_control_;
};

}  // namespace pgaf::sim
