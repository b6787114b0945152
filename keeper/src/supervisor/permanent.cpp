#include "supervisor/permanent.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace pgaf::supervisor {
namespace {

struct Known {
    std::string_view said;
    std::string_view remedy;
};

constexpr std::string_view kPassword =
    "Give the password of role pgautofailover_replicator, as the first node has it, in the "
    "environment: PG_AUTOCTL_REPLICATION_PASSWORD.";
constexpr std::string_view kTablespace =
    "A tablespace of the primary has its place there, and something else is in it: move that "
    "elsewhere.";

constexpr std::array kKnown{
    Known{"SQLSTATE 28P01", kPassword},  // in every language
    Known{"password authentication failed", kPassword},
    Known{"no password supplied", kPassword},
    Known{"is not empty", kTablespace},
    Known{"Permission denied",
          "Everything in and around the data directory must belong to the "
          "user who runs PostgreSQL."},
    Known{"No space left on device", "Make room on the disk, and repeat the command."},
    Known{"Read-only file system", "Make the file system writable, and repeat the command."},
    Known{"certificate verify failed",
          "Give the authority of the other nodes' certificates with "
          "--ssl-ca-file, or another --ssl-mode."},
};

/// The last line that names an error, without what stands before; none in another language.
std::string CauseIn(std::string_view lines) {
    std::string cause;
    while (!lines.empty()) {
        const std::size_t end = std::min(lines.find('\n'), lines.size());
        const std::string_view line = lines.substr(0, end);
        lines.remove_prefix(std::min(end + 1, lines.size()));
        for (const std::string_view word : {"error: ", "fatal: ", "ERROR:  ", "FATAL:  "}) {
            const std::size_t at = line.find(word);
            if (at != line.npos) cause = line.substr(at + word.size());
        }
    }
    return cause;
}

}  // namespace

std::string WithCause(const core::Problem &problem) {
    const std::string cause = CauseIn(problem.detail);
    const bool is_said = cause.empty() || problem.message.ends_with(cause);
    return is_said ? problem.message : problem.message + ": " + cause;
}

std::optional<std::string> RemedyOf(const core::Problem &problem) {
    for (const Known &known : kKnown) {
        const bool is_said = problem.message.find(known.said) != std::string::npos ||
                             problem.detail.find(known.said) != std::string::npos;
        if (is_said) return std::string(known.remedy);
    }
    return std::nullopt;
}

}  // namespace pgaf::supervisor
