#include <fmt/format.h>
#include <signal.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>

#include "io/env.hpp"
#include "io/files.hpp"
#include "io/pg_client.hpp"
#include "io/process.hpp"
#include "io/temporary_server.hpp"
#include "node/steps/steps.hpp"

/// Whether a standby does not start because of its data, or because of something else: a port that
/// is taken, a library that is missing, too little memory.
namespace pgaf::node {
namespace {

/// A server that runs for so long has found what it needs to begin with.
constexpr Milliseconds kTrial{15'000};

/// Not the fault of the data: a copy would not start either.
constexpr std::array<std::string_view, 9> kOtherReasons{
    "invalid permissions",           "wrong ownership",
    "No space left on device",       "Permission denied",
    "Read-only file system",         "Cannot allocate memory",
    "Too many open files",           "could not create semaphores",
    "could not create shared memory"};

/// What a session says when the files that each needs are damaged.
constexpr std::array<std::string_view, 5> kBroken{"relation mapping", "could not open file",
                                                  "could not read", "invalid page", "pg_class"};

template <std::size_t N>
bool SaysOneOf(std::string_view text, const std::array<std::string_view, N> &words) {
    return std::any_of(words.begin(), words.end(),
                       [text](std::string_view word) { return text.find(word) != text.npos; });
}

/// The last FATAL or PANIC of its log.
std::string LastWords(std::string_view log) {
    std::string found;
    while (!log.empty()) {
        const std::size_t end = std::min(log.find('\n'), log.size());
        const std::string_view line = log.substr(0, end);
        log.remove_prefix(std::min(end + 1, log.size()));
        for (const std::string_view level : {"FATAL:  ", "PANIC:  "}) {
            const std::size_t at = line.find(level);
            if (at != line.npos) found = line.substr(at + level.size());
        }
    }
    return found;
}

/// One server on the data, in a directory of its own for socket and configuration.
class Trial {
 public:
    Trial(const StepContext &context, std::string directory)
        : context_(context), directory_(std::move(directory)) {}
    std::optional<std::string> Run(const core::ServerSizes &sizes);

 private:
    [[nodiscard]] std::vector<std::string> Command(const core::ServerSizes &sizes) const;
    void OnLine(std::string_view line);
    void TrySession();

    const StepContext &context_;
    std::string directory_;
    std::string log_;
    std::string session_problem_;
    bool is_ready_ = false;
};

std::vector<std::string> Trial::Command(const core::ServerSizes &sizes) const {
    std::vector<std::string> argv{context_.install.Tool("postgres"), "-D", context_.paths.pgdata};
    std::vector<std::string> settings{
        "config_file=" + directory_ + "/conf", "hba_file=" + directory_ + "/hba",
        "ident_file=" + directory_ + "/hba", "unix_socket_directories=" + directory_,
        "external_pid_file=" + directory_ + "/pid"};
    for (const char *fixed : {"listen_addresses=",
                              "port=5432",
                              "ssl=off",
                              "shared_preload_libraries=",
                              "session_preload_libraries=",
                              "local_preload_libraries=",
                              "logging_collector=off",
                              "log_destination=stderr",
                              "log_min_messages=warning",
                              "log_line_prefix=",
                              "shared_buffers=16MB",
                              "huge_pages=off",
                              "hot_standby=on",
                              "primary_conninfo=",
                              "primary_slot_name=",
                              "restore_command=",
                              "recovery_target=",
                              "recovery_target_lsn=",
                              "recovery_target_name=",
                              "recovery_target_time=",
                              "recovery_target_xid=",
                              "max_replication_slots=1000",
                              "wal_level=replica"})
        settings.emplace_back(fixed);
    for (std::size_t i = 0; i < sizes.size(); ++i)
        settings.push_back(fmt::format("{}={}", core::kSizeNames.at(i), sizes.at(i)));
    for (const std::string &setting : settings) {
        argv.emplace_back("-c");
        argv.push_back(setting);
    }
    return argv;
}

/// Role and database need not exist: whoever is refused for that has come far enough.
void Trial::TrySession() {
    auto client =
        io::PgClient::Connect(io::BuildConninfo({{"host", directory_},
                                                 {"port", "5432"},
                                                 {"user", std::string(core::kReplicatorRole)},
                                                 {"dbname", "template1"},
                                                 {"connect_timeout", "5"}}));
    if (!client && SaysOneOf(client.error().message, kBroken))
        session_problem_ = client.error().message;
    if (!client && SaysOneOf(client.error().detail, kBroken))
        session_problem_ = client.error().detail;
}

void Trial::OnLine(std::string_view line) {
    log_.append(line).append("\n");
    if (is_ready_ || line.find("ready to accept read-only connections") == line.npos) return;
    is_ready_ = true;
    TrySession();
    if (const auto server = io::FindPostmaster(context_.paths.pgdata))
        (void)::kill(server->pid, SIGINT);
}

std::optional<std::string> Trial::Run(const core::ServerSizes &sizes) {
    for (const char *name : {"/conf", "/hba"}) {
        const bool is_hba = std::string_view(name) == "/hba";
        if (!io::WriteFile(directory_ + name, is_hba ? "local all all trust\n" : "", 0600))
            return std::nullopt;
    }
    auto outcome = io::Run({.argv = Command(sizes),
                            .env = {{"LC_ALL", "C"}, {"PGOPTIONS", ""}},
                            .on_line = [this](std::string_view line) { OnLine(line); },
                            .timeout = kTrial,
                            .cancel = context_.cancel});
    (void)io::KillPostgres(context_.paths.pgdata, Milliseconds{5000});
    if (!session_problem_.empty()) return session_problem_;
    if (!outcome || is_ready_ || outcome->status == 0) return std::nullopt;
    const std::string said = LastWords(log_);
    if (said.empty() || SaysOneOf(log_, kOtherReasons)) return std::nullopt;
    return said;
}

}  // namespace

std::optional<std::string> FindDamage(const StepContext &context, io::DirectoryLock &lock) {
    const std::string &pgdata = context.paths.pgdata;
    // Without the signal file it would come up as a primary, and write.
    if (!io::Exists(pgdata + "/standby.signal")) return std::nullopt;
    auto control = io::ReadControlData(context.install, pgdata);
    if (!control || !control->sizes) return std::nullopt;
    const auto directory = io::MakePrivateDirectory(context.paths.directory);
    if (!directory) return std::nullopt;
    spdlog::info("PostgreSQL has failed to start several times: trying whether its data are whole");
    auto damage = Trial(context, *directory).Run(*control->sizes);
    (void)io::RemoveTree(*directory);
    if (auto taken = lock.Take(); !taken) spdlog::warn("{}", taken.error().message);
    if (!damage) spdlog::info("The data seem to be whole");
    return damage;
}

}  // namespace pgaf::node
