#pragma once

#include <functional>
#include <optional>

#include "node/steps/place.hpp"
#include "node/steps/upstream.hpp"

namespace pgaf::node {

/// The effects of the steps on a real node. Lives as long as one step.
class RealStepEffects final : public supervisor::StepEffects {
 public:
    explicit RealStepEffects(const StepContext &context);
    bool IsCancelled() override { return context_.cancel->IsRequested(); }
    [[nodiscard]] std::string DataDirectoryPath() const override { return context_.paths.pgdata; }
    supervisor::DataDirectory InspectDataDirectory() override;
    Result<supervisor::ControlFacts> ReadControl(supervisor::Place place) override;

    Result<void> LockDirectory() override { return lock_.Take(); }
    void UnlockDirectory() override { lock_.Release(); }
    bool IsMarked() override { return HasMarker(context_.paths); }
    Result<void> SetMarker(std::string_view what) override {
        return node::SetMarker(context_.paths, what);
    }
    Result<void> ClearMarker() override;

    Result<void> Connect(const core::Peer &upstream) override;
    Result<supervisor::SourceIdentity> Identify() override { return session_.value().Identify(); }
    Result<void> MustBePrimary() override { return session_.value().MustBePrimary(); }
    Result<void> EnsureCheckpoint(int timeline) override {
        return session_.value().EnsureCheckpoint(timeline);
    }
    void CheckpointSource() override { session_.value().Checkpoint(); }

    Result<void> RemoveCopy() override;
    Result<void> TakeBaseBackup(const core::Peer &upstream) override;
    Result<void> MakeCopyOurs(const core::Peer &upstream) override;
    Result<void> ExchangeDirectories() override;

    std::vector<UsersSlot> ListUsersSlots() override;
    void ArchiveReadyWal() override { node::ArchiveReadyWal(context_); }
    bool HasWalBeyond(int timeline, core::Lsn fork) override;
    std::optional<std::string> FindDamage() override { return node::FindDamage(context_, lock_); }
    Result<void> RemoveStandbySignal() override;
    Result<void> RecoverInSingleUserMode() override;
    std::string KeepDiscardedWal(const supervisor::SourceIdentity &identity,
                                 const supervisor::ControlFacts &control) override {
        return node::KeepDiscardedWal(context_, identity, control);
    }
    Result<void> RunPgRewind(const core::Peer &upstream) override;
    Result<void> MakeStandby(const core::Peer &upstream) override;

    Result<std::uint64_t> InitPrimary() override {
        return node::InitPrimary(context_, lock_, note_);
    }
    std::string TakeNote() override { return std::move(note_); }

 private:
    Result<void> MakeStandbyIn(const std::string &directory, const core::Peer &upstream);
    /// Runs a program that copies from the upstream; what it says goes to the log.
    Result<void> RunCopying(std::vector<std::string> argv,
                            std::function<void(std::string_view)> on_line);

    [[nodiscard]] std::string CopyBeside() const { return context_.paths.pgdata + ".pgaf-clone"; }
    Result<void> MakeRoomForCopy();

    const StepContext &context_;
    CopyPlace place_;
    io::DirectoryLock lock_;
    std::string note_;
    std::optional<Upstream> session_;
};

}  // namespace pgaf::node
