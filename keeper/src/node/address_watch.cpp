#include "node/address_watch.hpp"

#include <algorithm>

#include "io/network.hpp"
#include "io/pg_client.hpp"

namespace pgaf::node {
namespace {

constexpr Milliseconds kPeriod{5000};

/// The name to look up; empty when there is none: a socket, several hosts, or a fixed address.
std::string NameIn(const std::string &conninfo) {
    auto options = io::ParseConninfo(conninfo);
    if (!options || !io::OptionOf(*options, "hostaddr").empty()) return {};
    std::string host = io::OptionOf(*options, "host");
    const bool is_settled =
        host.empty() || host.front() == '/' || host.find(',') != std::string::npos;
    return is_settled ? std::string() : host;
}

}  // namespace

AddressWatch::AddressWatch(uv_loop_t *loop, Events events)
    : loop_(loop), events_(std::move(events)), timer_(loop, [this] { Look(); }) {
    timer_.Every(kPeriod);
}

void AddressWatch::Look() {
    const std::string host = NameIn(events_.monitor());
    if (host.empty() || host == events_.used() || is_looking_) return;
    is_looking_ = true;
    auto found = std::make_shared<std::vector<std::string>>();
    io::RunInThread(
        loop_, [host, found] { *found = io::ResolveAll(host); },
        [this, found, alive = std::weak_ptr(alive_)] {
            if (!alive.expired()) Take(*found);
        });
}

void AddressWatch::Take(const std::vector<std::string> &addresses) {
    is_looking_ = false;
    if (addresses.empty()) return;
    const bool is_used =
        std::find(addresses.begin(), addresses.end(), events_.used()) != addresses.end();
    if (!is_used) events_.on_changed(addresses.front());
}

}  // namespace pgaf::node
