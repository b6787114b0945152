#include "io/pg_client.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <array>

#include "io/env.hpp"
#include "pgaf/core/pg_files.hpp"

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
    client.connection_.reset(PQconnectdbParams(names.data(), values.data(), 0));
    if (PQstatus(client.Raw()) != CONNECTION_OK) {
        return Fail(code, LibpqMessage(PQerrorMessage(client.Raw())));
    }
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
