#include "pgaf/core/protocol.hpp"

#include <algorithm>
#include <charconv>
#include <climits>

#include "json.hpp"
#include "pgaf/core/names.hpp"
#include "protocol_server.hpp"

namespace pgaf::core {
namespace {

using json::ObjectReader;
using json::ObjectWriter;
using json::Writer;

constexpr std::string_view HolderName(KeeperHolder holder) {
    return holder == KeeperHolder::kWorker ? "worker" : "supervisor";
}

constexpr std::array<std::string_view, 3> kGrantNames{"none", "timed", "unlimited"};
constexpr std::array<std::string_view, 3> kRefusalNames{"none", "second_instance", "old_memory"};
/// 0, which is "none", for a name that is not there.
std::size_t IndexOf(const std::array<std::string_view, 3> &names, std::string_view name) {
    const auto *const at = std::find(names.begin(), names.end(), name);
    return at == names.end() ? 0 : static_cast<std::size_t>(at - names.begin());
}

void GetState(ObjectReader &in, const char *name, NodeState &out) {
    std::string text;
    in.Get(name, text);
    if (text.empty()) return;
    const auto state = ParseNodeState(text);
    state ? void(out = *state) : in.Complain(name, "a node state");
}

void WriteStandby(Writer &writer, const StandbyFact &fact) {
    ObjectWriter out(writer);
    out.Put("node_id", fact.node);
    out.PutFlag("streaming", fact.streaming);
    out.PutFlag("in_sync_set", fact.in_sync_set);
    out.Put("flush_lsn", fact.flush_lsn);
    out.Put("reply_age_ms", fact.reply_age);
}

StandbyFact ReadStandby(const rapidjson::Value &value, std::string &problem) {
    StandbyFact fact;
    ObjectReader in(value, problem);
    in.Required("node_id");
    in.Get("node_id", fact.node);
    in.Get("streaming", fact.streaming);
    in.Get("in_sync_set", fact.in_sync_set);
    in.Get("flush_lsn", fact.flush_lsn);
    in.Get("reply_age_ms", fact.reply_age);
    return fact;
}

void WriteReceiver(Writer &writer, const ReceiverFact &fact) {
    ObjectWriter out(writer);
    out.Put("upstream", fact.upstream);
    out.PutFlag("streaming", fact.streaming);
    out.Put("stream_age_ms", fact.stream_age);
    out.PutFlag("sealed", fact.sealed);
    out.Put("replay_lsn", fact.replay_lsn);
    if (fact.replay_paused) out.PutFlag("replay_paused", true);
}

ReceiverFact ReadReceiver(const rapidjson::Value &value, std::string &problem) {
    ReceiverFact fact;
    ObjectReader in(value, problem);
    in.Get("upstream", fact.upstream);
    in.Get("streaming", fact.streaming);
    in.Get("stream_age_ms", fact.stream_age);
    in.Get("sealed", fact.sealed);
    in.Get("replay_lsn", fact.replay_lsn);
    in.Get("replay_paused", fact.replay_paused);
    return fact;
}

void WritePeer(Writer &writer, const Peer &peer) {
    ObjectWriter out(writer);
    out.Put("node_id", peer.node);
    out.Put("name", peer.name);
    out.Put("host", peer.host);
    out.Put("port", peer.port);
    out.Put("state", ToString(peer.state));
    out.PutFlag("primary", peer.is_primary);
    out.PutFlag("promotable", peer.is_promotable);
    if (peer.is_damaged) out.PutFlag("damaged", true);
    out.Put("lsn", peer.lsn);
    WriteSizes(out, writer, peer.sizes);
    if (peer.timeline == 0) return;
    out.Put("timeline", peer.timeline);
    out.Put("history", EncodeHistory(peer.history));
}

TimelineHistory ReadHistory(ObjectReader &in) {
    std::string text;
    in.Get("history", text);
    return DecodeHistory(text);
}

/// Of what ToSetting writes; it becomes a line of a configuration file.
bool IsSyncNames(std::string_view text) {
    constexpr std::string_view kSigns = "_ ,()";
    return std::all_of(text.begin(), text.end(), [=](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               kSigns.find(c) != kSigns.npos;
    });
}

Peer ReadPeer(const rapidjson::Value &value, std::string &problem) {
    Peer peer;
    ObjectReader in(value, problem);
    in.Required("node_id");
    in.Get("node_id", peer.node);
    in.Get("name", peer.name);
    in.Get("host", peer.host);
    in.Get("port", peer.port);
    // They become lines of pg_hba.conf and connection strings, and the monitor may be an impostor.
    if (!IsHostName(peer.host)) in.Complain("host", "a host name or an address");
    if (peer.port < 1 || peer.port > 65535) in.Complain("port", "between 1 and 65535");
    if (!IsName(peer.name)) in.Complain("name", "a name");
    GetState(in, "state", peer.state);
    in.Get("primary", peer.is_primary);
    in.Get("promotable", peer.is_promotable);
    in.Get("damaged", peer.is_damaged);
    in.Get("lsn", peer.lsn);
    in.Get("timeline", peer.timeline);
    peer.history = ReadHistory(in);
    peer.sizes = ReadSizes(in);
    return peer;
}

/// The deepest nesting of brackets outside of strings.
std::size_t DepthOf(std::string_view text) {
    std::size_t depth = 0;
    std::size_t deepest = 0;
    bool is_string = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text.at(i);
        if (is_string) {
            if (c == '\\') ++i;
            is_string = c != '"';
            continue;
        }
        is_string = c == '"';
        if (c == '[' || c == '{') deepest = std::max(deepest, ++depth);
        if ((c == ']' || c == '}') && depth > 0) --depth;
    }
    return deepest;
}

/// Parses, checks the version, and leaves the first problem in `problem`.
bool Parse(std::string_view text, std::size_t most, rapidjson::Document &document,
           std::string &problem) {
    constexpr std::size_t kDepthMost = 8;  // ours have 3
    if (text.size() > most) {
        problem = "it has " + std::to_string(text.size()) + " bytes, and more than " +
                  std::to_string(most) + " are too many";
        return false;
    }
    if (DepthOf(text) > kDepthMost) {
        problem = "it is nested too deeply";
        return false;
    }
    // The iterative parser: a hostile depth of nesting must not exhaust the stack of a server
    // process.
    document.Parse<rapidjson::kParseIterativeFlag>(text.data(), text.size());
    if (document.HasParseError()) {
        problem = "the text is not JSON";
        return false;
    }
    ObjectReader in(document, problem);
    int version = 0;
    in.Required("version");
    in.Get("version", version);
    if (problem.empty() && version < kProtocolVersion) {
        problem = "\"version\" is " + std::to_string(version);
    }
    return problem.empty();
}

void ReadSystemIdentifier(ObjectReader &in, std::uint64_t &out) {
    // As text: readers of JSON in other languages lose digits of large numbers.
    std::string text;
    in.Get("system_identifier", text);
    if (text.empty()) return;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (error != std::errc{} || end != text.data() + text.size()) {
        in.Complain("system_identifier", "a number in a string");
    }
}

/// None of these is ever negative; a difference of two must not overflow.
std::string RangeProblem(const Report &report) {
    constexpr std::int64_t kMost = std::int64_t{1} << 62;
    const std::pair<const char *, std::int64_t> numbers[] = {
        {"node_id", report.node.value},
        {"group", report.group},
        {"keeper_epoch", report.keeper_epoch},
        {"sequence", report.sequence},
        {"goal_version", report.goal_version},
        {"term", report.term},
        {"promotion_term", report.promotion_term},
        {"copies", report.copies},
        {"timeline", report.timeline},
        {"sync_version", report.sync_version},
        {"known_sync_version", report.known_sync_version},
        {"stream_age_ms", report.receiver.stream_age.count()},
        {"stall_ms", report.stall_age.count()}};
    for (const auto &[name, number] : numbers) {
        if (number < 0 || number > kMost)
            return "\"" + std::string(name) + "\" is " + std::to_string(number);
    }
    return report.timeline == INT_MAX ? "\"timeline\" is the last one there can be" : "";
}

/// Of an answer, likewise; a lease that never ends would be a grant without limit.
std::string RangeProblem(const Reply &reply) {
    constexpr std::int64_t kMost = std::int64_t{1} << 62;
    constexpr std::int64_t kLongest = 3'600'000;
    const struct {
        const char *name;
        std::int64_t number;
        std::int64_t most;
    } numbers[] = {{"node_id", reply.node.value, kMost},
                   {"group", reply.group, INT_MAX},
                   {"goal_version", reply.goal_version, kMost},
                   {"term", reply.term, kMost},
                   {"lease_ms", reply.lease.count(), kLongest},
                   {"report_interval_ms", reply.report_interval.count(), kLongest},
                   {"sync_version", reply.sync_version, kMost},
                   {"next_timeline", reply.next_timeline, INT_MAX - 1},
                   {"needed_copy", reply.needed_copy, kMost},
                   {"upstream", reply.upstream.value, kMost},
                   {"known_epoch", reply.known_epoch, kMost}};
    for (const auto &[name, number, most] : numbers) {
        if (number < 0 || number > most)
            return "\"" + std::string(name) + "\" is " + std::to_string(number);
    }
    return "";
}

}  // namespace

