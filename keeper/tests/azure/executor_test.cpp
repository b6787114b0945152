// Goal: every failure is named, what is transient is tried again within bounds, one machine that
// fails does not stop the others, and a stop stops. Method: a port that answers from a script.
#include "azure/executor.hpp"

#include "azure/host_keys.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "azure/script.hpp"
#include "samples.hpp"

namespace pgaf::azure {
namespace {

using Answer = std::function<Result<io::Outcome>(const io::Command &)>;

io::Outcome Good(std::string out = {}) { return {.status = 0, .out = std::move(out), .err = {}}; }
io::Outcome Bad(int status, std::string err) {
    return {.status = status, .out = {}, .err = std::move(err)};
}

constexpr const char *kProvisionedJson =
    R"({"value": [{"message": "Enable succeeded: \n[stdout]\n)"
    R"(PGAF-HOST-KEY ssh-ed25519 AAAAC3+/=\nPROVISIONED-OK\n\n[stderr]\n"}]})";
constexpr const char *kAddressesJson =
    R"([{"virtualMachine": {"name": "ha-demo-paris-a", "resourceGroup": "ha-demo-paris",
         "network": {"privateIpAddresses": ["10.11.11.5"],
                     "publicIpAddresses": [{"ipAddress": "203.0.113.5"}]}}},
        {"virtualMachine": {"name": "ha-demo-paris-monitor", "resourceGroup": "ha-demo-paris",
         "network": {"privateIpAddresses": ["10.11.11.4"],
                     "publicIpAddresses": [{"ipAddress": "203.0.113.4"}]}}}])";

class FakePort final : public Port {
 public:
    Result<io::Outcome> Run(io::Command command) override {
        const std::lock_guard lock(mutex_);
        const std::string line = CommandLine(command.argv);
        lines.push_back(line);
        inputs.push_back(command.input);
        for (auto &[text, answer] : answers) {
            if (line.find(text) != std::string::npos) return answer(command);
        }
        if (line.find("list-ip-addresses") != std::string::npos) return Good(kAddressesJson);
        if (line.find("run-command") != std::string::npos) return Good(kProvisionedJson);
        return Good();
    }
    Result<std::string> ReadLocalFile(const std::string &path) override { return "file " + path; }
    Result<void> WriteLocalFile(const std::string &path, const std::string &text) override {
        const std::lock_guard lock(mutex_);
        written[path] = text;
        return {};
    }
    void Pause(Milliseconds time) override {
        const std::lock_guard lock(mutex_);
        pauses.push_back(time);
        now_ = now_ + time;
    }
    bool IsStopped() const override { return stopped; }
    core::BootTime Now() const override { return now_; }
    void Report(const Event &event) override {
        const std::lock_guard lock(mutex_);
        events.push_back(event);
    }
    void Tick() override {}

    [[nodiscard]] long CountOf(const std::string &text) const {
        return std::count_if(lines.begin(), lines.end(), [&text](const std::string &line) {
            return line.find(text) != std::string::npos;
        });
    }

    std::vector<std::pair<std::string, Answer>> answers;
    std::vector<std::string> lines, inputs;
    std::map<std::string, std::string> written;
    std::vector<Milliseconds> pauses;
    std::vector<Event> events;
    std::atomic<bool> stopped = false;

 private:
    std::mutex mutex_;
    core::BootTime now_{};
};

Plan RegionPlan() { return PlanRegion(Paris(), ShortNames(Paris()), {}, {}); }

/// Fails `times` times, then goes well.
Answer FailsFirst(int times, io::Outcome failure, io::Outcome then = Good()) {
    auto left = std::make_shared<int>(times);
    return [left, failure, then](const io::Command &) -> Result<io::Outcome> {
        return (*left)-- > 0 ? failure : then;
    };
}

std::vector<Problem> RunPlan(FakePort &port, const Plan &plan, ExecutorOptions options = {}) {
    static const Region region = Paris();
    return Executor(region, port, std::move(options)).Run(plan);
}

