#include "node/node_steps.hpp"

#include "io/files.hpp"
#include "node/steps/effects.hpp"
#include "node/steps/upstream.hpp"
#include "pgaf/core/pg_files.hpp"

namespace pgaf::node {
namespace {

/// Asks the node that the server itself tries to follow.
Result<core::Following> Check(const std::string &standby_file, const std::string &dbname,
                              const core::WalPosition &position) {
    auto text = io::ReadFile(standby_file);
    if (!text) return Pass(text);
    const std::string conninfo = core::SettingOf(*text, "primary_conninfo");
    if (conninfo.empty()) return core::Following::kPossible;
    auto upstream = Upstream::Connect(conninfo, dbname);
    if (!upstream) return Pass(upstream);
    auto wal = upstream->ListWal();
    if (!wal) return Pass(wal);
    return core::JudgeFollowing(position, *wal);
}

}  // namespace

NodeSteps::NodeSteps(uv_loop_t *loop, const NodeFiles &files, supervisor::Log &log, Events events)
    : loop_(loop), files_(files), log_(log), events_(std::move(events)) {}

void NodeSteps::Begin(core::Step step, const supervisor::StepInput &input) {
    cancel_ = std::make_unique<io::Cancel>();
    struct Shared {
        StepContext context;
        supervisor::StepOutcome outcome{};
        std::shared_ptr<SharedProgress> progress{};
    };
    progress_ = std::make_shared<SharedProgress>();
    auto shared = std::make_shared<Shared>(Shared{.context = {.config = files_.CurrentConfig(),
                                                              .paths = files_.AllPaths(),
                                                              .install = files_.Install(),
                                                              .keeper = files_.Keeper(),
                                                              .input = input,
                                                              .cancel = cancel_.get(),
                                                              .progress = progress_.get()},
                                                  .progress = progress_});
    io::RunInThread(
        loop_,
        [shared, step, &log = log_] {
            RealStepEffects effects(shared->context);
            shared->outcome = supervisor::CarryOut(step, effects, log, shared->context.input);
        },
        [this, shared, alive = std::weak_ptr(alive_)] {
            if (alive.expired()) return;
            cancel_.reset();
            events_.on_done(std::move(shared->outcome));
        });
}

core::CopyProgress NodeSteps::Progress() const {
    return {progress_->done.load(), progress_->total.load(), progress_->per_second.load()};
}

void NodeSteps::Cancel() {
    if (cancel_) cancel_->Request();
}

void NodeSteps::BeginStreamCheck(const core::WalPosition &position) {
    struct Shared {
        std::string file;
        std::string dbname;
        core::WalPosition position;
        Result<core::Following> verdict = core::Following::kPossible;
    };
    auto shared = std::make_shared<Shared>(
        Shared{.file = files_.AllPaths().pgdata + "/" + std::string(core::kStandbyFile),
               .dbname = files_.CurrentConfig().dbname,
               .position = position});
    io::RunInThread(
        loop_,
        [shared] { shared->verdict = Check(shared->file, shared->dbname, shared->position); },
        [this, shared, alive = std::weak_ptr(alive_)] {
            if (!alive.expired()) events_.on_stream_checked(shared->verdict);
        });
}

}  // namespace pgaf::node
