#include "pgaf/core/wal_files.hpp"

#include <algorithm>
#include <charconv>

namespace pgaf::core {
namespace {

constexpr std::size_t kPartDigits = 8;

std::optional<std::uint64_t> ParseHex(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::uint64_t SegmentsPerLog(std::uint64_t segment_bytes) { return (1ULL << 32) / segment_bytes; }

}  // namespace

// The names: "Write-Ahead Logging Internals" in PostgreSQL's manual, XLogFileName in its source.
std::optional<WalFile> ParseWalFile(std::string_view name, std::uint64_t segment_bytes) {
    if (name.size() != 3 * kPartDigits || segment_bytes == 0) return std::nullopt;
    if (name.find_first_not_of("0123456789ABCDEF") != std::string_view::npos) return std::nullopt;
    const auto timeline = ParseHex(name.substr(0, kPartDigits));
    const auto log = ParseHex(name.substr(kPartDigits, kPartDigits));
    const auto part = ParseHex(name.substr(2 * kPartDigits));
    if (!timeline || !log || !part || *part >= SegmentsPerLog(segment_bytes)) return std::nullopt;
    return WalFile{static_cast<int>(*timeline), *log * SegmentsPerLog(segment_bytes) + *part};
}

Following JudgeFollowing(const WalPosition &position, const UpstreamWal &upstream) {
    if (position.timeline == 0 || !position.lsn.IsValid() || upstream.segment_bytes == 0)
        return Following::kPossible;
    if (HasLeftHistory(position, upstream.timeline, upstream.history)) return Following::kDiverged;
    if (position.lsn >= upstream.end) return Following::kPossible;
    const std::uint64_t needed = position.lsn.value / upstream.segment_bytes;
    const bool is_there =
        std::any_of(upstream.files.begin(), upstream.files.end(), [&](const std::string &name) {
            const auto file = ParseWalFile(name, upstream.segment_bytes);
            return file && file->segment == needed;
        });
    return is_there ? Following::kPossible : Following::kWalIsGone;
}

std::vector<std::string> SegmentsBetween(std::span<const std::string> files, Lsn from, Lsn to,
                                         std::uint64_t segment_bytes) {
    std::vector<std::string> found;
    for (const std::string &name : files) {
        const auto file = ParseWalFile(name, segment_bytes);
        if (!file || file->segment < from.value / segment_bytes) continue;
        if (file->segment <= to.value / segment_bytes) found.push_back(name);
    }
    std::sort(found.begin(), found.end());
    return found;
}

}  // namespace pgaf::core
