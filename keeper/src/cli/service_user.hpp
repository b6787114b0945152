#pragma once

#include <optional>
#include <string>
#include <vector>

#include "io/common.hpp"

/// A machine where PostgreSQL belongs to a user of its own, who may not use sudo, while people work
/// as administrators: /etc/pg_autoctl.user names that user, and every command acts as him.
namespace pgaf::cli {

/// Homes of whoever types, and of the user who owns PostgreSQL.
struct Homes {
    std::string here;    ///< the current directory
    std::string own;     ///< of whoever types
    std::string theirs;  ///< of the service's user
};

/// Where a data directory is: what is below the home of whoever types, is below that of the
/// service's user, so that "--pgdata ha" and "--pgdata ~/ha" need no other words.
std::string PathOfService(const Homes &homes, const std::string &path);
/// The words with that path after --pgdata and -D.
std::vector<std::string> WordsOfService(const Homes &homes, std::vector<std::string> words);
/// Commands that act for whoever types: "do azure" has his keys and his login.
bool IsOfOwnUser(const std::vector<std::string> &words);

/// Makes `words` those that are to be carried out by this process; or has them carried out by
/// another one, and returns its exit status.
Result<std::optional<int>> BecomeServiceUser(std::vector<std::string> &words);

}  // namespace pgaf::cli
