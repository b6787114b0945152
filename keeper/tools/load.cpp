/// pgaf_load: the keepers of many groups of two nodes, for one monitor.
///
/// Each keeper holds a session, sends the real report call at its interval, and obeys: the next
/// report says that it has reached its goal. A listener answers the monitor's health checks. When
/// every group is settled, one line per second is printed, and at the end a JSON object with the
/// times that answers took. The monitor's costs are read by the caller, between the lines "steady"
/// and "done".
#include <libpq-fe.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <thread>
#include <vector>

#include "pgaf/core/protocol.hpp"

namespace {

using namespace pgaf::core;  // NOLINT: this program speaks of nothing else
using enum NodeState;
using Clock = std::chrono::steady_clock;
using Connection = std::unique_ptr<PGconn, decltype(&PQfinish)>;
using Answer = std::unique_ptr<PGresult, decltype(&PQclear)>;
using std::chrono::milliseconds;

constexpr milliseconds kBusyInterval{100};
constexpr milliseconds kSettleLimit{300'000};

struct Options {
    std::string conninfo;
    int groups = 10;
    double warmup_s = 3;
    double duration_s = 30;
    int interval_ms = 1000;
    int port = 0;  ///< of the nodes; somebody has to listen there
    int failovers = 0;
};

[[noreturn]] void Die(const std::string &text) {
    std::fprintf(stderr, "pgaf_load: %s\n", text.c_str());
    std::exit(1);
}

/// What a PostgreSQL says to a health check: it asks for a password.
void AnswerProbes(int listener) {
    for (;;) {
        const int client = ::accept(listener, nullptr, nullptr);
        if (client < 0) return;
        char startup[512];
        (void)::recv(client, startup, sizeof startup, 0);
        const unsigned char asks[] = {'R', 0, 0, 0, 8, 0, 0, 0, 3};
        (void)::send(client, asks, sizeof asks, MSG_NOSIGNAL);
        (void)::close(client);
    }
}

int Listen(int &port) {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    (void)::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_ANY);
    socklen_t length = sizeof address;
    if (::bind(listener, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0 ||
        ::listen(listener, 1024) != 0 ||
        ::getsockname(listener, reinterpret_cast<sockaddr *>(&address), &length) != 0)
        Die("could not listen for health checks");
    port = ntohs(address.sin_port);
    return listener;
}

Connection Connect(const std::string &conninfo) {
    Connection connection(PQconnectdb(conninfo.c_str()), &PQfinish);
    if (PQstatus(connection.get()) != CONNECTION_OK) Die(PQerrorMessage(connection.get()));
    return connection;
}

std::string Call(PGconn *connection, const std::string &sql) {
    const Answer answer(PQexec(connection, sql.c_str()), &PQclear);
    const auto status = PQresultStatus(answer.get());
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) Die(PQerrorMessage(connection));
    return PQntuples(answer.get()) > 0 ? PQgetvalue(answer.get(), 0, 0) : "";
}

/// The keeper of one node, and the PostgreSQL that it claims to keep.
class Keeper {
 public:
    Keeper(std::string formation, NodeId node, Clock::time_point first)
        : formation_(std::move(formation)), node_(node), next_(first) {}

    void Open(const std::string &conninfo) { connection_ = Connect(conninfo); }
    void Pair(Keeper *other) { other_ = other; }
    [[nodiscard]] int Socket() const { return PQsocket(connection_.get()); }
    [[nodiscard]] Clock::time_point Due() const { return sent_ ? Clock::time_point::max() : next_; }
    [[nodiscard]] bool IsSettled() const {
        return state_ == goal_ && (goal_ == kPrimary || goal_ == kSecondary);
    }
    [[nodiscard]] bool IsPrimary() const { return goal_ == kPrimary; }

    void Send() {
        const std::string text = Encode(MakeReport());
        const char *const value = text.c_str();
        sent_ = Clock::now();
        if (PQsendQueryParams(connection_.get(), "SELECT pgautofailover.report($1)", 1, nullptr,
                              &value, nullptr, nullptr, 0) == 0 ||
            PQflush(connection_.get()) < 0)
            Die(PQerrorMessage(connection_.get()));
    }

    /// Reads what has come; the time that the answer took, when it is complete.
    std::optional<double> Read(milliseconds interval) {
        if (PQconsumeInput(connection_.get()) == 0) Die(PQerrorMessage(connection_.get()));
        while (PGnotify *const notify = PQnotifies(connection_.get())) {
            PQfreemem(notify);
            if (!sent_) next_ = Clock::now();
        }
        std::optional<double> took;
        while (sent_ && PQisBusy(connection_.get()) == 0) {
            const Answer answer(PQgetResult(connection_.get()), &PQclear);
            if (answer == nullptr) {
                took = std::chrono::duration<double, std::milli>(Clock::now() - *sent_).count();
                next_ = IsSettled() ? *sent_ + interval : Clock::now() + kBusyInterval;
                sent_.reset();
            } else if (PQresultStatus(answer.get()) == PGRES_TUPLES_OK) {
                Obey(PQgetvalue(answer.get(), 0, 0));
            } else {
                Die(PQresultErrorMessage(answer.get()));
            }
        }
        return took;
    }

