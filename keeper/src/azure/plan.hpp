#pragma once

#include <string>
#include <vector>

#include "azure/existing.hpp"
#include "azure/install.hpp"
#include "azure/topology.hpp"
#include "io/common.hpp"

/// Wanted topology and what exists in, ordered steps out. Pure.
namespace pgaf::azure {

/// What a failure of a step may be, that goes away by itself.
enum class Patience {
    kAzure,  ///< Azure is busy with something else, or asks for fewer requests
    kSsh,    ///< a new machine does not let anybody in yet
};

/// One program to run. Words of `argv` may hold markers for what is known only at run time; see
/// markers.hpp.
struct Step {
    std::string doing;     ///< "creating the machine"
    std::string resource;  ///< "ha-demo-paris-a"
    std::vector<std::string> argv{};
    std::string input{};                 ///< a script for the remote shell
    std::vector<std::string> secrets{};  ///< variables that are exported before `input`
    std::string input_file{};            ///< a local file, sent instead of `input`
    /// A line that the output must have: `az vm run-command` ends with 0 even if its script failed.
    std::string marker{};
    /// The output also has the keys by which ssh knows `resource` from now on.
    bool tells_host_keys = false;
    /// Repeated until the monitor reports these nodes, one primary, and none on its way.
    std::vector<std::string> until_stable{};
    Patience patience = Patience::kAzure;
    Milliseconds deadline{300'000};
};

/// Steps that follow each other.
struct Lane {
    std::string machine;
    std::vector<Step> steps{};
};

enum class OnFailure {
    kStop,
    kOthersGoOn,  ///< a machine that failed is left out of what follows; the others are finished
};

/// Lanes run at the same time.
struct Stage {
    std::string title;
    OnFailure on_failure = OnFailure::kStop;
    std::vector<Lane> lanes{};
};

struct Plan {
    std::vector<Stage> stages{};
};

/// Group, network, rule for `region.allow_from`, subnet, the machines `names`, and what is
/// installed in them. Made is what does not exist; the rule and the installation are repeated.
Plan PlanRegion(const Region &region, const std::vector<std::string> &names, const Install &install,
                const Existing &existing);

enum class Auth {
    kScram,
    kTrust,
};

struct NodesWanted {
    std::vector<std::string> names{};  ///< monitor, a, b, ..., app: what to create
    /// All nodes of the region, with those that exist: the hosts that the application knows.
    std::vector<std::string> all_nodes{};
    Auth auth = Auth::kScram;
    int pg_major = kDefaultMajor;
};

/// pg_autoctl create and the service on each machine; ends when the group is stable.
Plan PlanNodes(const Region &region, const NodesWanted &wanted);

/// az with what every call has: JSON or nothing on stdout, only errors on stderr.
std::vector<std::string> AzQuiet(std::vector<std::string> words);
std::vector<std::string> AzJson(std::vector<std::string> words);

/// ssh to a machine, as a program and its arguments, without the command.
std::vector<std::string> SshTo(const Region &region, const std::string &name);
/// The same for a person at a terminal, who may be asked for a passphrase.
std::vector<std::string> SshInteractive(const Region &region, const std::string &name);
std::vector<std::string> ShowStateArgv(const Region &region, bool json);

}  // namespace pgaf::azure
