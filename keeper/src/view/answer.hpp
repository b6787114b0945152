#pragma once

#include <optional>
#include <string>

#include "view/cluster_view.hpp"
#include "view/local_view.hpp"
#include "view/request.hpp"

/// What is said to a request: status codes as Patroni's REST API documents them, so that checks of
/// load balancers work unchanged. Pure.
///
/// Source: the section "Patroni REST API" of Patroni's documentation.
namespace pgaf::view {

struct Answer {
    int code = 200;
    std::string type = "application/json";
    std::string body;
};

/// How many of the last events a view for HTTP has.
inline constexpr int kEventsInView = 50;

/// It can be answered only with the monitor's view.
bool NeedsCluster(const Request &request, const Identity &identity);
/// `cluster`: null when the monitor is out of reach, or the request does not need it.
Answer AnswerTo(const Request &request, const LocalView &local, const ClusterView *cluster);
/// For what is refused before anybody has looked at it.
Answer Refusal(int code, std::string_view why);

/// `/cluster` and `/history`.
std::string ClusterJson(const ClusterView &view, const Identity &identity);
std::string HistoryJson(const ClusterView &view, const Identity &identity);

}  // namespace pgaf::view
