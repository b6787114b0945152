#include "pgaf/core/postgres_settings.hpp"

#include <algorithm>
#include <charconv>

#include "json.hpp"
#include "pgaf/core/pg_files.hpp"

namespace pgaf::core {
namespace {

struct Owned {
    std::string_view name;  ///< one that ends with "*" stands for all that begin so
    std::string_view why;
    std::string_view hint;
};

constexpr std::string_view kSafety =
    "The safety of the group depends on it, and pg_autoctl decides it.";
constexpr std::string_view kPlace = "It differs from node to node.";
constexpr std::string_view kConfig =
    "Use \"pg_autoctl config set\" on the node; \"pg_autoctl config get\" lists its settings.";
constexpr std::string_view kFollow =
    "Whom a standby follows is decided by the monitor: pg_autoctl show state.";
constexpr std::string_view kNobody = "It cannot be changed.";

constexpr std::array kOwned{
    Owned{"synchronous_standby_names", kSafety,
          "Use \"pg_autoctl set formation number-sync-standbys\" or \"pg_autoctl set node "
          "replication-quorum\"."},
    Owned{"primary_conninfo", kSafety, kFollow},
    Owned{"primary_slot_name", kSafety, kFollow},
    Owned{"recovery_*", kSafety, kFollow},
    Owned{"promote_trigger_file", kSafety, "Use \"pg_autoctl perform promotion\"."},
    Owned{"restart_after_crash", kSafety, kNobody},
    Owned{"hot_standby", kSafety, kNobody},
    Owned{"wal_log_hints", kSafety, kNobody},
    Owned{"wal_sender_timeout", kSafety, kNobody},
    Owned{"wal_receiver_timeout", kSafety, kNobody},
    Owned{"wal_receiver_status_interval", kSafety, kNobody},
    Owned{"wal_retrieve_retry_interval", kSafety, kNobody},
    Owned{"pgautofailover_keeper.*", kSafety, kNobody},
    Owned{"port", kPlace, "Use \"pg_autoctl config set postgresql.port\" on the node."},
    Owned{"listen_addresses", kPlace,
          "Use \"pg_autoctl config set postgresql.listen_addresses\" on the node."},
    Owned{"unix_socket_directories", kPlace, kConfig},
    Owned{"data_directory", kPlace, kNobody},
    Owned{"config_file", kPlace, kNobody},
    Owned{"hba_file", kPlace, kNobody},
    Owned{"ident_file", kPlace, kNobody},
    Owned{"external_pid_file", kPlace, kNobody},
    Owned{"password_encryption", "It follows from the authentication method of the node.", kConfig},
    Owned{"ssl", kPlace, kConfig},
    Owned{"ssl_cert_file", kPlace, kConfig},
    Owned{"ssl_key_file", kPlace, kConfig},
    Owned{"ssl_ca_file", kPlace, kConfig},
    Owned{"ssl_crl_file", kPlace, kConfig},
};

bool Covers(const Owned &owned, std::string_view name) {
    if (!owned.name.ends_with('*')) return name == owned.name;
    return name.starts_with(owned.name.substr(0, owned.name.size() - 1)) &&
           name != "recovery_min_apply_delay" && name != "recovery_prefetch" &&
           name != "recovery_init_sync_method";
}

bool IsNameStart(char c) { return (c >= 'a' && c <= 'z') || c == '_'; }
bool IsNamePart(char c) { return IsNameStart(c) || (c >= '0' && c <= '9') || c == '$'; }

/// Words with dots between them, as PostgreSQL's configuration files have them.
bool IsName(std::string_view folded) {
    if (folded.empty() || folded.size() > 63) return false;
    bool begins = true;
    for (const char c : folded) {
        if (begins ? !IsNameStart(c) : !IsNamePart(c) && c != '.') return false;
        begins = c == '.';
    }
    return !begins;
}

constexpr std::size_t kValueMost = 4000;

/// As PostgreSQL reads a boolean setting.
bool MeansOn(std::string_view folded) {
    const auto begins = [folded](std::string_view word) {
        return !folded.empty() && word.starts_with(folded);
    };
    return folded == "on" || folded == "1" || begins("true") || begins("yes");
}

/// Programs, code and files.
constexpr std::array<std::string_view, 10> kPowerfulEnds{
    "_command", "_library",  "_libraries", "_path",        "_file",
    "_dir",     "_filename", "_directory", "_directories", "_keyfile"};
/// Code by other names; what commits, data and rights rest on.
constexpr std::array<std::string_view, 22> kPowerful{"jit_provider",
                                                     "search_path",
                                                     "temp_tablespaces",
                                                     "default_tablespace",
                                                     "fsync",
                                                     "full_page_writes",
                                                     "synchronous_commit",
                                                     "wal_sync_method",
                                                     "data_sync_retry",
                                                     "zero_damaged_pages",
                                                     "ignore_checksum_failure",
                                                     "ignore_invalid_pages",
                                                     "ignore_system_indexes",
                                                     "allow_system_table_mods",
                                                     "allow_in_place_tablespaces",
                                                     "allow_alter_system",
                                                     "archive_mode",
                                                     "row_security",
                                                     "createrole_self_grant",
                                                     "db_user_namespace",
                                                     "event_triggers",
                                                     "session_replication_role"};

}  // namespace

std::optional<std::size_t> FindSize(std::string_view name) {
    const auto found = std::find(kSizeNames.begin(), kSizeNames.end(), name);
    if (found == kSizeNames.end()) return std::nullopt;
    return static_cast<std::size_t>(found - kSizeNames.begin());
}

std::string FoldName(std::string_view name) {
    std::string folded(name);
    for (char &c : folded) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    }
    return folded;
}

