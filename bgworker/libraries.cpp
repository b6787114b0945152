#include "headers.hpp"

#include "libraries.hpp"

#include <sys/stat.h>

extern "C" {
#include <utils/varlena.h>
}

namespace pgaf::keeper {
namespace {

bool IsFile(const char *path) {
    struct stat found;
    return stat(path, &found) == 0 && S_ISREG(found.st_mode);
}

/// PostgreSQL appends the suffix when there is none.
bool IsLibrary(const char *directory, const char *name) {
    constexpr const char *kLibdir = "$libdir";
    char path[MAXPGPATH];
    const bool is_in_libdir = strncmp(directory, kLibdir, strlen(kLibdir)) == 0;
    (void)pg_snprintf(path, sizeof path, "%s%s%s%s", is_in_libdir ? pkglib_path : "",
                      is_in_libdir ? directory + strlen(kLibdir) : directory,
                      *directory == '\0' ? "" : "/", name);
    if (IsFile(path)) return true;
    (void)strlcat(path, DLSUFFIX, sizeof path);
    return IsFile(path);
}

bool IsThereUnsafe(const char *name, bool is_plugin) {
    constexpr const char *kLibdir = "$libdir/";
    if (strncmp(name, kLibdir, strlen(kLibdir)) == 0)
        return IsLibrary("$libdir", name + strlen(kLibdir));
    if (strchr(name, '/') != nullptr) return IsLibrary("", name);
    if (is_plugin) return IsLibrary("$libdir/plugins", name);
    List *directories = NIL;
    if (!SplitDirectoriesString(pstrdup(Dynamic_library_path), ':', &directories)) return true;
    ListCell *cell = nullptr;
    foreach (cell, directories) {
        if (IsLibrary(static_cast<const char *>(lfirst(cell)), name)) return true;
    }
    return false;
}

}  // namespace

bool MissesLibraryUnsafe(const char *setting, const char *value, char *missing, unsigned capacity) {
    const bool is_plugin = pg_strcasecmp(setting, "local_preload_libraries") == 0;
    if (!is_plugin && pg_strcasecmp(setting, "session_preload_libraries") != 0 &&
        pg_strcasecmp(setting, "shared_preload_libraries") != 0)
        return false;
    List *names = NIL;
    if (!SplitDirectoriesString(pstrdup(value), ',', &names)) return false;
    ListCell *cell = nullptr;
    foreach (cell, names) {
        const auto *const name = static_cast<const char *>(lfirst(cell));
        if (IsThereUnsafe(name, is_plugin)) continue;
        (void)strlcpy(missing, name, capacity);
        return true;
    }
    return false;
}

}  // namespace pgaf::keeper
