#pragma once

#include <functional>
#include <memory>

#include "io/loop.hpp"
#include "node/node_files.hpp"
#include "node/steps/steps.hpp"

namespace pgaf::node {

/// Runs the long steps of a node in a thread of their own.
class NodeSteps final : public supervisor::Steps {
 public:
    struct Events {
        std::function<void(supervisor::StepOutcome outcome)> on_done;
        std::function<void(const Result<core::Following> &verdict)> on_stream_checked;
    };
    NodeSteps(uv_loop_t *loop, const NodeFiles &files, supervisor::Log &log, Events events);

    void Begin(core::Step step, const supervisor::StepInput &input) override;
    void Cancel() override;
    [[nodiscard]] core::CopyProgress Progress() const override;
    void BeginStreamCheck(const core::WalPosition &position) override;

 private:
    uv_loop_t *loop_;
    const NodeFiles &files_;
    supervisor::Log &log_;
    Events events_;
    std::unique_ptr<io::Cancel> cancel_;  ///< while a step runs
    std::shared_ptr<SharedProgress> progress_ = std::make_shared<SharedProgress>();
    /// A thread may end when the program is ending, and nobody is left to be told.
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace pgaf::node
