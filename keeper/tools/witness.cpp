/// pgaf_witness: a client that writes, and remembers what was acknowledged.
///
/// Every row has an id of its own. "id time" (Unix nanoseconds) is appended to the log only after
/// the server has acknowledged the INSERT. A session that gets no answer in time, or an error, is
/// thrown away, and the next host of the URI is tried at once: what such a statement did is
/// unknown, and is not counted.
#include <libpq-fe.h>
#include <poll.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kConnectLimit{250};
constexpr milliseconds kAnswerLimit{500};

std::atomic<bool> stop{false};

struct Options {
    std::string uri;
    std::string table = "witness";
    std::string log;
    double duration_s = 0;
    double rate = 100;
    int clients = 1;
    bool verify = false;
};

std::int64_t UnixNs() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

using Connection = std::unique_ptr<PGconn, decltype(&PQfinish)>;
using Answer = std::unique_ptr<PGresult, decltype(&PQclear)>;
using Parameters = std::map<std::string, std::string>;

std::vector<std::string> Split(const std::string &text) {
    std::vector<std::string> parts;
    std::stringstream stream(text);
    for (std::string part; std::getline(stream, part, ',');)
        parts.push_back(part);
    return parts;
}

/// One set of parameters for each host of the URI.
std::vector<Parameters> HostsOf(const std::string &uri) {
    char *message = nullptr;
    PQconninfoOption *options = PQconninfoParse(uri.c_str(), &message);
    if (options == nullptr) {
        std::fprintf(stderr, "error: %s", message != nullptr ? message : "out of memory\n");
        std::exit(1);
    }
    Parameters common;
    for (const PQconninfoOption *o = options; o->keyword != nullptr; ++o) {
        if (o->val != nullptr) common[o->keyword] = o->val;
    }
    PQconninfoFree(options);
    const auto hosts = Split(common["host"]);
    const auto ports = Split(common["port"]);
    std::vector<Parameters> all;
    for (std::size_t i = 0; i < hosts.size(); ++i) {
        Parameters one = common;
        one["host"] = hosts[i];
        if (!ports.empty()) one["port"] = ports[std::min(i, ports.size() - 1)];
        one["application_name"] = "pgaf_witness";
        all.push_back(one);
    }
    return all;
}

/// Waits until the socket can be read (or written); false at the deadline.
bool WaitSocket(PGconn *connection, short events, Clock::time_point deadline) {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    pollfd fd{PQsocket(connection), events, 0};
    return poll(&fd, 1, static_cast<int>(left)) > 0;
}

Connection Connect(const Parameters &parameters, milliseconds limit) {
    std::vector<const char *> keys;
    std::vector<const char *> values;
    for (const auto &[key, value] : parameters) {
        keys.push_back(key.c_str());
        values.push_back(value.c_str());
    }
    keys.push_back(nullptr);
    values.push_back(nullptr);
    const auto deadline = Clock::now() + limit;
    Connection connection(PQconnectStartParams(keys.data(), values.data(), 0), &PQfinish);
    if (connection == nullptr || PQstatus(connection.get()) == CONNECTION_BAD)
        return {nullptr, &PQfinish};
    for (auto state = PGRES_POLLING_WRITING; state != PGRES_POLLING_OK;
         state = PQconnectPoll(connection.get())) {
        const short events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        if (state == PGRES_POLLING_FAILED || !WaitSocket(connection.get(), events, deadline)) {
            return {nullptr, &PQfinish};
        }
    }
    return connection;
}

/// The result of a statement; null when none came in time or the connection broke.
Answer Execute(PGconn *connection, const std::string &sql, milliseconds limit) {
    const auto deadline = Clock::now() + limit;
    if (PQsendQuery(connection, sql.c_str()) == 0) return {nullptr, &PQclear};
    Answer last{nullptr, &PQclear};
    for (;;) {
        while (PQisBusy(connection) != 0) {
            if (!WaitSocket(connection, POLLIN, deadline) || PQconsumeInput(connection) == 0) {
                return {nullptr, &PQclear};
            }
        }
        Answer next(PQgetResult(connection), &PQclear);
        if (next == nullptr) return last;
        last = std::move(next);
    }
}

