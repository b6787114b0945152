#include "view/answer.hpp"

#include <algorithm>
#include <array>

#include "core/json.hpp"
#include "view/metrics.hpp"

namespace pgaf::view {
namespace {

using core::json::ObjectWriter;
using core::json::Writer;

constexpr int kUnavailable = 503;

/// What a path asks; several names for the same where Patroni has several.
enum class Question {
    kPrimary,
    kReplica,
    kReadOnly,
    kSynchronous,
    kQuorum,
    kAsynchronous,
    kHealth,
    kLiveness,
    kReadiness,
    kStatus,
    kCluster,
    kHistory,
    kMetrics,
};

struct Path {
    std::string_view path;
    Question question;
};

constexpr std::array kPaths{
    Path{"/", Question::kPrimary},
    Path{"/primary", Question::kPrimary},
    Path{"/read-write", Question::kPrimary},
    Path{"/leader", Question::kPrimary},
    Path{"/master", Question::kPrimary},
    Path{"/replica", Question::kReplica},
    Path{"/read-only", Question::kReadOnly},
    Path{"/synchronous", Question::kSynchronous},
    Path{"/sync", Question::kSynchronous},
    Path{"/quorum", Question::kQuorum},
    Path{"/asynchronous", Question::kAsynchronous},
    Path{"/async", Question::kAsynchronous},
    Path{"/health", Question::kHealth},
    Path{"/liveness", Question::kLiveness},
    Path{"/readiness", Question::kReadiness},
    Path{"/patroni", Question::kStatus},
    Path{"/cluster", Question::kCluster},
    Path{"/history", Question::kHistory},
    Path{"/metrics", Question::kMetrics},
};

const Path *FindPath(std::string_view path) {
    if (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
    const auto *const it = std::find_if(kPaths.begin(), kPaths.end(),
                                        [&](const Path &entry) { return entry.path == path; });
    return it == kPaths.end() ? nullptr : it;
}

Verdict No(std::string why) { return {.is_so = false, .why = std::move(why)}; }

/// `lag` and `mode` of the query.
struct LagLimit {
    bool is_malformed = false;
    std::optional<std::uint64_t> bytes{};
    LagMode mode = LagMode::kApply;
};

LagLimit ReadLag(const Request &request) {
    LagLimit limit;
    if (const auto lag = request.Find("lag")) {
        limit.bytes = ParseBytes(*lag);
        limit.is_malformed = !limit.bytes;
    }
    if (const auto mode = request.Find("mode")) {
        limit.is_malformed = limit.is_malformed || (*mode != "apply" && *mode != "write");
        if (*mode == "write") limit.mode = LagMode::kWrite;
    }
    return limit;
}

Verdict IsNearEnough(const LocalView &local, const LagLimit &limit) {
    if (!limit.bytes) return {.is_so = true, .why = {}};
    const auto lag = LagBytes(local, limit.mode);
    if (!lag) return No("the lag is not known: nothing is streamed");
    if (*lag > *limit.bytes)
        return No("the lag is " + std::to_string(*lag) + " bytes, more than " +
                  std::to_string(*limit.bytes));
    return {.is_so = true, .why = {}};
}

Verdict IsReplicaWithin(const LocalView &local, const LagLimit &limit) {
    Verdict replica = IsReplica(local);
    return replica.is_so ? IsNearEnough(local, limit) : replica;
}

/// Which part in the set it has only the monitor knows: it changes there.
Verdict HasSyncRole(Question question, const LocalView &local, const ClusterView *cluster) {
    if (cluster == nullptr)
        return No("the monitor is out of reach: the synchronous set is not known");
    const NodeRow *const row = cluster->FindNode({local.status->node});
    const SyncRole role = row == nullptr ? SyncRole::kUnknown : SyncRoleOf(*cluster, *row);
    if (role == SyncRole::kUnknown) return No("the synchronous set is being changed");
    const bool is_member = role != SyncRole::kNone;
    const bool is_so = question == Question::kSynchronous ? role == SyncRole::kEvery
                       : question == Question::kQuorum    ? is_member
                                                          : !is_member;
    if (is_so) return {.is_so = true, .why = {}};
    if (question == Question::kAsynchronous) return No("the node is a synchronous standby");
    return No(is_member ? "commits do not wait for every synchronous standby"
                        : "the node is not a synchronous standby");
}

Verdict IsReady(const LocalView &local, const LagLimit &limit, const ClusterView *cluster) {
    if (local.identity.is_monitor)
        return cluster != nullptr ? Verdict{.is_so = true, .why = {}}
                                  : No("PostgreSQL of the monitor does not answer");
    if (Verdict writes = MayWrite(local); writes.is_so) return writes;
    Verdict replica = IsReplica(local);
    if (!replica.is_so) return replica;
    if (!local.status->streams) return No("nothing is streamed from the primary");
    return IsNearEnough(local, limit);
}

Verdict Judge(Question question, const LagLimit &limit, const LocalView &local,
              const ClusterView *cluster) {
    switch (question) {
        case Question::kPrimary:
            return MayWrite(local);
        case Question::kReplica:
            return IsReplicaWithin(local, limit);
        case Question::kReadOnly: {
            Verdict writes = MayWrite(local);
            return writes.is_so ? writes : IsReplicaWithin(local, limit);
        }
        case Question::kSynchronous:
        case Question::kQuorum:
        case Question::kAsynchronous: {
            Verdict replica = IsReplicaWithin(local, limit);
            return replica.is_so ? HasSyncRole(question, local, cluster) : replica;
        }
        case Question::kHealth:
            if (local.identity.is_monitor) return IsReady(local, limit, cluster);
            return IsUp(local);
        case Question::kLiveness:
            return IsAlive(local);
        case Question::kReadiness:
            return IsReady(local, limit, cluster);
        default:
            return {.is_so = true, .why = {}};
    }
}

void PutWal(const LocalView &local, Writer &writer, ObjectWriter &object) {
    const core::NodeStatus &status = *local.status;
    object.Name("xlog");
    ObjectWriter wal(writer);
    if (!status.in_recovery) {
        wal.Put("location", static_cast<std::int64_t>(status.lsn.value));
        return;
    }
    wal.Put("received_location", static_cast<std::int64_t>(status.lsn.value));
    wal.Put("replayed_location", static_cast<std::int64_t>(status.replay_lsn.value));
    wal.PutFlag("paused", status.replay_paused);
    if (const auto lag = LagBytes(local, LagMode::kApply))
        wal.Put("replay_lag", static_cast<std::int64_t>(*lag));
}

std::string_view StateOf(const LocalView &local) {
    if (local.server == ServerProcess::kGone) return "stopped";
    if (local.server == ServerProcess::kFrozen) return "frozen";
    if (local.is_stopping) return "stopping";
    return IsUp(local).is_so ? "running" : "starting";
}

std::string_view RoleOf(const LocalView &local) {
    if (local.status->in_recovery) return "replica";
    return MayWrite(local).is_so ? "primary" : "demoted";
}

/// The document of health checks. Nothing in it tells more than what a load balancer needs.
std::string StatusJson(const LocalView &local, const Verdict &verdict) {
    rapidjson::StringBuffer buffer;
    Writer writer(buffer);
    {
        ObjectWriter object(writer);
        if (!verdict.is_so) object.Put("reason", verdict.why);
        object.Put("name", local.identity.name);
        if (!local.identity.is_monitor) object.Put("formation", local.identity.formation);
        if (local.identity.is_monitor) {
            object.Put("role", "monitor");
        } else {
            object.Put("state", StateOf(local));
        }
        if (local.status && !local.identity.is_monitor) {
            const core::NodeStatus &status = *local.status;
            object.Put("role", RoleOf(local));
            object.Put("group", status.group);
            object.Put("node_state", core::ToString(status.state));
            object.Put("assigned_state", core::ToString(status.goal));
            object.Put("timeline", status.timeline);
            object.Put("server_version", status.server_version);
            object.Put("database_system_identifier", std::to_string(status.system_identifier));
            PutWal(local, writer, object);
        }
        object.Name("pgautofailover");
        ObjectWriter program(writer);
        program.Put("version", local.identity.version);
    }
    return std::string(buffer.GetString(), buffer.GetSize()) + "\n";
}

Answer Tell(Question question, const LocalView &local, const ClusterView *cluster) {
    Answer answer;
    if (question == Question::kMetrics) {
        answer.type = "text/plain; version=0.0.4; charset=utf-8";
        answer.body =
            local.identity.is_monitor ? MonitorMetrics(local, cluster) : NodeMetrics(local);
        return answer;
    }
    if (cluster == nullptr) return Refusal(kUnavailable, "the monitor is out of reach");
    answer.body = question == Question::kCluster ? ClusterJson(*cluster, local.identity)
                                                 : HistoryJson(*cluster, local.identity);
    return answer;
}

}  // namespace

Answer Refusal(int code, std::string_view why) {
    rapidjson::StringBuffer buffer;
    Writer writer(buffer);
    {
        ObjectWriter object(writer);
        object.Put("reason", why);
    }
    return {.code = code,
            .type = "application/json",
            .body = std::string(buffer.GetString(), buffer.GetSize()) + "\n"};
}

bool NeedsCluster(const Request &request, const Identity &identity) {
    const Path *const path = FindPath(request.path);
    if (path == nullptr) return false;
    switch (path->question) {
        case Question::kSynchronous:
        case Question::kQuorum:
        case Question::kAsynchronous:
            return !identity.is_monitor;
        case Question::kCluster:
        case Question::kHistory:
            return true;
        case Question::kHealth:
        case Question::kReadiness:
        case Question::kMetrics:
            return identity.is_monitor;
        default:
            return false;
    }
}

Answer AnswerTo(const Request &request, const LocalView &local, const ClusterView *cluster) {
    if (request.method == Method::kOther)
        return Refusal(405, "only GET, HEAD and OPTIONS are served");
    const Path *const path = FindPath(request.path);
    if (path == nullptr) return Refusal(404, "there is no such page");
    const LagLimit limit = ReadLag(request);
    if (limit.is_malformed)
        return Refusal(400,
                       "lag is a number of bytes, such as 1048576, 16kB, 64MB or 1GB; mode is "
                       "apply or write");
    switch (path->question) {
        case Question::kCluster:
        case Question::kHistory:
        case Question::kMetrics:
            return Tell(path->question, local, cluster);
        default:
            break;
    }
    const Verdict verdict = Judge(path->question, limit, local, cluster);
    return {.code = verdict.is_so ? 200 : kUnavailable,
            .type = "application/json",
            .body = StatusJson(local, verdict)};
}

}  // namespace pgaf::view
