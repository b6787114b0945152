#include <algorithm>

#include "rigs.hpp"
#include "world.hpp"

/// What clients saw, and whether it may have been so.
namespace pgaf::sim {

using core::NodeView;
using enum core::NodeState;

namespace {

constexpr Milliseconds kCheckEvery{250};
/// A contradiction between facts and what is shown may last so long.
constexpr Milliseconds kContradictionMax{12'000};
constexpr Milliseconds kRateWindow{10'000};
constexpr int kLinesMax = 600;

}  // namespace

std::int64_t World::NewRecord(SessionKind kind) {
    records_.push_back({kind});
    return static_cast<std::int64_t>(records_.size()) - 1;
}

void World::ForgetPromises() { promised_.clear(); }

void World::CountLogLine(const Machine &machine, const std::string &text) {
    ++log_lines_;
    if (!text.starts_with("the walreceiver")) Tell(machine.Who() + ": " + text);
    auto &[since, count] = log_rate_[machine.place];
    if (now_ - since > kRateWindow) {
        since = now_;
        count = 0;
    }
    if (++count > kLinesMax) Violate(machine.Who() + " floods its log: " + text);
}

void World::Acknowledge(Machine &machine, const Session &session) {
    Server &server = *machine.server;
    if (server.serial != owner_) {
        if (retired_.contains(server.serial)) {
            Violate(machine.Who() + " acknowledged after another server had: two acknowledge");
        }
        if (owner_ != 0) retired_.insert(owner_);
        owner_ = server.serial;
    }
    if (!server.is_witnessed) {
        server.is_witnessed = true;
        CheckData(machine, machine.data->Data(), "the new primary");
    }
    if (session.kind == SessionKind::kLocal) return;
    ++acknowledged_;
    acknowledged_at_ = now_;
    if (options_.promises && !unheard_.contains(session.record))
        promised_.push_back(session.record);
}

/// The newest record that a reader sees: everything that is not waiting.
void World::Read(Machine &machine) {
    if (!options_.with_reads || !options_.promises) return;
    const auto &units = machine.data->wal.units;
    const auto &sessions = machine.server->sessions;
    for (std::size_t i = units.size(); i > 0; --i) {
        const std::int64_t id = units.at(i - 1).record;
        const SessionKind kind = records_.at(static_cast<std::size_t>(id)).kind;
        if (kind != SessionKind::kCommit) continue;
        const bool waits = std::any_of(sessions.begin(), sessions.end(),
                                       [id](const Session &s) { return s.record == id; });
        if (waits) continue;
        if (!unheard_.contains(id)) promised_.push_back(id);
        return;
    }
}

void World::CheckData(const Machine &machine, const std::vector<Unit> &data, const char *when) {
    std::vector<bool> has(records_.size());
    for (const Unit &unit : data) {
        if (unit.ends) has.at(static_cast<std::size_t>(unit.record)) = true;
    }
    for (const std::int64_t id : promised_) {
        if (has.at(static_cast<std::size_t>(id))) continue;
        Violate("acknowledged commit " + std::to_string(id) + " is missing on " + when + ", " +
                machine.Who());
        return;
    }
}

/// What is shown of the node and is not so; empty: nothing.
std::string World::WrongFact(const NodeView &row) const {
    if (row.goal != row.reported) return "";
    const auto at = std::find_if(machines_.begin(), machines_.end(), [&row](const auto &machine) {
        return machine->address == row.host;
    });
    if (at == machines_.end() || !(*at)->is_up || !(*at)->server) return "";
    const Machine &machine = **at;
    const Server &server = *machine.server;
    const std::string who = "node " + std::to_string(row.id.value) + " is shown as a healthy " +
                            std::string(core::ToString(row.goal)) + ", and ";
    if (row.goal == kSecondary) {
        if (server.phase == Phase::kWritable) return who + "is out of recovery";
        if (machine.data->IsStuck()) return who + "cannot replay its WAL";
        if (server.is_replay_paused) return who + "its replay is paused";
        // Who gets nothing writes nothing: then nobody can tell.
        const core::GroupView view = monitor_.View();
        const core::NodeView *const primary = core::FindPrimary(view);
        if (machine.IsDiskFrozen() && primary != nullptr && core::HealthOf(view, *primary) == 1)
            return who + "its disk does not answer";
    }
    if (row.goal == kPrimary) {
        const core::SyncState &sync = monitor_.Rows().sync;
        const std::string wanted = core::ToSetting(sync.goal);
        if (sync.IsSettled() && server.phase == Phase::kWritable &&
            server.checkpointer.settings.sync_names != wanted) {
            return who + "uses another synchronous set";
        }
        if (!server.has_module) return who + "runs without the keeper";
        const bool serves = now_ - acknowledged_at_ < Milliseconds{3000};
        if (monitor_.Rows().number_sync_standbys == 0 && !serves)
            return who + "has acknowledged nothing for a while";
        if (server.postmaster_frozen_until > now_) return who + "its postmaster does not answer";
    }
    return "";
}

BootTime World::KeeperBegan(const NodeView &row) const {
    for (const auto &machine : machines_) {
        if (machine->address != row.host || !machine->server) continue;
        const BootTime frozen = std::max({machine->frozen_until, machine->worker_frozen_until,
                                          machine->supervisor_frozen_until});
        return std::max(
            {machine->server->rig_began, machine->supervisor_began, std::min(frozen, now_)});
    }
    return {};
}

void World::CheckFacts() {
    if (now_ - checked_at_ < kCheckEvery || !monitor_.IsUp()) return;
    checked_at_ = now_;
    const core::GroupView view = monitor_.View();
    std::map<std::string, BootTime> still;
    for (const NodeView &row : view.nodes) {
        if (core::HealthOf(view, row) != 1) continue;
        const std::string wrong = WrongFact(row);
        if (wrong.empty()) continue;
        const auto known = wrong_since_.find(wrong);
        const BootTime since = known == wrong_since_.end() ? now_ : known->second;
        still.emplace(wrong, since);
        // A keeper that has just begun has seen nothing yet.
        if (now_ - std::max(since, KeeperBegan(row)) > kContradictionMax) Violate(wrong);
    }
    wrong_since_ = std::move(still);
    if (monitor_.BlockedBackends() >= 100) Violate("the monitor has no sessions left");
}

}  // namespace pgaf::sim
