#include "worker/timelines.hpp"

#include <cstdio>

#include "pgaf/core/plausible.hpp"

namespace pgaf::worker {
namespace {

constexpr core::Milliseconds kLookAgain{500};

std::string HistoryName(int timeline) {
    char name[32];
    (void)std::snprintf(name, sizeof name, "%08X.history", static_cast<unsigned>(timeline));
    return name;
}

std::string HistoryPath(const std::string &pgdata, int timeline) {
    return pgdata + "/pg_wal/" + HistoryName(timeline);
}

}  // namespace

void HistoryReader::Update(Files &files, const std::string &pgdata, int timeline,
                           core::BootTime now) {
    if (timeline == timeline_ && (is_known_ || now < again_at_)) return;
    timeline_ = timeline;
    history_.clear();
    is_known_ = timeline <= 1;
    if (is_known_) return;
    again_at_ = now + kLookAgain;
    const auto text = files.Read(HistoryPath(pgdata, timeline));
    if (!text) return;
    history_ = core::ParseTimelineHistory(*text);
    is_known_ = true;
}

const core::TimelineHistory &HistoryReader::Of(int timeline) const {
    return timeline == timeline_ ? history_ : none_;
}

core::Result<void> ReserveTimelines(const Ports &ports, const std::string &pgdata,
                                    const core::WalPosition &own, int next) {
    if (next - own.timeline > core::kReservedMost) {
        return core::Fail(core::ProblemCode::kBadState,
                          "timeline " + std::to_string(next) +
                              " is asked for, and this server is on " +
                              std::to_string(own.timeline));
    }
    std::string text;
    for (const core::TimelineSwitch &s : own.history) {
        text += std::to_string(s.timeline) + "\t" + core::ToString(s.at) + "\tbefore\n";
    }
    text += std::to_string(own.timeline) + "\t" + core::ToString(own.lsn) +
            "\tnumber reserved by pgautofailover\n";
    for (int timeline = own.timeline + 1; timeline < next; ++timeline) {
        const std::string path = HistoryPath(pgdata, timeline);
        if (ports.files.Exists(path)) continue;
        if (auto written = ports.files.WriteAtomic(path, text); !written) return written;
        // Who restores to the latest timeline looks for one number after the other.
        ports.server.Archive(HistoryName(timeline));
    }
    return {};
}

}  // namespace pgaf::worker
