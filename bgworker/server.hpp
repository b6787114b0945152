#pragma once

#include "worker/ports.hpp"

/// What the worker does to its own server, and its look at the server's shared memory. Failures are
/// exceptions (pg::PgError).
namespace pgaf::keeper {

class PgServer final : public worker::Server {
 public:
    // facts.cpp
    worker::ServerFacts Observe() override;
    worker::ReceiverState ObserveReceiver() override;
    void AwaitReceiverEnd() override;
    std::uint64_t SystemIdentifier() override;

    // server.cpp
    [[nodiscard]] std::string Version() const override;
    void Reload() override;
    void StopImmediately() override;
    void RequestPromotion() override;
    bool IsConsistent() override;
    void BarReceiver() override;
    void AdmitReceiver() override;
    void RequestImmediateCheckpoint() override;
    bool StartCheckpointProcess() override;
    void TerminateSessions() override;
    int CountSessions() override;
    void TerminateClients() override;
    core::Lsn FlushEverything() override;
    void AskSenderToFinish(int pid) override;
    void EndSender(int pid) override;
    void LetSenderCount(int pid) override;
    core::Lsn WriteMarker() override;
    void Archive(const std::string &name) override;
    void CreateSlot(const std::string &name) override;
    void AdvanceSlot(const std::string &name, core::Lsn to) override;
    void ReleaseSlotXmin(const std::string &name) override;
    void DropSlot(const std::string &name) override;
    std::string HbaFile() override;
    void CleanUpAfterError() override;
    void StopOrderly() override;

    // settings.cpp
    worker::ConfigProblem FindConfigProblem() override;
    core::Result<void> CheckSetting(const std::string &name, const std::string &value) override;
    std::vector<core::SettingState> SettingStates(
        const std::vector<core::PostgresSetting> &written) override;
};

/// The sizes of this server, and why its replay has stopped when they are too small.
core::ServerSizes SizesOfServer();
std::string LackOfServer();

/// Lines of the server's log.
class PgLog final : public worker::Log {
 public:
    void Line(const std::string &text) override;
    void Warning(const std::string &text) override;
};

}  // namespace pgaf::keeper
