#include "headers.hpp"

#include <algorithm>

#include "libraries.hpp"
#include "pg/guard.hpp"
#include "pgaf/core/server_options.hpp"
#include "server.hpp"

/// PostgreSQL's settings as this process has read them; the caller reloads on SIGHUP.
namespace pgaf::keeper {
namespace {

using core::PostgresSetting;
using core::SettingState;

struct Variables {
    config_generic **list;
    int count;
};

Variables AllVariablesUnsafe() {
#if PG_VERSION_NUM >= 160000
    Variables all{};
    all.list = get_guc_variables(&all.count);
    return all;
#else
    return {get_guc_variables(), GetNumConfigOptions()};
#endif
}

std::string UnitOf(const config_generic &variable) {
    switch (variable.flags & GUC_UNIT) {
        case GUC_UNIT_BYTE:
            return "B";
        case GUC_UNIT_KB:
            return "kB";
        case GUC_UNIT_MB:
            return "MB";
        case GUC_UNIT_BLOCKS:
            return std::to_string(BLCKSZ / 1024) + "kB";
        case GUC_UNIT_XBLOCKS:
            return std::to_string(XLOG_BLCKSZ / 1024) + "kB";
        case GUC_UNIT_MS:
            return "ms";
        case GUC_UNIT_S:
            return "s";
        case GUC_UNIT_MIN:
            return "min";
        default:
            return "";
    }
}

/// Reads what a user would see, without the show hooks: some of them look into catalogs.
std::string InForce(const config_generic &variable) {
    switch (variable.vartype) {
        case PGC_BOOL:
            return *reinterpret_cast<const config_bool &>(variable).variable ? "on" : "off";
        case PGC_INT:
            return core::WithUnit(*reinterpret_cast<const config_int &>(variable).variable,
                                  UnitOf(variable));
        case PGC_REAL: {
            char text[64];
            (void)pg_snprintf(text, sizeof text, "%g%s",
                              *reinterpret_cast<const config_real &>(variable).variable,
                              UnitOf(variable).c_str());
            return text;
        }
        case PGC_STRING: {
            const char *const text = *reinterpret_cast<const config_string &>(variable).variable;
            return text == nullptr ? "" : text;
        }
        case PGC_ENUM: {
            const auto &chosen = reinterpret_cast<const config_enum &>(variable);
            for (const config_enum_entry *entry = chosen.options; entry->name != nullptr; ++entry)
                if (entry->val == *chosen.variable) return entry->name;
            return "";
        }
    }
    return "";
}

/// The server uses something else than `value` means.
bool Differs(const config_generic &variable, const std::string &value) {
    const char *const text = value.c_str();
    switch (variable.vartype) {
        case PGC_BOOL: {
            bool meant = false;
            return !parse_bool(text, &meant) ||
                   meant != *reinterpret_cast<const config_bool &>(variable).variable;
        }
        case PGC_INT: {
            int meant = 0;
            const bool is_read = pg::CallPg([&] {
                const char *hint = nullptr;
                return parse_int(text, &meant, variable.flags, &hint);
            });
            return !is_read || meant != *reinterpret_cast<const config_int &>(variable).variable;
        }
        case PGC_REAL: {
            double meant = 0;
            const bool is_read = pg::CallPg([&] {
                const char *hint = nullptr;
                return parse_real(text, &meant, variable.flags, &hint);
            });
            return !is_read || meant != *reinterpret_cast<const config_real &>(variable).variable;
        }
        case PGC_STRING:
            if (strcmp(variable.name, "shared_preload_libraries") == 0)
                return core::MergeLibraries(value, core::kKeeperLibrary) != InForce(variable);
            return value != InForce(variable);
        case PGC_ENUM: {
            const auto &chosen = reinterpret_cast<const config_enum &>(variable);
            int meant = 0;
            return !pg::CallPg([&] {
                for (const config_enum_entry *entry = chosen.options; entry->name != nullptr;
                     ++entry) {
                    if (pg_strcasecmp(entry->name, text) != 0) continue;
                    meant = entry->val;
                    return true;
                }
                return false;
            }) || meant != *chosen.variable;
        }
    }
    return false;
}

std::string BaseName(const char *path) {
    const std::string whole = path == nullptr ? "" : path;
    return whole.substr(whole.rfind('/') + 1);
}

/// Where a value comes from that is not what we have written.
std::string SourceOf(const config_generic &variable) {
    if (variable.source == PGC_S_FILE) return BaseName(variable.sourcefile);
    return GucSource_Names[variable.source];
}

SettingState StateOf(const config_generic &variable, const PostgresSetting *written) {
    SettingState state{.name = variable.name,
                       .in_force = InForce(variable),
                       .in_file = written == nullptr ? "" : written->value,
                       .overridden_by = {},
                       .pending_restart = (variable.status & GUC_PENDING_RESTART) != 0};
    if (written == nullptr || !Differs(variable, written->value)) return state;
    const bool needs_restart = variable.context == PGC_POSTMASTER;
    const std::string source = SourceOf(variable);
    // On the command line stands what was in our file, or another, at the last start.
    const bool is_ours = source == core::kGroupSettingsFile || variable.source == PGC_S_ARGV;
    if (needs_restart) state.pending_restart = true;
    if (!is_ours && (!needs_restart || source == "postgresql.auto.conf"))
        state.overridden_by = source;
    return state;
}

bool IsKnownUnsafe(const char *name) {
    // Old names, and those of modules, are accepted.
    if (strchr(name, '.') != nullptr || GetConfigOption(name, true, false) != nullptr) return true;
    const Variables all = AllVariablesUnsafe();
    for (int i = 0; i < all.count; ++i)
        if (pg_strcasecmp(all.list[i]->name, name) == 0) return true;
    return false;
}

/// Where PostgreSQL would stop, and what it says against a line; or a value of which that is still
/// to be asked.
struct ConfigFault {
    char where[MAXPGPATH + 32];
    char said[512];
    char name[NAMEDATALEN];
    char value[1024];
    char library[MAXPGPATH];  ///< of the setting `name`, which is not there
};

/// PostgreSQL judges only the last of several lines for a setting.
bool IsLastLineUnsafe(const ConfigVariable *line) {
    for (const ConfigVariable *later = line->next; later != nullptr; later = later->next)
        if (!later->ignore && pg_strcasecmp(later->name, line->name) == 0) return false;
    return true;
}

bool IsValueRefusedUnsafe(const ConfigVariable *line) {
    // Outside of a transaction this one can only be restored; and nothing is made of names of
    // modules that this process has not loaded.
    if (pg_strcasecmp(line->name, "client_encoding") == 0)
        return pg_valid_client_encoding(line->value) < 0;
    if (GetConfigOption(line->name, true, false) == nullptr && strchr(line->name, '.') != nullptr)
        return false;
    return set_config_option(line->name, line->value, PGC_POSTMASTER, PGC_S_FILE, GUC_ACTION_SET,
                             false, DEBUG5, false) == 0;
}

/// As ProcessConfigFile goes: with a line that is no line, a file that is not there, or a name that
/// nobody knows it changes nothing; then it looks at the values.
void FindConfigFaultUnsafe(ConfigFault *fault) {
    constexpr int kFirstFile = 0;
    ConfigVariable *first = nullptr;
    ConfigVariable *last = nullptr;
    (void)ParseConfigFile(ConfigFileName, true, nullptr, 0, kFirstFile, DEBUG5, &first, &last);
    (void)ParseConfigFile(PG_AUTOCONF_FILENAME, false, nullptr, 0, kFirstFile, DEBUG5, &first,
                          &last);
    const ConfigVariable *found = nullptr;
    for (const ConfigVariable *one = first; one != nullptr && found == nullptr; one = one->next) {
        if (one->errmsg != nullptr) {
            (void)strlcpy(fault->said, one->errmsg, sizeof fault->said);
            found = one;
        } else if (!one->ignore && !IsKnownUnsafe(one->name)) {
            (void)pg_snprintf(fault->said, sizeof fault->said,
                              "unrecognized configuration parameter \"%s\"", one->name);
            found = one;
        }
    }
    for (const ConfigVariable *one = first; one != nullptr && found == nullptr; one = one->next) {
        if (one->ignore || !IsLastLineUnsafe(one)) continue;
        if (!IsValueRefusedUnsafe(one) &&
            !MissesLibraryUnsafe(one->name, one->value, fault->library, sizeof fault->library))
            continue;
        (void)strlcpy(fault->name, one->name, sizeof fault->name);
        (void)strlcpy(fault->value, one->value, sizeof fault->value);
        found = one;
    }
    if (found != nullptr)
        (void)pg_snprintf(fault->where, sizeof fault->where,
                          "%s, line %d: ", found->filename == nullptr ? "" : found->filename,
                          found->sourceline);
    FreeConfigVariables(first);
}

/// A file that may be missing is a line in the log each time it is read.
class QuietLog {
 public:
    QuietLog() noexcept : before_(log_min_messages) { log_min_messages = FATAL; }
    ~QuietLog() { log_min_messages = before_; }
    QuietLog(const QuietLog &) = delete;
    QuietLog &operator=(const QuietLog &) = delete;

