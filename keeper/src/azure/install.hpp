#pragma once

#include <string>
#include <vector>

#include "io/common.hpp"

/// What is installed in the machines, and how: shell scripts as values.
namespace pgaf::azure {

/// PostgreSQL of Debian 12, which is the default image. Others need --apt-source.
inline constexpr int kDefaultMajor = 15;

struct Install {
    int pg_major = kDefaultMajor;
    /// apt's names of packages, "name" or "name=version"; empty: DefaultPackage().
    std::vector<std::string> packages{};
    std::string apt_source{};   ///< a line for sources.list.d, before the packages are installed
    std::string source_file{};  ///< our sources as a tarball on this machine; built in the machines
    std::string deb_file{};     ///< a package of ours on this machine
};

std::string DefaultPackage(int pg_major);
std::string PgBinDirectory(int pg_major);

/// Who owns PostgreSQL in the machines: the user of Debian's package, who may not use sudo.
inline constexpr const char *kServiceUser = "postgres";

/// The line that says that a machine is ready.
inline constexpr const char *kProvisioned = "PROVISIONED-OK";

/// For `az vm run-command --scripts`, run by root: a machine for PostgreSQL and pg_autoctl, as far
/// as packages of a repository bring it there.
std::vector<std::string> ServerLines(const Install &install);
/// The same for a machine that only has clients.
std::vector<std::string> ClientLines(const Install &install);

/// Where a file of ours is put in the home directory of a machine; empty when none is sent.
std::string SentAs(const Install &install);
/// Builds and installs the file that was sent, as the admin user; nothing when it is the one that
/// is installed already.
std::string InstallSentScript(const Install &install);

/// Refuses what cannot be installed before anything is made.
Result<void> CheckInstall(const Install &install);

}  // namespace pgaf::azure
