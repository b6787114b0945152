#include "fuzz.hpp"
#include "http/endpoint.hpp"
#include "view/cluster_view.hpp"
#include "view/local_view.hpp"
#include "view/request.hpp"

using namespace pgaf;

// What strangers ask, what an operator sets, and what the monitor answers.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    const std::string_view text = fuzz::Text(data, size);
    if (const auto request = view::ParseRequest(view::Method::kGet, text)) {
        fuzz::Demand(!request->path.empty() && request->path.front() == '/');
        for (const auto &[name, value] : request->query) {
            fuzz::Demand(name.find_first_of("\r\n") == name.npos);
            fuzz::Demand(value.find_first_of("\r\n") == value.npos);
            (void)view::ParseBytes(value);
        }
    }
    if (const auto endpoint = http::ParseEndpoint(std::string(text)))
        fuzz::Demand(endpoint->port > 0 && endpoint->port < 65536 && !endpoint->address.empty());
    if (const auto cluster = view::ParseClusterView(text)) {
        for (const view::NodeRow &node : cluster->nodes) {
            (void)view::SyncRoleOf(*cluster, node);
            (void)view::ReceiveLag(*cluster, node);
        }
    }
    return 0;
}
