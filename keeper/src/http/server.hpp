#pragma once

#include <microhttpd.h>

#include <atomic>
#include <list>
#include <string>
#include <vector>

#include "http/listener.hpp"

namespace pgaf::http {

/// One TCP connection.
struct Connection {
    int fd = -1;
    core::BootTime since;  ///< it began, or its last answer was given
    bool is_waiting = false;
    bool is_shut = false;
};

/// One request on it.
struct Exchange {
    std::string uri;
    bool is_begun = false;
    bool has_waited = false;
};

/// libmicrohttpd, driven by our own loop, so that one thread does everything and every wait has an
/// end.
class Listener::Server {
 public:
    Server(ListenerOptions options, std::function<void(view::LocalView &)> look,
           ClusterSource &cluster);
    Server(const Server &) = delete;
    Server &operator=(const Server &) = delete;
    ~Server();
    void Run();
    /// From another thread.
    void Stop();

 private:
    struct Waiting {
        MHD_Connection *connection;
        Connection *entry;  ///< null: not known
        core::BootTime until;
    };

    bool Start();
    void Turn();
    void Pause(core::Milliseconds time);
    [[nodiscard]] int TimeLeft() const;
    void ResumeWaiting(bool all);
    void CloseSlow();
    MHD_Result Handle(MHD_Connection *connection, const char *method, Exchange &exchange,
                      std::size_t &upload);
    bool BeginFetch();
    MHD_Result Wait(MHD_Connection *connection, Exchange &exchange);
    static MHD_Result Queue(MHD_Connection *connection, const view::Answer &answer,
                            view::Method method);

    static MHD_Result OnRequest(void *self, MHD_Connection *connection, const char *url,
                                const char *method, const char *version, const char *upload,
                                std::size_t *upload_size, void **exchange);
    static void *OnUri(void *self, const char *uri, MHD_Connection *connection);
    static void OnCompleted(void *self, MHD_Connection *connection, void **exchange,
                            MHD_RequestTerminationCode code);
    static void OnConnection(void *self, MHD_Connection *connection, void **context,
                             MHD_ConnectionNotificationCode code);

    ListenerOptions options_;
    std::function<void(view::LocalView &)> look_;
    ClusterSource &cluster_;
    io::UniqueFd event_;  ///< a view has come, or the end
    std::atomic<bool> is_stopping_ = false;
    std::atomic<bool> has_news_ = false;
    MHD_Daemon *daemon_ = nullptr;
    std::list<Connection> connections_;
    std::vector<Waiting> waiting_;
    core::BootTime swept_at_;
    bool has_complained_ = false;
};

}  // namespace pgaf::http