namespace {

std::string EncodeWhole(const Report &report) {
    rapidjson::StringBuffer buffer;
    Writer writer(buffer);
    {
        ObjectWriter out(writer);
        out.Put("version", kProtocolVersion);
        out.Put("formation", report.formation);
        out.Put("node_id", report.node);
        out.Put("group", report.group);
        out.Put("keeper_epoch", report.keeper_epoch);
        if (report.instance != 0) out.Put("instance", report.instance);
        out.Put("sequence", report.sequence);
        out.Put("holder", HolderName(report.holder));
        out.Put("state", ToString(report.state));
        out.Put("goal_version", report.goal_version);
        out.Put("term", report.term);
        out.Put("promotion_term", report.promotion_term);
        if (report.copies > 0) out.Put("copies", report.copies);
        out.PutFlag("pg_running", report.pg_running);
        out.PutFlag("in_recovery", report.in_recovery);
        out.Put("timeline", report.timeline);
        if (!report.history.empty()) out.Put("history", EncodeHistory(report.history));
        out.Put("lsn", report.lsn);
        if (report.begun_at.IsValid()) out.Put("begun_at", report.begun_at);
        out.Put("system_identifier", std::to_string(report.system_identifier));
        out.PutFlag("fenced", report.fenced);
        out.Put("sealed_lsn", report.sealed_lsn);
        out.Put("sync_version", report.sync_version);
        if (!report.sync_names.empty()) out.Put("sync_names", report.sync_names);
        if (report.recorded_sync_version != 0)
            out.Put("recorded_sync_version", report.recorded_sync_version);
        out.Put("known_sync_version", report.known_sync_version);
        out.PutFlag("lease_mode", report.lease_mode);
        out.Name("standbys");
        writer.StartArray();
        for (const StandbyFact &fact : report.standbys)
            WriteStandby(writer, fact);
        writer.EndArray();
        out.Name("receiver");
        WriteReceiver(writer, report.receiver);
        if (report.stall_age.count() > 0) out.Put("stall_ms", report.stall_age);
        if (report.cancelled_waits > 0) {
            out.Put("cancelled_waits", report.cancelled_waits);
            out.Put("unconfirmed_waits", report.unconfirmed_waits);
        }
        if (report.cannot_reload) out.PutFlag("cannot_reload", true);
        if (report.is_inconsistent) out.PutFlag("inconsistent", true);
        if (!report.problem.empty()) out.Put("problem", report.problem);
        if (report.is_damaged) out.PutFlag("damaged", true);
        if (!report.event.empty()) out.Put("event", report.event);
        if (!report.pg_version.empty()) out.Put("pg_version", report.pg_version);
        WriteServer(out, writer, report);
    }
    return {buffer.GetString(), buffer.GetSize()};
}

}  // namespace

