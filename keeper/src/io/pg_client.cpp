#include "io/pg_client.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <sstream>

#include "io/env.hpp"
#include "pgaf/core/pg_files.hpp"
#include "tls/pin.hpp"

namespace pgaf::io {

std::string Rows::At(std::size_t row, std::size_t column) const {
    return rows.at(row).at(column).value_or("");
}

std::string LibpqMessage(const char *message) {
    std::string text(message != nullptr ? message : "");
    while (!text.empty() && (text.back() == '\n' || text.back() == ' '))
        text.pop_back();
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
}

bool IsTransient(std::string_view sqlstate) {
    static constexpr std::array<std::string_view, 6> kStates{"40001", "40P01", "55006",
                                                             "55P03", "57P01", "57P03"};
    return std::find(kStates.begin(), kStates.end(), sqlstate) != kStates.end();
}

Result<ConnOptions> ParseConninfo(const std::string &conninfo) {
    char *error = nullptr;
    PQconninfoOption *options = PQconninfoParse(conninfo.c_str(), &error);
    if (options == nullptr) {
        std::string message = LibpqMessage(error);
        PQfreemem(error);
        // libpq repeats what it could not read, and that may be a part of a password.
        message = message.substr(0, message.find('"'));
        while (!message.empty() && (message.back() == ' ' || message.back() == ':'))
            message.pop_back();
        return Fail(ProblemCode::kBadArgument,
                    fmt::format("invalid connection string \"{}\"", core::RedactConninfo(conninfo)),
                    message);
    }
    ConnOptions found;
    for (const PQconninfoOption *option = options; option->keyword != nullptr; ++option) {
        if (option->val != nullptr) found.emplace_back(option->keyword, option->val);
    }
    PQconninfoFree(options);
    return found;
}

std::string BuildConninfo(const ConnOptions &options) {
    std::string text;
    for (const auto &[name, value] : options) {
        if (!text.empty()) text += " ";
        text += name + "=" + core::QuoteConninfo(value);
    }
    return text;
}

std::string OptionOf(const ConnOptions &options, std::string_view name) {
    for (const auto &[key, value] : options) {
        if (key == name) return value;
    }
    return {};
}

void SetOption(ConnOptions &options, std::string_view name, std::string value) {
    for (auto &[key, old] : options) {
        if (key == name) {
            old = std::move(value);
            return;
        }
    }
    options.emplace_back(name, std::move(value));
}

namespace {

/// As libpq counts it: for each host of the list; 0: no limit.
Milliseconds ConnectLimit(const ConnOptions &options) {
    const std::string hosts = OptionOf(options, "host");
    const auto count = 1 + std::count(hosts.begin(), hosts.end(), ',');
    const int seconds = std::atoi(OptionOf(options, "connect_timeout").c_str());
    return seconds <= 0 ? Milliseconds{0} : Milliseconds{1000} * std::max(2, seconds) * count;
}

constexpr std::size_t kStateLength = 5;

/// "FATAL:  28P01: words" becomes "FATAL:  words (SQLSTATE 28P01)", and the place in the source
/// goes: a server speaks its own language before anybody is let in, and the code is the same in
/// each.
std::string PlainLine(std::string line) {
    const std::size_t colon = line.find(":  ");
    if (colon == std::string::npos) return line;
    const std::size_t at = colon + 3;
    const std::string state = line.substr(at, kStateLength);
    const bool is_state =
        state.size() == kStateLength &&
        std::all_of(state.begin(), state.end(),
                    [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); }) &&
        line.compare(at + kStateLength, 2, ": ") == 0;
    if (is_state)
        return line.erase(at, kStateLength + 2) + " (" + std::string(kSqlState) + state + ")";
    const std::size_t digits = line.find_last_not_of("0123456789");
    const bool is_place = digits != std::string::npos && digits >= 2 && digits + 1 < line.size() &&
                          line.compare(digits - 2, 3, ".c:") == 0;
    return is_place ? "" : line;
}

std::string FailureOf(PGconn *connection) {
    std::istringstream lines(PQerrorMessage(connection));
    std::string text;
    for (std::string line; std::getline(lines, line);)
        if (const std::string plain = PlainLine(line); !plain.empty()) text += plain + "\n";
    return LibpqMessage(text.c_str());
}

/// Goes on with a connection that was started, and looks at who is at its other end.
Result<void> FinishConnecting(PGconn *connection, ProblemCode code, Milliseconds limit) {
    const core::BootTime start = BootNow();
    PostgresPollingStatusType polling = PGRES_POLLING_WRITING;
    while (polling == PGRES_POLLING_READING || polling == PGRES_POLLING_WRITING) {
        const Milliseconds left = limit - (BootNow() - start);
        if (limit.count() > 0 && left.count() <= 0) return Fail(code, "timeout expired");
        const short events = polling == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        pollfd poll_fd{PQsocket(connection), events, 0};
        const int wait = limit.count() > 0 ? static_cast<int>(left.count()) : -1;
        if (::poll(&poll_fd, 1, wait) <= 0) continue;
        polling = PQconnectPoll(connection);
        if (auto stranger = tls::CheckPeer(connection)) {
            stranger->code = code;
            return tl::unexpected(std::move(*stranger));
        }
    }
    if (PQstatus(connection) == CONNECTION_OK) return {};
    return Fail(code, FailureOf(connection));
}

}  // namespace

