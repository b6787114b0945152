#pragma once

#include <map>
#include <mutex>
#include <string>

#include "azure/executor.hpp"
#include "azure/progress.hpp"
#include "io/process.hpp"

namespace pgaf::azure {

/// The port for real: az and ssh as processes, their command lines in the log, progress on a
/// terminal as a block of lines that are renewed in place.
class LocalPort final : public Port {
 public:
    /// `programs`: paths of "az" and "ssh".
    explicit LocalPort(std::map<std::string, std::string> programs);
    ~LocalPort() override;

    Result<io::Outcome> Run(io::Command command) override;
    Result<std::string> ReadLocalFile(const std::string &path) override;
    Result<void> WriteLocalFile(const std::string &path, const std::string &text) override;
    void Pause(Milliseconds time) override;
    [[nodiscard]] bool IsStopped() const override { return cancel_.IsRequested(); }
    [[nodiscard]] core::BootTime Now() const override;
    void Report(const Event &event) override;
    void Tick() override;

 private:
    void Say(const std::string &text);
    void Erase();
    void Draw();

    std::map<std::string, std::string> programs_;
    io::Cancel cancel_;
    std::mutex mutex_;
    Progress progress_;
    bool is_terminal_;
    std::size_t drawn_ = 0;
    core::BootTime last_summary_{};
};

/// The path of a program in PATH, or `name` itself when it is a path; kNotFound with `hint`.
Result<std::string> FindProgram(const std::string &name, const std::string &hint);

}  // namespace pgaf::azure