TEST(Executor, RunsTheStagesInOrder) {
    FakePort port;
    EXPECT_TRUE(RunPlan(port, RegionPlan()).empty());
    ASSERT_EQ(port.lines.size(), 11U);
    EXPECT_NE(port.lines[0].find("az group create"), std::string::npos);
    EXPECT_NE(port.lines[4].find("az network vnet subnet create"), std::string::npos);
    for (int i = 5; i < 8; ++i)
        EXPECT_NE(port.lines[i].find("az vm create"), std::string::npos);
    for (int i = 8; i < 11; ++i)
        EXPECT_NE(port.lines[i].find("az vm run-command"), std::string::npos);
}

TEST(Executor, TheKeysOfSshComeThroughAzBeforeTheFirstSsh) {
    FakePort port;
    EXPECT_TRUE(RunPlan(port, RegionPlan()).empty());
    EXPECT_EQ(port.written.size(), 3U);
    const std::string file = KnownHostsOf(Paris(), "ha-demo-paris-b");
    EXPECT_EQ(port.written[file], "ha-demo-paris-b ssh-ed25519 AAAAC3+/=\n");
    FakePort mute;
    mute.answers.emplace_back("run-command", [](const io::Command &) {
        return Good(R"({"value": [{"message": "[stdout]\nPROVISIONED-OK\n[stderr]\n"}]})");
    });
    const auto problems = RunPlan(mute, RegionPlan());
    ASSERT_EQ(problems.size(), 3U);
    EXPECT_NE(problems[0].message.find("has not told the keys"), std::string::npos);
    EXPECT_TRUE(mute.written.empty());
}

TEST(Executor, ANetworkThatFailsStopsEverything) {
    FakePort port;
    port.answers.emplace_back("nsg create", [](const io::Command &) {
        return Bad(1, "ERROR: (AuthorizationFailed) The client has no authorization.\n");
    });
    const auto problems = RunPlan(port, RegionPlan());
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_EQ(problems[0].message,
              "creating the network security group \"ha-demo-paris-nsg\": az ended with status 1");
    EXPECT_EQ(problems[0].detail, "ERROR: (AuthorizationFailed) The client has no authorization.");
    EXPECT_NE(problems[0].hint.find("Contributor"), std::string::npos);
    EXPECT_EQ(port.CountOf("vm create"), 0);
}

TEST(Executor, AMachineThatFailsIsNamedAndTheOthersAreFinished) {
    FakePort port;
    port.answers.emplace_back("vm create --resource-group ha-demo-paris --name ha-demo-paris-b",
                              [](const io::Command &) {
                                  return Bad(1,
                                             "ERROR: {\"error\": {\"details\": [{\"code\": "
                                             "\"OperationNotAllowed\", \"message\": \"exceeding "
                                             "approved Total Regional Cores quota\"}]}}");
                              });
    const auto problems = RunPlan(port, RegionPlan());
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_NE(problems[0].message.find("\"ha-demo-paris-b\""), std::string::npos);
    EXPECT_NE(problems[0].hint.find("more cores"), std::string::npos);
    EXPECT_EQ(port.CountOf("vm create"), 3);
    EXPECT_EQ(port.CountOf("run-command"), 2);
}

TEST(Executor, WhatAzureCallsTransientIsTriedAgainWithLongerPauses) {
    FakePort port;
    port.answers.emplace_back(
        "vnet create", FailsFirst(3, Bad(1, "ERROR: (AnotherOperationInProgress) Another one.")));
    EXPECT_TRUE(RunPlan(port, RegionPlan()).empty());
    EXPECT_EQ(port.CountOf("vnet create"), 4);
    EXPECT_EQ(port.pauses, (std::vector<Milliseconds>{Milliseconds{1000}, Milliseconds{2000},
                                                      Milliseconds{4000}}));
}

TEST(Executor, TriesAgainABoundedNumberOfTimes) {
    FakePort port;
    port.answers.emplace_back("vnet create",
                              FailsFirst(100, Bad(1, "ERROR: (TooManyRequests) Slow down.")));
    EXPECT_EQ(RunPlan(port, RegionPlan(), {.attempts_max = 5}).size(), 1U);
    EXPECT_EQ(port.CountOf("vnet create"), 5);
}

TEST(Executor, AQuotaIsNotTriedAgain) {
    FakePort port;
    port.answers.emplace_back("vnet create", FailsFirst(1, Bad(1, "ERROR: (QuotaExceeded) No.")));
    EXPECT_EQ(RunPlan(port, RegionPlan()).size(), 1U);
    EXPECT_EQ(port.CountOf("vnet create"), 1);
}

