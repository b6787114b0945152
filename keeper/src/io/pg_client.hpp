#pragma once

#include <libpq-fe.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/common.hpp"

namespace pgaf::io {

struct PgConnDeleter {
    void operator()(PGconn *connection) const { PQfinish(connection); }
};
using PgConn = std::unique_ptr<PGconn, PgConnDeleter>;
struct PgResultDeleter {
    void operator()(PGresult *result) const { PQclear(result); }
};
using PgResult = std::unique_ptr<PGresult, PgResultDeleter>;

struct Rows {
    std::vector<std::string> columns;
    std::vector<std::vector<std::optional<std::string>>> rows;
    /// Text of a cell; empty for NULL.
    [[nodiscard]] std::string At(std::size_t row, std::size_t column) const;
    [[nodiscard]] bool IsEmpty() const { return rows.empty(); }
};

/// For every session of ours: where nobody but a superuser can have put anything.
inline constexpr const char *kSafePath = "-c search_path=pg_catalog,pg_temp";

/// Name and value pairs that override what a connection string says.
using ConnOptions = std::vector<std::pair<std::string, std::string>>;

/// In the words of a connection that failed; the code follows, where the server has said one.
inline constexpr std::string_view kSqlState = "SQLSTATE ";
inline constexpr std::string_view kInvalidPassword = "SQLSTATE 28P01";

/// A plain blocking client, for commands and steps; never in an event loop.
class PgClient {
 public:
    /// `code` is the code of the problems that this client has.
    static Result<PgClient> Connect(const std::string &conninfo, const ConnOptions &overrides = {},
                                    ProblemCode code = ProblemCode::kPostgres);
    Result<Rows> Query(const std::string &sql, const std::vector<std::string> &parameters = {});
    /// Simple protocol: for replication commands.
    Result<Rows> Simple(const std::string &sql);
    /// SQLSTATE of the last failed query.
    [[nodiscard]] const std::string &SqlState() const { return sqlstate_; }
    /// The next notification's payload; none when `limit` passes first.
    Result<std::optional<std::string>> AwaitNotification(Milliseconds limit);
    [[nodiscard]] PGconn *Raw() const { return connection_.get(); }

 private:
    Result<Rows> Take(PgResult result);
    PgConn connection_;
    ProblemCode code_ = ProblemCode::kPostgres;
    std::string sqlstate_;
};

/// A connection string or URI taken apart; kBadArgument when it is malformed.
Result<ConnOptions> ParseConninfo(const std::string &conninfo);
/// The opposite: key=value pairs.
std::string BuildConninfo(const ConnOptions &options);
std::string OptionOf(const ConnOptions &options, std::string_view name);
void SetOption(ConnOptions &options, std::string_view name, std::string value);

/// libpq's message as one line.
std::string LibpqMessage(const char *message);
/// Worth another try: serialization failure, deadlock, object in use, lost connection.
bool IsTransient(std::string_view sqlstate);

}  // namespace pgaf::io
