#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "io/common.hpp"
#include "view/answer.hpp"

namespace pgaf::http {

/// The monitor's view, fetched in a thread of its own: names, connections and queries may take as
/// long as they like. A view that is young enough serves everybody who asks.
class ClusterSource {
 public:
    struct Options {
        /// How to connect; called in the thread.
        std::function<core::Result<std::string>()> conninfo;
        std::string formation;  ///< empty: all
    };

    explicit ClusterSource(Options options);
    ClusterSource(const ClusterSource &) = delete;
    ClusterSource &operator=(const ClusterSource &) = delete;
    /// Waits for nobody: a thread that hangs in a query ends with it.
    ~ClusterSource();

    /// A fetch begins unless one runs. `on_done` is called in the thread when it has ended, well or
    /// badly; the last one that was given counts. False: the last one has just ended, and there is
    /// no other so soon, whoever asks how often.
    bool Fetch(std::function<void()> on_done);
    /// From now on nobody is called.
    void Forget();
    /// The last view that is not older than `limit`.
    [[nodiscard]] std::shared_ptr<const view::ClusterView> Latest(core::Milliseconds limit) const;

 private:
    struct Shared;
    static void Work(const std::shared_ptr<Shared> &shared);
    std::shared_ptr<Shared> shared_;
};

}  // namespace pgaf::http