/// The log, and the count of errors.
class Record {
 public:
    explicit Record(const std::string &path) : file_(std::fopen(path.c_str(), "ae")) {
        if (file_ == nullptr) {
            std::fprintf(stderr, "error: could not open \"%s\": %m\n", path.c_str());
            std::exit(1);
        }
    }
    ~Record() { (void)std::fclose(file_); }
    Record(const Record &) = delete;
    Record &operator=(const Record &) = delete;

    void Acknowledged(std::int64_t id) {
        const std::lock_guard lock(mutex_);
        const std::int64_t now = UnixNs();
        std::fprintf(file_, "%lld %lld\n", static_cast<long long>(id), static_cast<long long>(now));
        (void)std::fflush(file_);
        if (last_ != 0) gaps_.emplace_back(now - last_, last_);
        if (gaps_.size() > 100) Trim();
        last_ = now;
        ++count_;
    }
    void Failed(const std::string &code) {
        const std::lock_guard lock(mutex_);
        ++errors_[code];
    }
    void Print() {
        const std::lock_guard lock(mutex_);
        Trim();
        std::printf("{\"acknowledged\": %lld, \"gaps\": [", static_cast<long long>(count_));
        for (std::size_t i = 0; i < gaps_.size(); ++i) {
            std::printf("%s{\"start_ns\": %lld, \"ms\": %.1f}", i > 0 ? ", " : "",
                        static_cast<long long>(gaps_[i].second),
                        static_cast<double>(gaps_[i].first) / 1e6);
        }
        std::printf("], \"errors\": {");
        const char *comma = "";
        for (const auto &[code, count] : errors_) {
            std::printf("%s\"%s\": %d", comma, code.c_str(), count);
            comma = ", ";
        }
        std::printf("}}\n");
    }

 private:
    void Trim() {  // keeps the longest gaps
        std::sort(gaps_.rbegin(), gaps_.rend());
        if (gaps_.size() > 10) gaps_.resize(10);
    }
    std::FILE *file_;
    std::mutex mutex_;
    std::int64_t last_ = 0;
    std::int64_t count_ = 0;
    std::vector<std::pair<std::int64_t, std::int64_t>> gaps_;
    std::map<std::string, int> errors_;
};

class Writer {
 public:
    Writer(const Options &options, int number, Record &record)
        : options_(options), number_(number), record_(record), hosts_(HostsOf(options.uri)) {}

    void Run(Clock::time_point end) {
        const std::chrono::duration<double> period(options_.clients / std::max(options_.rate, 0.1));
        auto next = Clock::now();
        while (!stop && Clock::now() < end) {
            if (connection_ == nullptr && !Reconnect()) continue;
            WriteOne();
            next =
                std::max(next + std::chrono::duration_cast<Clock::duration>(period), Clock::now());
            std::this_thread::sleep_until(next);
        }
    }

 private:
    bool Reconnect() {
        host_ = (host_ + 1) % hosts_.size();
        connection_ = Connect(hosts_[host_], kConnectLimit);
        if (connection_ == nullptr) {
            record_.Failed("connect");
            // Refused connections fail at once; do not spin on them.
            std::this_thread::sleep_for(milliseconds(5));
            return false;
        }
        if (is_table_known_) return true;
        const Answer answer = Execute(connection_.get(),
                                      "CREATE TABLE IF NOT EXISTS " + options_.table +
                                          "(id bigint PRIMARY KEY, at timestamptz DEFAULT now())",
                                      milliseconds(5000));
        is_table_known_ = Check(answer);
        return is_table_known_;
    }
    void WriteOne() {
        const std::int64_t id = UnixNs() / 64 * 64 + number_;
        const Answer answer =
            Execute(connection_.get(),
                    "INSERT INTO " + options_.table + "(id) VALUES (" + std::to_string(id) + ")",
                    kAnswerLimit);
        if (Check(answer)) record_.Acknowledged(id);
    }
    bool Check(const Answer &answer) {
        if (answer != nullptr && PQresultStatus(answer.get()) == PGRES_COMMAND_OK) return true;
        const char *code =
            answer == nullptr ? nullptr : PQresultErrorField(answer.get(), PG_DIAG_SQLSTATE);
        // Two sessions may create the table at the same time.
        const std::string name = code != nullptr ? code : "no answer";
        record_.Failed(name);
        connection_.reset();
        std::this_thread::sleep_for(
            milliseconds(2));  // do not spin on a server that refuses at once
        return false;
    }

