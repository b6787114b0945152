#include "damage.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "gate.hpp"

namespace pgaf::damage {
namespace {

constexpr std::uint32_t kNothing = 0;
constexpr std::uint32_t kBeingWritten = 1;
constexpr std::uint32_t kWritten = 2;

struct Shared {
    pg_atomic_uint32 state;
    char text[400];
    pg_atomic_uint32
        receiver_version;  ///< odd while it is written; there is one receiver at a time
    char receiver_text[400];
};

Shared *shared = nullptr;
emit_log_hook_type previous_emit_log = nullptr;

/// Reads and writes pages and segments. An error of the file system counts here.
constexpr std::array kStorage{"md.c", "bufmgr.c", "localbuf.c", "slru.c", "relmapper.c"};
/// Looks at what is in them.
constexpr std::array kAccess{"bufpage.c",           "basebackup.c",     "vacuumlazy.c",
                             "pruneheap.c",         "detoast.c",        "toast_internals.c",
                             "toast_compression.c", "ginpostinglist.c", "visibilitymap.c",
                             "freespace.c"};
/// Access methods have many files each; verify_nbtree.c is amcheck's.
constexpr std::array kPrefixes{"nbt", "hash", "gin", "gist", "spg", "brin", "heap", "verify_"};

template <std::size_t N>
bool IsOneOf(const char *name, const std::array<const char *, N> &names) {
    return std::any_of(names.begin(), names.end(),
                       [name](const char *one) { return strcmp(name, one) == 0; });
}

bool IsAccess(const char *file) {
    return IsOneOf(file, kAccess) ||
           std::any_of(kPrefixes.begin(), kPrefixes.end(), [file](const char *prefix) {
               return strncmp(file, prefix, strlen(prefix)) == 0;
           });
}

/// The directory of a database is gone, or what each session reads of it. Paths are the same in
/// every language.
bool IsDatabaseGone(const ErrorData &error, const char *file) {
    if (error.elevel < FATAL || !IsUnderPostmaster) return false;
    const auto names_path = [](const char *text) {
        return text != nullptr &&
               (strstr(text, "base/") != nullptr || strstr(text, "pg_tblspc/") != nullptr);
    };
    if (strcmp(file, "postinit.c") == 0)
        return error.sqlerrcode == ERRCODE_UNDEFINED_DATABASE && names_path(error.detail);
    if (strcmp(file, "miscinit.c") == 0)
        return error.sqlerrcode == ERRCODE_INVALID_PARAMETER_VALUE && names_path(error.message);
    return strcmp(file, "relmapper.c") == 0;
}

bool TellsOfDamage(const ErrorData &error) {
    if (error.elevel < WARNING || error.filename == nullptr || error.message == nullptr)
        return false;
    const char *const slash = strrchr(error.filename, '/');
    const char *const file = slash == nullptr ? error.filename : slash + 1;
    const bool is_damage =
        error.sqlerrcode == ERRCODE_DATA_CORRUPTED || error.sqlerrcode == ERRCODE_INDEX_CORRUPTED;
    const bool is_lost =
        error.sqlerrcode == ERRCODE_UNDEFINED_FILE || error.sqlerrcode == ERRCODE_IO_ERROR;
    if (IsOneOf(file, kStorage) && (is_damage || is_lost)) return true;
    return (is_damage && IsAccess(file)) || IsDatabaseGone(error, file);
}

/// One line of ASCII: the server's encoding may be any.
void Append(char *to, std::size_t size, const char *text) {
    std::size_t at = strlen(to);
    for (; text != nullptr && *text != '\0' && at + 1 < size; ++text) {
        const bool is_blank = *text == '\n' || *text == '\t' || *text == '\r';
        const bool is_plain = *text >= ' ' && *text <= '~';
        if (is_blank && (at == 0 || to[at - 1] == ' ')) continue;
        to[at++] = is_blank ? ' ' : is_plain ? *text : '?';
    }
    while (at > 0 && to[at - 1] == ' ')
        --at;
    to[at] = '\0';
}

void NoteReceiverError(const ErrorData &error) {
    const bool is_asked = error.sqlerrcode == ERRCODE_ADMIN_SHUTDOWN;
    if (!AmWalReceiverProcess() || error.elevel < ERROR || error.message == nullptr || is_asked)
        return;
    const std::uint32_t version = pg_atomic_read_u32(&shared->receiver_version) | 1U;
    pg_atomic_write_u32(&shared->receiver_version, version);
    pg_memory_barrier();
    shared->receiver_text[0] = '\0';
    Append(shared->receiver_text, sizeof shared->receiver_text, error.message);
    pg_memory_barrier();
    pg_atomic_write_u32(&shared->receiver_version, version + 1);
}

void OnLog(ErrorData *error) {
    if (shared != nullptr) NoteReceiverError(*error);
    if (shared != nullptr && TellsOfDamage(*error)) {
        std::uint32_t expected = kNothing;
        if (pg_atomic_compare_exchange_u32(&shared->state, &expected, kBeingWritten)) {
            constexpr std::size_t kSize = sizeof shared->text;
            shared->text[0] = '\0';
            Append(shared->text, kSize, error->message);
            if (error->detail != nullptr) {
                Append(shared->text, kSize, ": ");
                Append(shared->text, kSize, error->detail);
            }
            if (MyProcPort != nullptr && MyProcPort->database_name != nullptr) {
                Append(shared->text, kSize, " (database \"");
                Append(shared->text, kSize, MyProcPort->database_name);
                Append(shared->text, kSize, "\")");
            }
            pg_write_barrier();
            pg_atomic_write_u32(&shared->state, kWritten);
            gate::WakeWorker();
        }
    }
    if (previous_emit_log != nullptr) previous_emit_log(error);
}

}  // namespace

void RequestSharedMemory() { RequestAddinShmemSpace(MAXALIGN(sizeof(Shared))); }

void CreateSharedMemory() {
    bool found = false;
    LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
    shared = static_cast<Shared *>(
        ShmemInitStruct("pgautofailover_keeper damage", sizeof(Shared), &found));
    if (!found) {
        memset(static_cast<void *>(shared), 0, sizeof(Shared));
        pg_atomic_init_u32(&shared->state, kNothing);
        pg_atomic_init_u32(&shared->receiver_version, 0);
    }
    LWLockRelease(AddinShmemInitLock);
}

void InstallHook() {
    previous_emit_log = emit_log_hook;
    emit_log_hook = OnLog;
}

std::string ReceiverError() {
    char text[sizeof shared->receiver_text];
    const std::uint32_t before = pg_atomic_read_u32(&shared->receiver_version);
    pg_memory_barrier();
    memcpy(text, shared->receiver_text, sizeof text);
    pg_memory_barrier();
    const bool is_whole =
        before % 2 == 0 && before == pg_atomic_read_u32(&shared->receiver_version);
    text[sizeof text - 1] = '\0';
    return is_whole ? text : "";
}

std::string Seen() {
    if (pg_atomic_read_u32(&shared->state) != kWritten) return {};
    pg_read_barrier();
    return shared->text;
}

}  // namespace pgaf::damage