std::string Encode(const Report &report) {
    std::string text = EncodeWhole(report);
    if (text.size() <= kReportMost) return text;
    // What people read gives way to what decides.
    Report shorter = report;
    constexpr std::size_t kWords = 1000;
    for (std::string *const words : {&shorter.problem, &shorter.event, &shorter.refusal})
        words->resize(std::min(words->size(), kWords));
    shorter.settings_state.clear();
    shorter.settings_mark = 0;
    return EncodeWhole(shorter);
}

Result<Report> DecodeReport(std::string_view text) {
    rapidjson::Document document;
    std::string problem;
    Report report;
    if (Parse(text, kReportMost, document, problem)) {
        ObjectReader in(document, problem);
        for (const char *name : {"formation", "node_id", "keeper_epoch", "state", "pg_running"}) {
            in.Required(name);
        }
        in.Get("formation", report.formation);
        in.Get("node_id", report.node);
        in.Get("group", report.group);
        in.Get("keeper_epoch", report.keeper_epoch);
        in.Get("instance", report.instance);
        in.Get("sequence", report.sequence);
        std::string holder = "worker";
        in.Get("holder", holder);
        if (holder == "supervisor") {
            report.holder = KeeperHolder::kSupervisor;
        } else if (holder != "worker") {
            in.Complain("holder", "\"worker\" or \"supervisor\"");
        }
        GetState(in, "state", report.state);
        in.Get("goal_version", report.goal_version);
        in.Get("term", report.term);
        report.promotion_term = report.term;  // who does not say it may have begun
        in.Get("promotion_term", report.promotion_term);
        in.Get("copies", report.copies);
        in.Get("pg_running", report.pg_running);
        in.Get("in_recovery", report.in_recovery);
        in.Get("timeline", report.timeline);
        report.history = ReadHistory(in);
        in.Get("lsn", report.lsn);
        in.Get("begun_at", report.begun_at);
        ReadSystemIdentifier(in, report.system_identifier);
        in.Get("fenced", report.fenced);
        in.Get("sealed_lsn", report.sealed_lsn);
        in.Get("sync_version", report.sync_version);
        in.Get("sync_names", report.sync_names);
        in.Get("recorded_sync_version", report.recorded_sync_version);
        in.Get("known_sync_version", report.known_sync_version);
        in.Get("lease_mode", report.lease_mode);
        if (const auto *standbys = in.FindArray("standbys")) {
            for (const auto &value : standbys->GetArray()) {
                report.standbys.push_back(ReadStandby(value, problem));
            }
        }
        if (const auto *receiver = in.Find("receiver")) {
            report.receiver = ReadReceiver(*receiver, problem);
        }
        in.Get("stall_ms", report.stall_age);
        in.Get("cannot_reload", report.cannot_reload);
        in.Get("inconsistent", report.is_inconsistent);
        in.Get("cancelled_waits", report.cancelled_waits);
        in.Get("unconfirmed_waits", report.unconfirmed_waits);
        in.Get("problem", report.problem);
        in.Get("damaged", report.is_damaged);
        in.Get("event", report.event);
        in.Get("pg_version", report.pg_version);
        ReadServer(in, report);
    }
    if (problem.empty()) problem = RangeProblem(report);
    if (!problem.empty()) return Fail(ProblemCode::kCorrupt, "invalid report: " + problem);
    // They stand in events and tables that people look at.
    for (std::string *const words :
         {&report.problem, &report.event, &report.pg_version, &report.refusal})
        *words = Printable(*words);
    return report;
}

