#pragma once

#include <map>
#include <string>

#include "azure/topology.hpp"
#include "io/common.hpp"
#include "io/files.hpp"

/// What is kept of a region on this machine: its passwords and the host keys of its machines.
namespace pgaf::azure {

/// ${XDG_DATA_HOME:-~/.local/share}/pg_autoctl/azure/<group>
std::string RegionDirectory(const Region &region);
std::string SecretsFile(const Region &region);
std::string KnownHostsFile(const Region &region);

/// Held while a region is changed: two commands at once would undo each other's work.
Result<io::FileLock> LockRegion(const Region &region);

using Secrets = std::map<std::string, std::string>;
/// Lines of "export NAME='value'", which a shell can read as well.
std::string SecretsText(const Secrets &secrets);
Secrets ParseSecrets(std::string_view text);

/// The passwords of the region. Missing ones are made and kept, mode 0600: a command that is run
/// again needs the same.
Result<Secrets> LoadOrMakeSecrets(const Region &region);
/// Forgets the host key of a machine that will be made anew.
Result<void> ForgetHostKey(const Region &region, const std::string &machine);

/// A password: 192 bits of getrandom(), as hexadecimal digits.
Result<std::string> MakePassword();

/// Makes the ssh key when it is missing, before several `az vm create` would each make one.
Result<void> EnsureSshKey(const Region &region);

}  // namespace pgaf::azure
