#pragma once

#include <sys/types.h>

#include <string>

#include "io/files.hpp"
#include "view/local_view.hpp"

namespace pgaf::http {

/// The page that the worker writes, and the postmaster's process. Reads memory of the kernel only:
/// no disk, no SQL, no lock that anybody else holds. For one thread.
class StatusSource {
 public:
    explicit StatusSource(std::string heartbeat) : path_(std::move(heartbeat)) {}
    /// Fills in `status` and `server`.
    void Read(view::LocalView &local);

 private:
    bool Open();
    std::optional<core::NodeStatus> ReadPage();
    view::ServerProcess LookAt(const core::NodeStatus &status);

    std::string path_;
    io::UniqueFd page_;
    io::UniqueFd
        process_;  ///< /proc/pid/stat: of that very process, also when its number is reused
    pid_t pid_ = 0;
    std::uint64_t start_ = 0;
};

/// "123 (postgres) S 1 ...": state and start time; see proc(5). Pure.
struct ProcessLine {
    char state = '?';
    std::uint64_t start = 0;
};
ProcessLine ParseProcessLine(std::string_view text);

}  // namespace pgaf::http
