#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "faults.hpp"
#include "machine.hpp"
#include "monitor.hpp"
#include "random.hpp"

/// A group and its monitor in virtual time: the code that ships (rules, worker, supervisor) over
/// models of PostgreSQL, disks, clocks and the network.
namespace pgaf::sim {

enum class Way {
    kOpen,
    kSilent,       ///< packets vanish
    kReset,        ///< whoever sends gets a reset
    kUnreachable,  ///< whoever sends gets an ICMP error: sessions live on, new ones are refused
};

/// The place of the monitor; machines have 1 and up.
inline constexpr int kMonitorPlace = 0;

struct Packet {
    enum class Kind { kConnect, kAccepted, kReport, kReply, kError, kWakeUp, kEnd };
    Kind kind = Kind::kEnd;
    BootTime at;
    BootTime gives_up;
    int from = 0;
    int to = 0;
    std::int64_t session = 0;
    core::Report report{};
    core::Reply reply{};
    std::string text{};
    Packet(Kind the_kind, int the_from, int the_to, std::int64_t the_session)
        : kind(the_kind), from(the_from), to(the_to), session(the_session) {}
};

class World {
 public:
    struct Options {
        std::uint64_t seed = 1;
        int nodes = 2;
        bool promises = true;  ///< the standbys count for the quorum
        bool with_prepare = false;
        bool with_cancels = false;
        bool with_reads = false;
        bool keeps_images = false;  ///< of disks, for a return to them
    };
    explicit World(const Options &options);
    World(const World &) = delete;
    World &operator=(const World &) = delete;
    ~World();

    // Driving it.
    void Tick();
    /// For so long, or until something is violated.
    void Run(Milliseconds time);
    /// False when it has not come true in time, or something is violated.
    bool RunUntil(const std::function<bool()> &is_true, Milliseconds limit);
    /// All nodes are registered and settled.
    bool SetUp();
    void HealEverything();
    [[nodiscard]] bool IsConverged() const;

    // Looking at it.
    [[nodiscard]] const std::string &Violation() const { return violation_; }
    [[nodiscard]] const std::vector<std::string> &Story() const { return story_; }
    [[nodiscard]] std::string Summary() const;
    [[nodiscard]] BootTime Now() const { return now_; }
    [[nodiscard]] std::int64_t Acknowledged() const { return acknowledged_; }
    [[nodiscard]] std::int64_t LogLines() const { return log_lines_; }
    [[nodiscard]] bool HasPromises() const { return options_.promises; }

    // Its parts.
    Machine &At(int place) { return *machines_.at(static_cast<std::size_t>(place - 1)); }
    [[nodiscard]] const Machine &At(int place) const {
        return *machines_.at(static_cast<std::size_t>(place - 1));
    }
    /// Without copies.
    [[nodiscard]] int Originals() const { return options_.nodes; }
    [[nodiscard]] int Machines() const { return static_cast<int>(machines_.size()); }
    Machine *FindByAddress(const std::string &address);
    /// The machine whose server writes and may answer; 0: none.
    [[nodiscard]] int Primary() const;
    Monitor &monitor() { return monitor_; }
    [[nodiscard]] const Monitor &monitor() const { return monitor_; }
    Random &random() { return random_; }
    Way &Path(int from, int to) {
        return paths_.at(static_cast<std::size_t>(from)).at(static_cast<std::size_t>(to));
    }
    [[nodiscard]] Way Path(int from, int to) const {
        return paths_.at(static_cast<std::size_t>(from)).at(static_cast<std::size_t>(to));
    }
    void SetPath(int from, int to, Way way, bool both);
    [[nodiscard]] bool IsOpen(int from, int to) const { return Path(from, to) == Way::kOpen; }
    [[nodiscard]] bool AreOpen(int a, int b) const { return IsOpen(a, b) && IsOpen(b, a); }
    /// A copy of a machine's directories on a machine of its own.
    int CopyMachine(int place);

    // What its parts tell it.
    void Tell(std::string text);
    void Violate(const std::string &text);
    void Send(Packet packet);
    /// A backend looks at it later.
    void Requeue(const Packet &packet) { packets_.push_back(packet); }
    void DropPacketsTo(int place);
    /// A server that shuts down in good order sends everything first.
    void PassLastUnits(Machine &upstream, const Sender &sender);
    std::int64_t NewSession() { return ++last_session_; }
    std::int64_t NewServer() { return ++last_server_; }
    std::int64_t NewRecord(SessionKind kind);
    void CountLogLine(const Machine &machine, const std::string &text);
    /// An operator has accepted that commits are lost.
    void ForgetPromises();
    void NoteArchived(int timeline) { archived_.insert(timeline); }
    [[nodiscard]] const std::set<int> &Archived() const { return archived_; }

