#include "http/cluster_source.hpp"

#include <condition_variable>
#include <mutex>

#include "http/quiet_thread.hpp"
#include "io/env.hpp"
#include "io/pg_client.hpp"

namespace pgaf::http {
namespace {

using core::Milliseconds;

/// A session that nobody has needed for so long is closed.
constexpr std::chrono::seconds kIdle{10};

/// Between the beginnings of two fetches.
constexpr Milliseconds kPause{1000};

/// No wait without an end: not for a name, a silent network, or a lock.
const io::ConnOptions kLimits{{"connect_timeout", "2"},  {"tcp_user_timeout", "4000"},
                              {"keepalives_idle", "2"},  {"keepalives_interval", "1"},
                              {"keepalives_count", "3"}, {"application_name", "pg_autoctl http"}};

core::Result<io::PgClient> Connect(const core::Result<std::string> &conninfo) {
    if (!conninfo) return tl::unexpected(conninfo.error());
    auto client = io::PgClient::Connect(*conninfo, kLimits, core::ProblemCode::kMonitor);
    if (!client) return client;
    if (auto set = client->Query("SET statement_timeout = 3000"); !set)
        return tl::unexpected(set.error());
    return client;
}

core::Result<view::ClusterView> Query(io::PgClient &client, const std::string &formation) {
    auto made =
        client.Query(view::kClusterViewSql, {formation, std::to_string(view::kEventsInView)});
    if (!made) return tl::unexpected(made.error());
    auto read = client.Query(view::kReadViewSql);
    if (!read) return tl::unexpected(read.error());
    return view::ParseClusterView(read->At(0, 0));
}

}  // namespace

struct ClusterSource::Shared {
    Options options;
    std::mutex mutex;
    std::condition_variable changed;
    bool is_wanted = false;
    bool is_running = false;
    core::BootTime begun_at;
    bool is_ending = false;
    std::function<void()> on_done;
    std::shared_ptr<const view::ClusterView> latest;
    core::BootTime latest_at;
};

ClusterSource::ClusterSource(Options options) : shared_(std::make_shared<Shared>()) {
    shared_->options = std::move(options);
    QuietThread([shared = shared_] { Work(shared); }).detach();
}

ClusterSource::~ClusterSource() {
    const std::lock_guard lock(shared_->mutex);
    shared_->is_ending = true;
    shared_->on_done = nullptr;
    shared_->changed.notify_all();
}

bool ClusterSource::Fetch(std::function<void()> on_done) {
    const std::lock_guard lock(shared_->mutex);
    const bool is_under_way = shared_->is_wanted || shared_->is_running;
    const bool was_ever = shared_->begun_at.ns != 0;
    if (!is_under_way && was_ever && io::BootNow() - shared_->begun_at < kPause) return false;
    shared_->on_done = std::move(on_done);
    if (is_under_way) return true;
    shared_->is_wanted = true;
    shared_->changed.notify_all();
    return true;
}

void ClusterSource::Forget() {
    const std::lock_guard lock(shared_->mutex);
    shared_->on_done = nullptr;
}

std::shared_ptr<const view::ClusterView> ClusterSource::Latest(Milliseconds limit) const {
    const std::lock_guard lock(shared_->mutex);
    if (!shared_->latest || io::BootNow() - shared_->latest_at > limit) return nullptr;
    return shared_->latest;
}

void ClusterSource::Work(const std::shared_ptr<Shared> &shared) {
    std::optional<io::PgClient> client;
    std::unique_lock lock(shared->mutex);
    while (!shared->is_ending) {
        const bool is_wanted = shared->changed.wait_for(
            lock, kIdle, [&] { return shared->is_wanted || shared->is_ending; });
        if (!is_wanted) client.reset();
        if (!is_wanted || shared->is_ending) continue;
        shared->is_wanted = false;
        shared->is_running = true;
        const core::BootTime at = shared->begun_at = io::BootNow();
        lock.unlock();
        core::Result<view::ClusterView> view = core::Fail(core::ProblemCode::kMonitor, "");
        // A session that has ended meanwhile is replaced once.
        for (int i = 0; i < 2 && !view; ++i) {
            const bool was_open = client.has_value();
            if (!was_open) {
                auto fresh = Connect(shared->options.conninfo());
                if (!fresh) break;
                client.emplace(std::move(*fresh));
            }
            view = Query(*client, shared->options.formation);
            if (!view) client.reset();
            if (!was_open) break;
        }
        lock.lock();
        shared->is_running = false;
        if (view) {
            shared->latest = std::make_shared<view::ClusterView>(std::move(*view));
            shared->latest_at = at;
        }
        if (shared->on_done) shared->on_done();
    }
}

}  // namespace pgaf::http