TEST(Executor, AScriptThatFailedInTheMachineIsAFailureAlthoughAzEndsWithZero) {
    FakePort port;
    port.answers.emplace_back(
        "invoke --output json --only-show-errors --resource-group "
        "ha-demo-paris --name ha-demo-paris-a",
        [](const io::Command &) {
            return Good(R"({"value": [{"message": "Enable failed: failed to )"
                        R"(execute command\n[stdout]\necho PROVISIONED-OK no)"
                        R"(\n[stderr]\nE: Unable to locate package"}]})");
        });
    const auto problems = RunPlan(port, RegionPlan());
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_NE(problems[0].message.find("ha-demo-paris-a"), std::string::npos);
    EXPECT_NE(problems[0].detail.find("Unable to locate package"), std::string::npos);
}

TEST(Executor, AnAnswerOfRunCommandWithoutATextIsAFailure) {
    FakePort port;
    port.answers.emplace_back("run-command", [](const io::Command &) { return Good("{}"); });
    EXPECT_EQ(RunPlan(port, RegionPlan()).size(), 3U);
}

TEST(Executor, ARunningScriptIsWaitedFor) {
    FakePort port;
    port.answers.emplace_back(
        "run-command",
        FailsFirst(2, Bad(1, "ERROR: (Conflict) Run command extension execution is in progress."),
                   Good(kProvisionedJson)));
    EXPECT_TRUE(RunPlan(port, RegionPlan()).empty());
}

TEST(Executor, FillsAddressesAndSendsSecretsOnlyOnStdin) {
    FakePort port;
    Plan plan = PlanNodes(Paris(1), Wanted(Paris(1)));
    plan.stages.pop_back();  // the waiting
    EXPECT_TRUE(RunPlan(port, plan,
                        {.secrets = {{"PG_AUTOCTL_NODE_PASSWORD", "one"},
                                     {"PG_AUTOCTL_REPLICATION_PASSWORD", "two"}}})
                    .empty());
    EXPECT_EQ(port.CountOf("list-ip-addresses"), 1);
    ASSERT_EQ(port.lines.size(), 3U);
    EXPECT_NE(port.lines[2].find("203.0.113.5 -- sh -s 10.11.11.5 10.11.11.4 paris-a"),
              std::string::npos);
    EXPECT_TRUE(port.inputs[1].starts_with("export PG_AUTOCTL_NODE_PASSWORD=one\nset -eu"));
    EXPECT_EQ(port.inputs[1].find("two"), std::string::npos);
    EXPECT_NE(port.inputs[2].find("PG_AUTOCTL_REPLICATION_PASSWORD=two"), std::string::npos);
    EXPECT_EQ(port.CountOf("two"), 0);
}

TEST(Executor, AMachineWithoutAnAddressIsAClearFailure) {
    FakePort port;
    port.answers.emplace_back("list-ip-addresses", [](const io::Command &) {
        return Good(R"([{"virtualMachine": {"name": "ha-demo-paris-monitor", "network": {
            "publicIpAddresses": [{"ipAddress": null}]}}}])");
    });
    const auto problems = RunPlan(port, PlanNodes(Paris(), Wanted(Paris())),
                                  {.secrets = {{"PG_AUTOCTL_NODE_PASSWORD", "one"}}});
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_NE(problems[0].message.find("has no public address"), std::string::npos);
    EXPECT_NE(problems[0].hint.find("az vm start"), std::string::npos);
}

TEST(Executor, SshThatIsRefusedIsTriedAgainButACommandThatFailsIsNot) {
    FakePort port;
    const Plan plan = PlanNodes(Paris(1, true), Wanted(Paris(1, true), Auth::kTrust));
    port.answers.emplace_back("sh -s", FailsFirst(2, Bad(255, "ssh: Connection refused")));
    port.answers.emplace_back("show state", [](const io::Command &) {
        return Good(R"([{"nodename": "paris-a", "current_group_state": "single",
                         "assigned_group_state": "single"}])");
    });
    EXPECT_TRUE(RunPlan(port, plan).empty());
    EXPECT_EQ(port.CountOf("sh -s"), 4);
    FakePort other;
    other.answers.emplace_back("sh -s", FailsFirst(9, Bad(3, "ERROR port 5432 is in use")));
    const auto problems = RunPlan(other, plan);
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_EQ(other.CountOf("sh -s"), 1);
    EXPECT_EQ(problems[0].detail, "ERROR port 5432 is in use");
}

