#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "http/cluster_source.hpp"
#include "http/endpoint.hpp"
#include "io/files.hpp"
#include "view/answer.hpp"

namespace pgaf::http {

struct ListenerOptions {
    Endpoint endpoint;
    std::string certificate;  ///< PEM; empty: without TLS
    std::string key;
    friend bool operator==(const ListenerOptions &, const ListenerOptions &) = default;
};

/// Answers over HTTP in a thread of its own, which waits for nothing but the network. An address
/// that is in use is tried again until it is free.
class Listener {
 public:
    /// `look` is called in the thread, for each request.
    Listener(ListenerOptions options, std::function<void(view::LocalView &)> look,
             ClusterSource &cluster);
    Listener(const Listener &) = delete;
    Listener &operator=(const Listener &) = delete;
    ~Listener();

 private:
    class Server;
    std::unique_ptr<Server> server_;
    std::thread thread_;
};

}  // namespace pgaf::http