    const Options &options_;
    int number_;
    Record &record_;
    std::vector<Parameters> hosts_;
    std::size_t host_ = hosts_.size() - 1;
    Connection connection_{nullptr, &PQfinish};
    bool is_table_known_ = false;
};

int Write(const Options &options) {
    Record record(options.log);
    const auto end = options.duration_s > 0
                         ? Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                              std::chrono::duration<double>(options.duration_s))
                         : Clock::time_point::max();
    std::vector<std::thread> threads;
    for (int i = 0; i < options.clients; ++i) {
        threads.emplace_back([&, i] { Writer(options, i, record).Run(end); });
    }
    for (std::thread &thread : threads)
        thread.join();
    record.Print();
    return 0;
}

int Verify(const Options &options) {
    std::set<std::int64_t> acknowledged;
    if (std::FILE *file = std::fopen(options.log.c_str(), "re")) {
        long long id = 0;
        long long at = 0;
        while (std::fscanf(file, "%lld %lld", &id, &at) == 2)
            acknowledged.insert(id);
        (void)std::fclose(file);
    }
    const auto hosts = HostsOf(options.uri);
    const auto deadline = Clock::now() + std::chrono::seconds(20);
    for (std::size_t i = 0; Clock::now() < deadline; ++i) {
        const Connection connection = Connect(hosts[i % hosts.size()], milliseconds(1000));
        if (connection == nullptr) {
            std::this_thread::sleep_for(milliseconds(50));
            continue;
        }
        const Answer rows =
            Execute(connection.get(), "SELECT id FROM " + options.table, milliseconds(30000));
        if (rows == nullptr || PQresultStatus(rows.get()) != PGRES_TUPLES_OK) continue;
        std::set<std::int64_t> missing = acknowledged;
        for (int row = 0; row < PQntuples(rows.get()); ++row) {
            missing.erase(std::atoll(PQgetvalue(rows.get(), row, 0)));
        }
        std::printf(
            "{\"acknowledged\": %zu, \"found\": %zu, \"missing\": %zu, \"rows\": %d, "
            "\"first_missing\": %lld}\n",
            acknowledged.size(), acknowledged.size() - missing.size(), missing.size(),
            PQntuples(rows.get()),
            missing.empty() ? 0LL : static_cast<long long>(*missing.begin()));
        return missing.empty() ? 0 : 3;
    }
    std::fprintf(stderr, "error: could not read the table from a primary within 20 s\n");
    return 1;
}

}  // namespace

int main(int argc, char **argv) {
    Options options;
    CLI::App app{"writes rows, logs what was acknowledged, and checks it afterwards"};
    app.add_option("--uri", options.uri)->required();
    app.add_option("--table", options.table);
    app.add_option("--log", options.log)->required();
    app.add_option("--duration", options.duration_s, "seconds; 0: until SIGINT");
    app.add_option("--rate", options.rate, "rows per second, all clients together");
    app.add_option("--clients", options.clients)->check(CLI::Range(1, 63));
    app.add_flag("--verify", options.verify, "look for every acknowledged row");
    CLI11_PARSE(app, argc, argv);
    const auto end = [](int) { stop = true; };
    (void)std::signal(SIGINT, end);
    (void)std::signal(SIGTERM, end);
    (void)std::signal(SIGPIPE, SIG_IGN);
    return options.verify ? Verify(options) : Write(options);
}