std::string Encode(const Reply &reply) {
    rapidjson::StringBuffer buffer;
    Writer writer(buffer);
    {
        ObjectWriter out(writer);
        out.Put("version", kProtocolVersion);
        out.Put("node_id", reply.node);
        out.Put("group", reply.group);
        out.Put("goal", ToString(reply.goal));
        out.Put("goal_version", reply.goal_version);
        out.Put("term", reply.term);
        out.Put("grant", kGrantNames.at(static_cast<std::size_t>(reply.grant)));
        out.Put("lease_ms", reply.lease);
        out.Put("report_interval_ms", reply.report_interval);
        out.Put("sync_version", reply.sync_version);
        out.Put("sync_names", reply.sync_names);
        out.Put("target_lsn", reply.target_lsn);
        out.Put("next_timeline", reply.next_timeline);
        if (reply.needed_copy > 0) out.Put("needed_copy", reply.needed_copy);
        out.Put("extension", EncodeSets(reply.extension));
        out.Put("upstream", reply.upstream);
        out.Name("peers");
        writer.StartArray();
        for (const Peer &peer : reply.peers)
            WritePeer(writer, peer);
        writer.EndArray();
        out.Put("candidate_priority", reply.candidate_priority);
        out.PutFlag("replication_quorum", reply.replication_quorum);
        out.Put("channel", reply.channel);
        out.Put("reason", reply.reason);
        if (reply.settings_version != 0) out.Put("settings_version", reply.settings_version);
        if (reply.settings) {
            out.Name("settings");
            WriteSettings(writer, *reply.settings);
        }
        if (reply.settings_mark != 0) out.Put("settings_mark", reply.settings_mark);
        if (reply.restart_of != 0) out.Put("restart_of", reply.restart_of);
        if (reply.refusal != Refusal::kNone)
            out.Put("refusal", kRefusalNames.at(static_cast<std::size_t>(reply.refusal)));
        if (reply.known_epoch != 0) out.Put("known_epoch", reply.known_epoch);
        if (!reply.copy_reason.empty()) out.Put("copy_reason", reply.copy_reason);
    }
    return {buffer.GetString(), buffer.GetSize()};
}