bool NeedsOperator(std::string_view folded) {
    const auto ends = [folded](std::string_view end) { return folded.ends_with(end); };
    return folded.find('.') != std::string_view::npos ||
           std::any_of(kPowerfulEnds.begin(), kPowerfulEnds.end(), ends) ||
           std::find(kPowerful.begin(), kPowerful.end(), folded) != kPowerful.end() ||
           folded.starts_with("ssl_") || folded.starts_with("krb_") || folded.starts_with("gss_");
}

Result<void> CheckPostgresSetting(std::string_view name, std::string_view value) {
    const std::string folded = FoldName(name);
    if (!IsName(folded))
        return Fail(ProblemCode::kBadArgument,
                    "invalid name of a setting: \"" + std::string(name) + "\"");
    for (const Owned &owned : kOwned) {
        if (!Covers(owned, folded)) continue;
        return Fail(ProblemCode::kRefused, "cannot set \"" + folded + "\"", std::string(owned.why),
                    std::string(owned.hint));
    }
    const bool has_control = std::any_of(value.begin(), value.end(), [](char c) {
        return static_cast<unsigned char>(c) < 32 || c == 127;
    });
    if (has_control || value.size() > kValueMost)
        return Fail(ProblemCode::kBadArgument, "invalid value for \"" + folded + "\"",
                    "It must have one line, of up to " + std::to_string(kValueMost) + " bytes.");
    if (folded == "wal_level" && FoldName(value) == "minimal")
        return Fail(ProblemCode::kRefused, "cannot set \"wal_level\" to \"minimal\"",
                    "Standbys need at least \"replica\".", "Use \"replica\" or \"logical\".");
    const bool is_promise = folded == "fsync" || folded == "full_page_writes";
    if (is_promise && !MeansOn(FoldName(value)))
        return Fail(
            ProblemCode::kRefused, "cannot switch off \"" + folded + "\"",
            "A node confirms what is on its disk: without it a crash could lose acknowledged "
            "commits.",
            "For faster commits set \"synchronous_commit\" in the sessions that can lose "
            "some.");
    return {};
}

std::optional<PostgresSetting> FirstNew(const PostgresSettings &good,
                                        const PostgresSettings &next) {
    for (const PostgresSetting &item : next.items) {
        if (std::find(good.items.begin(), good.items.end(), item) == good.items.end()) return item;
    }
    return std::nullopt;
}

std::string Encode(const PostgresSettings &settings) {
    rapidjson::StringBuffer buffer;
    json::Writer writer(buffer);
    {
        json::ObjectWriter out(writer);
        out.Put("version", settings.version);
        out.Name("settings");
        writer.StartArray();
        for (const PostgresSetting &item : settings.items) {
            json::ObjectWriter one(writer);
            one.Put("name", item.name);
            one.Put("value", item.value);
        }
        writer.EndArray();
    }
    return {buffer.GetString(), buffer.GetSize()};
}

Result<PostgresSettings> DecodePostgresSettings(std::string_view text) {
    rapidjson::Document document;
    document.Parse<rapidjson::kParseIterativeFlag>(text.data(), text.size());
    std::string problem;
    PostgresSettings settings;
    if (document.HasParseError()) {
        problem = "the text is not JSON";
    } else {
        json::ObjectReader in(document, problem);
        in.Required("version");
        in.Get("version", settings.version);
        if (const auto *items = in.FindArray("settings")) {
            for (const auto &value : items->GetArray()) {
                PostgresSetting item;
                json::ObjectReader one(value, problem);
                one.Get("name", item.name);
                one.Get("value", item.value);
                settings.items.push_back(std::move(item));
            }
        }
    }
    if (!problem.empty()) return Fail(ProblemCode::kCorrupt, "invalid settings: " + problem);
    return settings;
}