 private:
    int before_;
};

/// Superusers may leave a library out that sessions load.
std::string NameMissingLibrary(const ConfigFault &fault) {
    const std::string name = fault.name;
    std::string words = name + ": there is no library \"" + fault.library + "\"; ";
    if (name == "shared_preload_libraries")
        return words + "the server goes on with what it has, and could not start with this";
    return words + "no session can begin but one of a superuser with PGOPTIONS=\"-c " + name +
           "=\"";
}

bool HasLackUnsafe(core::ServerSizes &required) {
    if (!RecoveryInProgress() || GetRecoveryPauseState() != RECOVERY_PAUSED) return false;
    bool is_whole = false;
    ControlFileData *const control = get_controlfile(DataDir, &is_whole);
    required = {control->MaxConnections, control->max_worker_processes, control->max_wal_senders,
                control->max_prepared_xacts, control->max_locks_per_xact};
    pfree(control);
    return is_whole;
}

}  // namespace

core::ServerSizes SizesOfServer() {
    return {MaxConnections, max_worker_processes, max_wal_senders, max_prepared_xacts,
            max_locks_per_xact};
}

std::string LackOfServer() {
    core::ServerSizes required{};
    core::ServerSizes *const out = &required;
    if (!pg::CallPg([out] { return HasLackUnsafe(*out); })) return "";
    const auto missing = core::MissingSizes(SizesOfServer(), required);
    if (missing.empty()) return "";
    return "replay has stopped: the primary uses \"" + missing.front().name + "\" " +
           missing.front().value + ", and a standby needs at least that";
}

worker::ConfigProblem PgServer::FindConfigProblem() {
    ConfigFault fault{};
    {
        const QuietLog quiet;
        ConfigFault *const out = &fault;
        pg::CallPg([out] { FindConfigFaultUnsafe(out); });
    }
    if (fault.where[0] == '\0') return {};
    if (fault.name[0] == '\0')
        return {.words = std::string(fault.where) + fault.said, .stops_reload = true};
    if (fault.library[0] != '\0') return {.words = fault.where + NameMissingLibrary(fault)};
    const auto refused = CheckSetting(fault.name, fault.value);
    const std::string said = refused
                                 ? "invalid value for parameter \"" + std::string(fault.name) + "\""
                                 : refused.error().message;
    return {.words = fault.where + said +
                     "; the server goes on with what it has, and could not start with this"};
}

core::Result<void> PgServer::CheckSetting(const std::string &name, const std::string &value) {
    const char *const setting = name.c_str();
    const char *const text = value.c_str();
    try {
        pg::CallPg([setting, text] {
            (void)set_config_option(setting, text, PGC_POSTMASTER, PGC_S_FILE, GUC_ACTION_SET,
                                    false, ERROR, false);
        });
    } catch (const pg::PgError &error) {
        return core::Fail(core::ProblemCode::kPostgres, error.what());
    }
    return {};
}

std::vector<SettingState> PgServer::SettingStates(const std::vector<PostgresSetting> &written) {
    std::vector<SettingState> states;
    const Variables all = pg::CallPg([] { return AllVariablesUnsafe(); });
    for (int i = 0; i < all.count; ++i) {
        const config_generic &variable = *all.list[i];
        const auto found =
            std::find_if(written.begin(), written.end(), [&variable](const PostgresSetting &one) {
                return pg_strcasecmp(one.name.c_str(), variable.name) == 0;
            });
        const bool is_written = found != written.end();
        if (!is_written && (variable.status & GUC_PENDING_RESTART) == 0) continue;
        SettingState state = StateOf(variable, is_written ? &*found : nullptr);
        state.name = core::FoldName(state.name);
        states.push_back(std::move(state));
    }
    return states;
}

}  // namespace pgaf::keeper