TEST(Executor, WaitsForTheGroupAndNoLongerThanTheLimit) {
    FakePort port;
    Plan plan = PlanNodes(Paris(1), Wanted(Paris(1), Auth::kTrust));
    const std::string waiting = R"([{"nodename": "paris-a", "current_group_state": "init",
                                     "assigned_group_state": "single"}])";
    port.answers.emplace_back("show state",
                              [waiting](const io::Command &) { return Good(waiting); });
    const auto problems = RunPlan(port, plan, {.deadline = Milliseconds{10'000}});
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_EQ(problems[0].code, ProblemCode::kTimeout);
    EXPECT_NE(problems[0].detail.find("paris-a: init -> single"), std::string::npos);
    EXPECT_EQ(port.CountOf("show state"), 11);
}

TEST(Executor, AGroupWithoutANodeThatFailedIsNotWaitedForButTheApplicationIsServed) {
    FakePort port;
    const Region region = Paris(2, true, true);
    port.answers.emplace_back("list-ip-addresses", [](const io::Command &) {
        std::string json;
        for (const char *name : {"monitor", "a", "b", "app"}) {
            json += fmt::format(R"({}{{"virtualMachine": {{"name": "ha-demo-paris-{}", "network": {{
                "privateIpAddresses": ["10.0.0.1"],
                "publicIpAddresses": [{{"ipAddress": "203.0.113.1"}}]}}}}}})",
                                json.empty() ? "[" : ",", name);
        }
        return Good(json + "]");
    });
    port.answers.emplace_back("paris-b -o ConnectTimeout", FailsFirst(9, Bad(1, "no space left")));
    const auto problems = RunPlan(port, PlanNodes(region, Wanted(region)),
                                  {.secrets = {{"PG_AUTOCTL_NODE_PASSWORD", "1"},
                                               {"PG_AUTOCTL_REPLICATION_PASSWORD", "2"},
                                               {"PG_AUTOCTL_APP_PASSWORD", "3"}}});
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_NE(problems[0].message.find("\"ha-demo-paris-b\""), std::string::npos);
    EXPECT_EQ(port.CountOf("show state"), 0);
    EXPECT_EQ(port.CountOf("HostKeyAlias=ha-demo-paris-b"), 1);
    EXPECT_EQ(port.CountOf("HostKeyAlias=ha-demo-paris-app"), 1);
}

TEST(Executor, AStopEndsThePlanAndIsNoFailureOfMachines) {
    FakePort port;
    port.answers.emplace_back("vm create", [&port](const io::Command &) -> Result<io::Outcome> {
        port.stopped = true;
        return Fail(ProblemCode::kRefused, "\"az\" was cancelled");
    });
    const auto problems = RunPlan(port, RegionPlan());
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_EQ(problems[0].code, ProblemCode::kRefused);
    EXPECT_EQ(port.CountOf("run-command"), 0);
}

TEST(Executor, ATimeoutSaysTheLimit) {
    FakePort port;
    port.answers.emplace_back("group create", [](const io::Command &command) {
        EXPECT_EQ(command.timeout, Milliseconds{7000});
        return Result<io::Outcome>(Fail(ProblemCode::kTimeout, "\"az\" timed out"));
    });
    const auto problems = RunPlan(port, RegionPlan(), {.deadline = Milliseconds{7000}});
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_NE(problems[0].detail.find("7 s"), std::string::npos);
}

TEST(Executor, ReportsEachMachineOnce) {
    FakePort port;
    EXPECT_TRUE(RunPlan(port, RegionPlan()).empty());
    const auto finished = [&port](const std::string &machine) {
        return std::count_if(port.events.begin(), port.events.end(), [&](const Event &event) {
            return event.kind == Event::Kind::kFinished && event.machine == machine;
        });
    };
    EXPECT_EQ(finished("ha-demo-paris-a"), 2);  // created, installed
    EXPECT_EQ(finished("ha-demo-paris"), 1);
}

}  // namespace
}  // namespace pgaf::azure
