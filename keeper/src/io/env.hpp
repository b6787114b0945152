#pragma once

#include <optional>
#include <string>

#include "io/common.hpp"

/// The process environment, the user and the clocks: the only place that asks for them.
namespace pgaf::io {

/// None when the variable is unset or empty.
std::optional<std::string> Env(const char *name);
std::string EnvOr(const char *name, std::string_view otherwise);

/// Variables of ours that hold passwords, or connection strings with one.
bool IsSecretVariable(std::string_view name);
/// Overwrites them, for /proc and for children, once they have been read.
void ForgetSecretVariables();

/// This process knows passwords: no core file shows them, and nobody but root may look into its
/// memory. PG_AUTOCTL_CORE_FILES=1 allows both, to find the cause of a crash. Programs that it
/// starts are as they would be without.
void HideMemory();

/// Where an administrator says who owns PostgreSQL on this machine: see cli/service_user.hpp.
inline constexpr const char *kServiceUserFile = "/etc/pg_autoctl.user";

std::string OsUser();
std::string HomeDirectory();
std::string LocalHostname();
/// Path of the running program.
std::string ProgramPath();
core::BootTime BootNow();

}  // namespace pgaf::io