 private:
    void Obey(const char *text) {
        const auto reply = DecodeReply(text);
        if (!reply) Die(reply.error().message);
        goal_ = reply->goal;
        goal_version_ = reply->goal_version;
        sync_version_ = reply->sync_version;
        has_lease_ = reply->grant == GrantKind::kTimed;
    }

    Report MakeReport() {
        const bool was_primary = IsWritable(state_);
        state_ = goal_;
        Report report;
        report.formation = formation_;
        report.node = node_;
        report.keeper_epoch = 1;
        report.sequence = ++sequence_;
        report.state = state_;
        report.goal_version = goal_version_;
        report.system_identifier = 7;
        report.lsn = Lsn{0x3000000};
        report.pg_version = "load";
        const bool is_up = IsWritable(state_) || IsHandingOver(state_) || IsStandby(state_);
        report.pg_running = is_up;
        report.holder = is_up ? KeeperHolder::kWorker : KeeperHolder::kSupervisor;
        report.in_recovery = IsStandby(state_);
        report.fenced = !IsWritable(state_);
        if (IsHandingOver(state_)) report.sealed_lsn = report.lsn;
        if (IsWritable(state_) && !was_primary) ++timeline_;
        timeline_ = std::max(timeline_, 1);
        if (IsStandby(state_) && (state_ == kSecondary || state_ == kCatchingup)) Follow(report);
        report.timeline = timeline_;
        for (int past = 1; past < timeline_; ++past)
            report.history.push_back({past, report.lsn});
        if (IsStandby(state_) && !report.receiver.streaming) report.receiver.sealed = true;
        if (IsWritable(state_)) {
            report.sync_version = sync_version_;
            report.lease_mode = has_lease_;
            if (other_->state_ == kSecondary || other_->state_ == kCatchingup)
                report.standbys.push_back({other_->node_, true, true, report.lsn, Milliseconds{0}});
        }
        return report;
    }

    void Follow(Report &report) {
        if (!IsWritable(other_->state_)) return;
        timeline_ = other_->timeline_;
        report.receiver.upstream = other_->node_;
        report.receiver.streaming = true;
    }

    std::string formation_;
    NodeId node_;
    Connection connection_{nullptr, &PQfinish};
    Keeper *other_ = nullptr;
    NodeState state_ = kInit;
    NodeState goal_ = kInit;
    std::int64_t goal_version_ = 0;
    std::int64_t sync_version_ = 0;
    std::int64_t sequence_ = 0;
    int timeline_ = 0;
    bool has_lease_ = false;
    Clock::time_point next_;
    std::optional<Clock::time_point> sent_;
};

class Fleet {
 public:
    explicit Fleet(const Options &options) : options_(options), interval_(options.interval_ms) {
        Connection admin = Connect(options.conninfo);
        const auto start = Clock::now();
        for (int group = 0; group < options.groups; ++group) {
            const std::string name = "load_" + std::to_string(group);
            (void)Call(admin.get(), "SELECT pgautofailover.create_formation('" + name +
                                        "', 'pgsql', 'postgres', true, 0)");
            for (int i = 0; i < 2; ++i)
                Register(admin.get(), name, group, i,
                         start + interval_ * (2 * group + i) / (2 * options.groups));
        }
        for (std::size_t i = 0; i + 1 < keepers_.size(); i += 2) {
            keepers_[i]->Pair(keepers_[i + 1].get());
            keepers_[i + 1]->Pair(keepers_[i].get());
        }
    }

    /// Until every group has a primary and a synchronous standby.
    void Settle() {
        for (std::size_t i = 0; i < keepers_.size(); ++i) {
            keepers_[i]->Open(options_.conninfo);
            Watch(i);
        }
        const auto limit = Clock::now() + kSettleLimit;
        while (!IsSettled()) {
            if (Clock::now() > limit) Die("the groups did not settle");
            Turn();
        }
    }

    /// The times of all answers, sorted.
    std::vector<double> Measure(double seconds) {
        times_.clear();
        const auto end = Clock::now() + std::chrono::duration<double>(seconds);
        while (Clock::now() < end)
            Turn();
        std::sort(times_.begin(), times_.end());
        return times_;
    }