std::optional<int> ParseSize(std::string_view value) {
    while (value.starts_with(' '))
        value.remove_prefix(1);
    while (value.ends_with(' '))
        value.remove_suffix(1);
    int number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc{} || end != value.data() + value.size()) return std::nullopt;
    return number;
}

int SizeAllowed(std::size_t size, int wanted, const SizeView &view) {
    if (!view.is_primary) {
        return view.primary ? std::max(wanted, view.primary->at(size)) : wanted;
    }
    const int present = view.own ? view.own->at(size) : wanted;
    if (wanted <= present) return wanted;
    int lowest = wanted;
    for (const ServerSizes &standby : view.standbys)
        lowest = std::min(lowest, standby.at(size));
    return std::max(present, lowest);
}

std::vector<PostgresSetting> AllowedSettings(const PostgresSettings &settings,
                                             const SizeView &view) {
    std::vector<PostgresSetting> allowed = settings.items;
    for (PostgresSetting &item : allowed) {
        const auto size = FindSize(item.name);
        const auto wanted = size ? ParseSize(item.value) : std::nullopt;
        if (wanted) item.value = std::to_string(SizeAllowed(*size, *wanted, view));
    }
    return allowed;
}

std::string GroupSettingsText(const PostgresSettings &settings, const SizeView &view) {
    std::string text =
        "# Written by the keeper of this node; changes are overwritten.\n"
        "# What pg_autoctl set postgres has set for the formation or for this node.\n";
    const std::vector<PostgresSetting> allowed = AllowedSettings(settings, view);
    for (std::size_t i = 0; i < allowed.size(); ++i) {
        const PostgresSetting &item = allowed.at(i);
        const std::string &wanted = settings.items.at(i).value;
        text.append(item.name).append(" = ").append(QuoteSetting(item.value));
        const auto size = FindSize(item.name);
        if (size && ParseSize(item.value) != ParseSize(wanted)) {
            text.append("  # is to be ").append(wanted);
            text.append(view.is_primary ? ", when the standbys have it"
                                        : ", when the primary has it");
        }
        text.append("\n");
    }
    return text;
}

std::vector<PostgresSetting> MissingSizes(const ServerSizes &configured,
                                          const ServerSizes &required) {
    std::vector<PostgresSetting> missing;
    for (std::size_t i = 0; i < kSizeNames.size(); ++i) {
        if (configured.at(i) >= required.at(i)) continue;
        missing.push_back({std::string(kSizeNames.at(i)), std::to_string(required.at(i))});
    }
    return missing;
}

std::string EncodeSettingStates(std::span<const SettingState> states) {
    rapidjson::StringBuffer buffer;
    json::Writer writer(buffer);
    writer.StartArray();
    for (const SettingState &state : states) {
        json::ObjectWriter out(writer);
        out.Put("name", state.name);
        out.Put("in_force", state.in_force);
        if (!state.in_file.empty()) out.Put("in_file", state.in_file);
        if (!state.overridden_by.empty()) out.Put("overridden_by", state.overridden_by);
        out.PutFlag("pending_restart", state.pending_restart);
    }
    writer.EndArray();
    return {buffer.GetString(), buffer.GetSize()};
}

std::string WithUnit(std::int64_t value, std::string_view unit) {
    struct Step {
        std::string_view unit;
        std::int64_t times;
        std::string_view next;
    };
    constexpr std::array<Step, 9> kSteps{{{"B", 1024, "kB"},
                                          {"kB", 1024, "MB"},
                                          {"MB", 1024, "GB"},
                                          {"GB", 1024, "TB"},
                                          {"us", 1000, "ms"},
                                          {"ms", 1000, "s"},
                                          {"s", 60, "min"},
                                          {"min", 60, "h"},
                                          {"h", 24, "d"}}};
    std::int64_t times = 1;  // "8kB" is a unit of PostgreSQL
    const std::size_t digits = std::min(unit.find_first_not_of("0123456789"), unit.size());
    (void)std::from_chars(unit.data(), unit.data() + digits, times);
    unit.remove_prefix(digits);
    if (value <= 0) return std::to_string(value);  // 0 and -1 have a meaning of their own
    value *= times;
    for (const Step &step : kSteps) {
        if (unit != step.unit || value % step.times != 0) continue;
        value /= step.times;
        unit = step.next;
    }
    return std::to_string(value) + std::string(unit);
}

}  // namespace pgaf::core
