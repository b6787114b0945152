#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "io/env.hpp"
#include "io/files.hpp"
#include "io/log.hpp"
#include "node/steps/steps.hpp"

namespace pgaf::node {
namespace {

constexpr Milliseconds kFileLimit{60'000};
constexpr Milliseconds kAllLimit{300'000};
constexpr std::string_view kReady = ".ready";

std::string SettingOf(const StepContext &context, const std::string &name) {
    return io::ConfiguredValue(context.install, context.paths.pgdata, name).value_or("");
}

/// %p, %f and %% as in the manual, "Setting Up WAL Archiving".
std::string Expand(const std::string &command, const std::string &file) {
    std::string text;
    for (std::size_t i = 0; i < command.size(); ++i) {
        const char next = i + 1 < command.size() ? command.at(i + 1) : '\0';
        if (command.at(i) != '%' || (next != 'p' && next != 'f' && next != '%')) {
            text += command.at(i);
            continue;
        }
        ++i;
        text += next == 'p' ? "pg_wal/" + file : next == 'f' ? file : "%";
    }
    return text;
}

Result<void> ArchiveOne(const StepContext &context, const std::string &command,
                        const std::string &file) {
    const std::string status = context.paths.pgdata + "/pg_wal/archive_status/" + file;
    auto done = io::RunChecked(
        {.argv = {"/bin/sh", "-c", "cd \"$0\" && " + Expand(command, file), context.paths.pgdata},
         .timeout = kFileLimit,
         .cancel = context.cancel});
    if (!done) return Pass(done, fmt::format("could not archive \"{}\"", file));
    return io::MoveInto(status + std::string(kReady), status + ".done");
}

}  // namespace

void ArchiveReadyWal(const StepContext &context) {
    std::vector<std::string> files;
    for (std::string name : io::NamesIn(context.paths.pgdata + "/pg_wal/archive_status")) {
        if (!name.ends_with(kReady)) continue;
        name.resize(name.size() - kReady.size());
        files.push_back(std::move(name));
    }
    if (files.empty()) return;
    const std::string command = SettingOf(context, "archive_command");
    if (SettingOf(context, "archive_mode") == "off" || command.empty()) return;
    const core::BootTime start = io::BootNow();
    for (const std::string &file : files) {
        if (context.cancel != nullptr && context.cancel->IsRequested()) return;
        auto done = io::BootNow() - start < kAllLimit
                        ? ArchiveOne(context, command, file)
                        : Result<void>(Fail(ProblemCode::kTimeout, "archiving took too long"));
        if (done) continue;
        io::LogProblem(spdlog::level::warn, done.error());
        spdlog::warn("WAL from \"{}\" on was not archived by this node", file);
        return;
    }
    spdlog::info("Archived {} WAL files that were waiting for it", files.size());
}

}  // namespace pgaf::node
