#pragma once

#include <string>
#include <vector>

#include "cli/session.hpp"

/// Commands about PostgreSQL of the nodes: its settings, its restarts.
namespace pgaf::cli {

struct PostgresOptions {
    std::vector<std::string> words{};  ///< NAME, or NAME=VALUE
    std::string node{};                ///< empty: every node
    int wait_s = 60;
};

void AddSetPostgres(CLI::App &set, Session &session);
void AddGetPostgres(CLI::App &get, Session &session);
void AddReset(CLI::App &app, Session &session);
void AddShowPostgres(CLI::App &show, Session &session);
void AddRestart(CLI::App &app, Session &session);

}  // namespace pgaf::cli
