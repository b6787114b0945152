#pragma once

#include <string>
#include <vector>

#include "azure/plan.hpp"

namespace pgaf::azure {

/// The region of the tutorial.
inline Region Paris(int nodes = 2, bool monitor = true, bool app = false) {
    return {.prefix = "ha-demo",
            .region = "paris",
            .location = "francecentral",
            .image = "Debian:debian-12:12:latest",
            .size = "Standard_DS1_v2",
            .monitor = monitor,
            .app = app,
            .nodes = nodes,
            .allow_from = {"203.0.113.7/32"},
            .public_key = "/home/me/.ssh/id_rsa.pub",
            .private_key = "/home/me/.ssh/id_rsa",
            .known_hosts = "/home/me/.local/share/pg_autoctl/azure/ha-demo-paris/known_hosts"};
}

inline NodesWanted Wanted(const Region &region, Auth auth = Auth::kScram) {
    NodesWanted wanted{.names = ShortNames(region), .auth = auth};
    for (const std::string &name : wanted.names) {
        if (IsNodeName(name)) wanted.all_nodes.push_back(name);
    }
    return wanted;
}

}  // namespace pgaf::azure
