#include "pgaf/core/node_record.hpp"

#include <array>
#include <charconv>

#include "key_value.hpp"

namespace pgaf::core {
namespace {

constexpr std::string_view kFirstLine = "pg_autoctl state, format 1\n";
constexpr std::string_view kChecksumKey = "crc32c = ";

/// CRC-32C (Castagnoli, reflected polynomial 0x82F63B78), RFC 3720 appendix B.4.
constexpr std::uint32_t Crc32c(std::string_view text) {
    std::uint32_t crc = 0xFFFFFFFFU;
    for (const char c : text) {
        crc ^= static_cast<unsigned char>(c);
        for (int bit = 0; bit < 8; ++bit)
            crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? 0x82F63B78U : 0U);
    }
    return crc ^ 0xFFFFFFFFU;
}
static_assert(Crc32c("123456789") == 0xE3069283U, "check value of CRC-32C");

using Values = std::map<std::string, std::string, std::less<>>;

template <typename T>
bool GetNumber(const Values &values, std::string_view key, T &out) {
    const auto it = values.find(key);
    if (it == values.end()) return false;
    const char *end = it->second.data() + it->second.size();
    const auto [stop, error] = std::from_chars(it->second.data(), end, out);
    return error == std::errc{} && stop == end;
}

bool GetState(const Values &values, std::string_view key, NodeState &out) {
    const auto it = values.find(key);
    const auto state = it == values.end() ? std::nullopt : ParseNodeState(it->second);
    if (state) out = *state;
    return state.has_value();
}

}  // namespace

std::string Encode(const NodeRecord &record) {
    std::string text(kFirstLine);
    PutLine(text, "node_id", std::to_string(record.node.value));
    PutLine(text, "group", std::to_string(record.group));
    PutLine(text, "state", ToString(record.state));
    PutLine(text, "goal", ToString(record.goal));
    PutLine(text, "term", std::to_string(record.term));
    PutLine(text, "keeper_epoch", std::to_string(record.keeper_epoch));
    PutLine(text, "sync_version", std::to_string(record.sync_version));
    PutLine(text, "known_sync_version", std::to_string(record.known_sync_version));
    PutLine(text, "had_peer", record.had_peer ? "1" : "0");
    PutLine(text, "system_identifier", std::to_string(record.system_identifier));
    if (record.copies > 0) PutLine(text, "copies", std::to_string(record.copies));
    if (record.resumes) PutLine(text, "resumes", "1");
    if (record.has_own_writes) PutLine(text, "has_own_writes", "1");
    PutLine(text, "promotion_term", std::to_string(record.promotion_term));
    if (record.instance != 0) PutLine(text, "instance", std::to_string(record.instance));
    const std::uint32_t crc = Crc32c(text);
    return text.append(kChecksumKey).append(std::to_string(crc)).append("\n");
}

Result<NodeRecord> DecodeNodeRecord(std::string_view text) {
    const auto corrupt = [](std::string detail) {
        return Fail(ProblemCode::kCorrupt, "invalid node state file", std::move(detail));
    };
    if (!text.starts_with(kFirstLine)) return corrupt("The first line is not the one of format 1.");
    const std::size_t at = text.rfind(kChecksumKey);
    if (at == std::string_view::npos || !text.ends_with('\n')) return corrupt("The file is cut.");
    const std::string_view body = text.substr(0, at);
    const std::string_view crc = text.substr(at + kChecksumKey.size());
    if (crc != std::to_string(Crc32c(body)) + "\n") return corrupt("The checksum does not match.");

    const Values values = ReadLines(body);
    NodeRecord record;
    int had_peer = 0;
    const bool complete =
        GetNumber(values, "node_id", record.node.value) &&
        GetNumber(values, "group", record.group) && GetState(values, "state", record.state) &&
        GetState(values, "goal", record.goal) && GetNumber(values, "term", record.term) &&
        GetNumber(values, "keeper_epoch", record.keeper_epoch) &&
        GetNumber(values, "sync_version", record.sync_version) &&
        GetNumber(values, "had_peer", had_peer) &&
        GetNumber(values, "system_identifier", record.system_identifier);
    if (!complete) return corrupt("A line is missing or has an invalid value.");
    record.had_peer = had_peer != 0;
    // Not in files of version 3.1 and before.
    (void)GetNumber(values, "known_sync_version", record.known_sync_version);
    (void)GetNumber(values, "copies", record.copies);
    (void)GetNumber(values, "instance", record.instance);
    if (!GetNumber(values, "promotion_term", record.promotion_term))
        record.promotion_term = record.term;  // nobody knows
    int flag = 0;
    record.resumes = GetNumber(values, "resumes", flag) && flag != 0;
    record.has_own_writes = GetNumber(values, "has_own_writes", flag) && flag != 0;
    return record;
}

}  // namespace pgaf::core