    /// Switchovers of so many groups at once, until all have a new primary.
    double SwitchOver(int count) {
        Connection admin = Connect(options_.conninfo);
        std::vector<Keeper *> before;
        for (std::size_t i = 0; i < static_cast<std::size_t>(2 * count); ++i) {
            if (keepers_[i]->IsPrimary()) before.push_back(keepers_[i].get());
        }
        const auto start = Clock::now();
        for (int group = 0; group < count; ++group)
            (void)Call(admin.get(), "SELECT pgautofailover.perform_failover('load_" +
                                        std::to_string(group) + "', 0)");
        const auto limit = start + kSettleLimit;
        const auto has_switched = [&] {
            return std::all_of(before.begin(), before.end(),
                               [](Keeper *old) { return !old->IsPrimary(); });
        };
        while (!has_switched() || !IsSettled()) {
            if (Clock::now() > limit) Die("the switchovers did not end");
            Turn();
        }
        return std::chrono::duration<double>(Clock::now() - start).count();
    }

 private:
    void Register(PGconn *admin, const std::string &formation, int group, int i,
                  Clock::time_point first) {
        char host[32];
        (void)std::snprintf(host, sizeof host, "127.%d.%d.%d", 1 + group / 250, 1 + group % 250,
                            1 + i);
        const std::string id =
            Call(admin, "SELECT assigned_node_id FROM pgautofailover.register_node('" + formation +
                            "', '" + host + "', " + std::to_string(options_.port) +
                            ", 'postgres', '" + std::string(1, static_cast<char>('a' + i)) + "')");
        keepers_.push_back(
            std::make_unique<Keeper>(formation, NodeId{std::atoll(id.c_str())}, first));
    }

    [[nodiscard]] bool IsSettled() const {
        return std::all_of(keepers_.begin(), keepers_.end(),
                           [](const auto &keeper) { return keeper->IsSettled(); });
    }

    void Watch(std::size_t index) {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.u64 = index;
        if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, keepers_[index]->Socket(), &event) != 0)
            Die("could not watch a session");
        queue_.emplace(keepers_[index]->Due(), index);
    }

    /// What is due is sent, and what has come is read. A keeper may be in the queue more than once:
    /// only its own time counts.
    void Turn() {
        const auto now = Clock::now();
        while (!queue_.empty() && queue_.top().first <= now) {
            Keeper &keeper = *keepers_[queue_.top().second];
            queue_.pop();
            if (keeper.Due() <= now) keeper.Send();
        }
        auto wait = milliseconds{100};
        if (!queue_.empty())
            wait = std::min(wait, std::chrono::ceil<milliseconds>(queue_.top().first - now));
        std::array<epoll_event, 256> events{};
        const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()),
                                       static_cast<int>(wait.count()));
        for (int i = 0; i < count; ++i) {
            const std::size_t index = events[static_cast<std::size_t>(i)].data.u64;
            if (const auto took = keepers_[index]->Read(interval_)) times_.push_back(*took);
            queue_.emplace(keepers_[index]->Due(), index);
        }
    }

    Options options_;
    milliseconds interval_;
    std::vector<std::unique_ptr<Keeper>> keepers_;
    std::vector<double> times_;
    using Entry = std::pair<Clock::time_point, std::size_t>;
    std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue_;
    int epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
};

double At(const std::vector<double> &sorted, double share) {
    if (sorted.empty()) return 0;
    const auto at = static_cast<std::size_t>(share * static_cast<double>(sorted.size()));
    return sorted[std::min(at, sorted.size() - 1)];
}

void Print(const char *what, const std::vector<double> &times, double seconds) {
    std::printf(
        "{\"what\": \"%s\", \"reports\": %zu, \"per_second\": %.1f, \"p50_ms\": %.3f, "
        "\"p99_ms\": %.3f, \"max_ms\": %.3f}\n",
        what, times.size(), static_cast<double>(times.size()) / seconds, At(times, 0.5),
        At(times, 0.99), times.empty() ? 0 : times.back());
    std::fflush(stdout);
}

}  // namespace

int main(int argc, char **argv) {
    CLI::App app{"Keepers of many groups, for one monitor"};
    Options options;
    app.add_option("--conninfo", options.conninfo)->required();
    app.add_option("--groups", options.groups)->check(CLI::Range(1, 10000));
    app.add_option("--warmup", options.warmup_s);
    app.add_option("--duration", options.duration_s);
    app.add_option("--interval", options.interval_ms);
    app.add_option("--failovers", options.failovers, "switchovers at once, after the measurement");
    CLI11_PARSE(app, argc, argv);
    const int listener = Listen(options.port);
    std::thread(AnswerProbes, listener).detach();
    Fleet fleet(options);
    fleet.Settle();
    (void)fleet.Measure(options.warmup_s);  // autovacuum looks at what the settling has changed
    std::printf("steady\n");
    std::fflush(stdout);
    Print("steady", fleet.Measure(options.duration_s), options.duration_s);
    std::printf("done\n");
    std::fflush(stdout);
    if (options.failovers > 0) {
        const double took = fleet.SwitchOver(std::min(options.failovers, options.groups));
        std::printf("{\"what\": \"switchovers\", \"count\": %d, \"seconds\": %.3f}\n",
                    options.failovers, took);
    }
    return 0;
}