Result<PgClient> PgClient::Connect(const std::string &conninfo, const ConnOptions &overrides,
                                   ProblemCode code) {
    auto options = ParseConninfo(conninfo);
    if (!options) return Pass(options);
    const auto set_default = [&](const char *name, const std::string &value) {
        if (OptionOf(*options, name).empty()) SetOption(*options, name, value);
    };
    set_default("connect_timeout", EnvOr("PGCONNECT_TIMEOUT", "2"));
    set_default("application_name", "pg_autoctl");
    for (const auto &[name, value] : overrides)
        SetOption(*options, name, value);
    std::string startup = OptionOf(*options, "options");
    if (startup.find(kSafePath) == std::string::npos) {
        startup += (startup.empty() ? "" : " ") + std::string(kSafePath);
        SetOption(*options, "options", startup);
    }
    std::vector<const char *> names;
    std::vector<const char *> values;
    for (const auto &[name, value] : *options) {
        names.push_back(name.c_str());
        values.push_back(value.c_str());
    }
    names.push_back(nullptr);
    values.push_back(nullptr);
    PgClient client;
    client.code_ = code;
    client.connection_.reset(PQconnectStartParams(names.data(), values.data(), 0));
    if (!client.connection_ || PQstatus(client.Raw()) == CONNECTION_BAD)
        return Fail(code, LibpqMessage(PQerrorMessage(client.Raw())));
    (void)PQsetErrorVerbosity(client.Raw(), PQERRORS_VERBOSE);
    if (auto done = FinishConnecting(client.Raw(), code, ConnectLimit(*options)); !done)
        return Pass(done);
    (void)PQsetErrorVerbosity(client.Raw(), PQERRORS_DEFAULT);
    PQsetNoticeProcessor(
        client.Raw(), [](void *, const char *) {}, nullptr);
    return client;
}

Result<Rows> PgClient::Take(PgResult result) {
    const ExecStatusType status = PQresultStatus(result.get());
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        const auto field = [&](int code) {
            const char *text = PQresultErrorField(result.get(), code);
            return std::string(text != nullptr ? text : "");
        };
        sqlstate_ = field(PG_DIAG_SQLSTATE);
        const std::string primary = field(PG_DIAG_MESSAGE_PRIMARY);
        return Fail(code_, primary.empty() ? LibpqMessage(PQerrorMessage(Raw())) : primary,
                    field(PG_DIAG_MESSAGE_DETAIL), field(PG_DIAG_MESSAGE_HINT));
    }
    sqlstate_.clear();
    Rows rows;
    const int columns = PQnfields(result.get());
    for (int column = 0; column < columns; ++column)
        rows.columns.emplace_back(PQfname(result.get(), column));
    for (int row = 0; row < PQntuples(result.get()); ++row) {
        auto &cells = rows.rows.emplace_back();
        for (int column = 0; column < columns; ++column) {
            if (PQgetisnull(result.get(), row, column) != 0) {
                cells.emplace_back();
            } else {
                cells.emplace_back(PQgetvalue(result.get(), row, column));
            }
        }
    }
    return rows;
}

Result<Rows> PgClient::Query(const std::string &sql, const std::vector<std::string> &parameters) {
    std::vector<const char *> values;
    values.reserve(parameters.size());
    for (const std::string &parameter : parameters)
        values.push_back(parameter.c_str());
    return Take(PgResult(PQexecParams(Raw(), sql.c_str(), static_cast<int>(values.size()), nullptr,
                                      values.data(), nullptr, nullptr, 0)));
}

Result<Rows> PgClient::Simple(const std::string &sql) {
    return Take(PgResult(PQexec(Raw(), sql.c_str())));
}

Result<std::optional<std::string>> PgClient::AwaitNotification(Milliseconds limit) {
    const core::BootTime start = BootNow();
    for (;;) {
        if (PGnotify *notify = PQnotifies(Raw()); notify != nullptr) {
            std::string payload(notify->extra);
            PQfreemem(notify);
            return std::optional<std::string>(std::move(payload));
        }
        const Milliseconds left = limit - (BootNow() - start);
        if (left.count() <= 0) return std::optional<std::string>{};
        pollfd poll_fd{PQsocket(Raw()), POLLIN, 0};
        (void)::poll(&poll_fd, 1, static_cast<int>(left.count()));
        if (PQconsumeInput(Raw()) == 0) return Fail(code_, LibpqMessage(PQerrorMessage(Raw())));
    }
}

}  // namespace pgaf::io
