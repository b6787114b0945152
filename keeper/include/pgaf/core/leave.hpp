#pragma once

#include <string>
#include <string_view>

/// What a node's files become when it leaves: those of an ordinary PostgreSQL. Pure.
namespace pgaf::core {

/// postgresql.conf without our include lines. What a server can hardly do without (its port, its
/// addresses, its certificates, as `our_settings` have them) is written out in their place.
std::string LeaveConfiguration(std::string_view postgresql_conf, std::string_view our_settings);
/// Undoes the second part, for a node that comes again.
std::string WithoutKeptSettings(std::string_view postgresql_conf);

}  // namespace pgaf::core
