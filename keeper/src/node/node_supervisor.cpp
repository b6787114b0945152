#include "node/node_supervisor.hpp"

namespace pgaf::node {

NodeSupervisor::NodeSupervisor(const SupervisorOptions &options)
    : Supervisor(options),
      files_(options.config, options.paths, options.install),
      baton_(options.paths.baton),
      link_(LoopHandle(), MonitorConninfo(options.config), options.config.name,
            {.on_reply = [this](const core::Reply &reply,
                                int tag) { Feed([&] { machine_.OnReply(reply, tag); }); },
             .on_notify = [this] { Feed([this] { machine_.OnNotify(); }); },
             .on_problem =
                 [this](const Problem &problem) { Feed([&] { machine_.OnLinkProblem(problem); }); },
             .on_resolved =
                 [this](const std::string &hostaddr) {
                     Feed([&] { machine_.OnResolved(hostaddr); });
                 }}),
      steps_(LoopHandle(), files_, Ports().log,
             {.on_done =
                  [this](supervisor::StepOutcome outcome) {
                      Feed([&] { machine_.OnStepDone(std::move(outcome)); });
                  },
              .on_stream_checked =
                  [this](const Result<core::Following> &verdict) {
                      Feed([&] { machine_.OnStreamChecked(verdict); });
                  }}),
      machine_({.clock = Ports().clock,
                .server = Ports().server,
                .process = Ports().process,
                .log = Ports().log,
                .files = files_,
                .baton = baton_,
                .link = link_,
                .steps = steps_},
               {.settings = files_.Settings(),
                .pg_version = options.install.version,
                .is_init_only = options.is_init_only}),
      addresses_(LoopHandle(), {.monitor = [this] { return files_.CurrentConfig().monitor; },
                                .used = [this] { return files_.MonitorAddress(); },
                                .on_changed =
                                    [this](const std::string &hostaddr) {
                                        Ports().log.Info("The monitor has moved to " + hostaddr);
                                        Feed([&] { machine_.OnResolved(hostaddr); });
                                    }}) {}

}  // namespace pgaf::node
