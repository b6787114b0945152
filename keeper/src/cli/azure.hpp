#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "azure/executor.hpp"
#include "azure/local_port.hpp"
#include "azure/plan.hpp"
#include "cli/session.hpp"

/// What the commands below `do azure` share.
namespace pgaf::cli {

/// The shell's word for "ended by Ctrl-C".
inline constexpr int kInterrupted = 130;

struct AzureOptions {
    azure::Region region{};
    azure::Install install{};
    std::vector<std::string> packages{};
    std::string ssh_key{};
    std::string az = "az";
    std::string auth = "scram-sha-256";
    std::string name{};  ///< of a machine
    std::vector<std::string> command{};
    bool monitor = true;
    std::optional<bool> app{};
    int nodes = 2;
    int timeout_s = 0;
    bool is_dry_run = false;
    bool is_script = false;
    bool is_yes = false;
    bool is_watch = false;
};

/// The options, checked, with paths and names made whole. Reads nothing from Azure.
struct AzureRequest {
    azure::Region region;
    azure::Install install;
    std::vector<std::string> names;  ///< of the machines that are wanted
};
Result<AzureRequest> PrepareAzure(const AzureOptions &options);

/// az and ssh, found and ready to be run.
class AzureLink {
 public:
    static Result<std::unique_ptr<AzureLink>> Open(const AzureOptions &options,
                                                   const azure::Region &region);
    AzureLink(std::map<std::string, std::string> programs, const azure::Region &region)
        : programs_(std::move(programs)),
          region_(region),
          port_(std::make_unique<azure::LocalPort>(programs_)) {}

    azure::LocalPort &Port() { return *port_; }
    /// az, and its output; a failure explained.
    Result<std::string> Ask(std::string_view doing, const std::vector<std::string> &argv,
                            Milliseconds limit);
    /// What there is of the region. Only the group's name is needed.
    Result<azure::Existing> Look();
    /// After a stop: the next calls are for saying what was left.
    void Reopen();
    [[nodiscard]] const std::string &SshProgram() const { return programs_.at("ssh"); }

 private:
    Result<io::Outcome> Run(const std::vector<std::string> &argv, Milliseconds limit);

    std::map<std::string, std::string> programs_;
    azure::Region region_;
    std::unique_ptr<azure::LocalPort> port_;
};

azure::ExecutorOptions ExecutorOptionsFor(const AzureOptions &options);
/// Explains what went wrong, and after a stop says what there is. Returns the exit status.
int FinishAzure(AzureLink &link, const azure::Region &region, const std::vector<Problem> &problems);
Problem NoRegion(const azure::Region &region);

int AzureCreateRegion(const AzureOptions &options);
int AzureCreateNodes(const AzureOptions &options);
int AzureDeploy(const AzureOptions &options);
int AzureTutorial(const AzureOptions &options);
int AzureList(const AzureOptions &options, const Session &session);
int AzureShowIps(const AzureOptions &options, const Session &session);
int AzureShowState(const AzureOptions &options, const Session &session);
int AzureSsh(const AzureOptions &options);
int AzureDrop(const AzureOptions &options);

}  // namespace pgaf::cli