    // What clients saw (witness.cpp).
    void Acknowledge(Machine &machine, const Session &session);
    void Read(Machine &machine);
    void CheckData(const Machine &machine, const std::vector<Unit> &data, const char *when);
    void CheckFacts();
    [[nodiscard]] BootTime LastAcknowledged() const { return acknowledged_at_; }

    /// `create postgres`: registers, and starts the supervisor. False when it is refused now.
    bool Create(Machine &machine);
    /// One of the earlier states of the monitor's rows takes the place of the present one.
    [[nodiscard]] bool IsHeardOf(std::int64_t term, std::int64_t version) const;
    void RestoreMonitor(std::uint32_t number);
    /// Its tables are empty until everything heals: then the newest backup is restored.
    void LoseMonitor();
    /// A machine is set back to an earlier image of its disk, and starts from that.
    /// Its power goes, and so does WAL that its disk had confirmed. What nobody else has is gone.
    void LoseTail(Machine &machine, std::size_t units);
    /// From now on recovery of these data ends the server: until a copy replaces them.
    void BreakReplay(Machine &machine);
    [[nodiscard]] bool IsAnyGone() const;
    /// A disk has lost what it had confirmed.
    [[nodiscard]] bool HasLostWal() const { return has_lost_wal_; }
    /// What disks have lost is found out as long as the monitor remembers what they had.
    void ForgetLostWal();
    void ForgetWhatNobodyHas();
    /// Its keeper speaks with the monitor.
    [[nodiscard]] bool IsHeard(const Machine &machine) const;
    /// A machine runs with an old disk, and the monitor has not heard of it yet.
    [[nodiscard]] bool AwaitsSetBack();
    void RetireCopies();
    void ForgetUnheard(const Machine &machine);
    void ReturnToImage(Machine &machine, std::uint32_t number);
    /// Findings that are known and not mended must not hide others.
    void Disregard(std::string prefix) { disregarded_.push_back(std::move(prefix)); }

    const bool with_prepare;
    const bool with_cancels;
    const bool with_reads;

 private:
    void Deliver();
    void Replicate();
    void Connect(Machine &standby);
    void Stream(Machine &standby);
    void TakeUnits(Machine &standby, Machine &upstream, std::size_t most);
    void Confirm(Machine &standby, Machine &upstream);
    void ReleaseWaiters(Machine &upstream);
    [[nodiscard]] BootTime KeeperBegan(const core::NodeView &row) const;
    [[nodiscard]] std::string WrongFact(const core::NodeView &row) const;

    Options options_;
    Random random_;
    BootTime now_{1'000'000'000'000};
    std::vector<std::unique_ptr<Machine>> machines_;
    std::vector<std::vector<Way>> paths_;
    std::vector<Packet> packets_;
    std::int64_t last_session_ = 0;
    std::int64_t last_server_ = 0;
    Monitor monitor_;

    struct RecordInfo {
        SessionKind kind = SessionKind::kIdle;
    };
    std::vector<RecordInfo> records_;
    std::vector<std::int64_t>
        lost_;  ///< records that a disk had confirmed and does not hold any more
    bool has_lost_wal_ = false;
    std::set<std::int64_t> unheard_;      ///< what a disk lost before the monitor had heard of it
    std::vector<std::int64_t> promised_;  ///< acknowledged, or read, and so promised to survive
    std::int64_t acknowledged_ = 0;
    BootTime acknowledged_at_;
    std::int64_t owner_ = 0;          ///< the server that acknowledged last
    std::set<std::int64_t> retired_;  ///< servers after which another one has acknowledged
    std::map<std::string, BootTime> wrong_since_;
    std::set<int> archived_;
    std::int64_t log_lines_ = 0;
    std::map<int, std::pair<BootTime, int>> log_rate_;
    std::string violation_;
    std::vector<std::string> disregarded_;
    std::vector<std::string> story_;
    BootTime checked_at_;
    std::vector<Monitor::Backup> backups_;
    std::optional<Monitor::Backup> newest_backup_;  ///< of a monitor that was lost
    struct Image {
        int place = 0;
        std::map<std::string, std::string> files;
        std::optional<Cluster> data;
    };
    std::vector<Image> images_;
    BootTime backup_at_;
};

}  // namespace pgaf::sim
