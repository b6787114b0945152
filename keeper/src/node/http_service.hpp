#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "http/cluster_source.hpp"
#include "http/listener.hpp"
#include "http/status_source.hpp"
#include "node/config.hpp"

namespace pgaf::node {

/// The HTTP port of this node or monitor, as the configuration wants it: off unless asked for.
class HttpService {
 public:
    HttpService(const Config &config, Paths paths);
    HttpService(const HttpService &) = delete;
    HttpService &operator=(const HttpService &) = delete;
    ~HttpService();
    /// Listens, moves, or stops, and reads the certificate again.
    void Apply(const Config &config);
    /// In every turn of the supervisor's loop.
    void OnTurn(core::BootTime now, bool is_stopping);

 private:
    struct Running;
    Paths paths_;
    std::atomic<std::int64_t> loop_beat_ns_ = 0;
    std::atomic<bool> is_stopping_ = false;
    std::unique_ptr<Running> running_;  ///< its thread reads the others
};

/// When the first certificate in a PEM text expires, in Unix seconds; 0: there is none.
std::int64_t ExpiryOf(const std::string &certificate);

}  // namespace pgaf::node