Result<Reply> DecodeReply(std::string_view text) {
    rapidjson::Document document;
    std::string problem;
    Reply reply;
    if (Parse(text, kReplyMost, document, problem)) {
        ObjectReader in(document, problem);
        for (const char *name : {"node_id", "goal", "term", "grant", "lease_ms"})
            in.Required(name);
        in.Get("node_id", reply.node);
        in.Get("group", reply.group);
        GetState(in, "goal", reply.goal);
        in.Get("goal_version", reply.goal_version);
        in.Get("term", reply.term);
        std::string grant;
        in.Get("grant", grant);
        reply.grant = static_cast<GrantKind>(IndexOf(kGrantNames, grant));
        in.Get("lease_ms", reply.lease);
        in.Get("report_interval_ms", reply.report_interval);
        in.Get("sync_version", reply.sync_version);
        in.Get("sync_names", reply.sync_names);
        if (!IsSyncNames(reply.sync_names)) in.Complain("sync_names", "a list of our standbys");
        in.Get("target_lsn", reply.target_lsn);
        in.Get("next_timeline", reply.next_timeline);
        in.Get("needed_copy", reply.needed_copy);
        std::string extension;
        in.Get("extension", extension);
        reply.extension = DecodeSets(extension);
        in.Get("upstream", reply.upstream);
        if (const auto *peers = in.FindArray("peers")) {
            for (const auto &value : peers->GetArray())
                reply.peers.push_back(ReadPeer(value, problem));
        }
        in.Get("candidate_priority", reply.candidate_priority);
        in.Get("replication_quorum", reply.replication_quorum);
        in.Get("channel", reply.channel);
        in.Get("reason", reply.reason);
        reply.reason = Printable(reply.reason);  // for logs
        in.Get("settings_version", reply.settings_version);
        if (const auto *settings = in.FindArray("settings"))
            reply.settings = ReadSettings(*settings, problem);
        in.Get("settings_mark", reply.settings_mark);
        in.Get("restart_of", reply.restart_of);
        std::string refusal;
        in.Get("refusal", refusal);
        reply.refusal = static_cast<Refusal>(IndexOf(kRefusalNames, refusal));
        in.Get("known_epoch", reply.known_epoch);
        in.Get("copy_reason", reply.copy_reason);
        reply.copy_reason = Printable(reply.copy_reason);
    }
    if (problem.empty()) problem = RangeProblem(reply);
    if (!problem.empty()) return Fail(ProblemCode::kCorrupt, "invalid reply: " + problem);
    return reply;
}

}  // namespace pgaf::core
