#include "node/steps/place.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "io/config_lines.hpp"
#include "io/files.hpp"

namespace pgaf::node {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTablespace = "tablespace ";
constexpr std::string_view kWal = "wal ";
constexpr const char *kIncluded = "/conf.d";  ///< Debian's, when it is a link

/// A file, or a link as the link that it is.
Result<void> CopyEntry(const std::string &from, const std::string &to) {
    std::error_code error;
    fs::copy(from, to, fs::copy_options::copy_symlinks, error);
    if (!error) return {};
    return Fail(ProblemCode::kIo,
                fmt::format("could not copy \"{}\" to \"{}\": {}", from, to, error.message()));
}

void Add(std::vector<std::string> &to, const std::string &text) {
    if (std::find(to.begin(), to.end(), text) == to.end()) to.push_back(text);
}

bool HasFilesOf(const std::string &tablespace, int pg_major) {
    const std::string prefix = fmt::format("PG_{}_", pg_major);
    const std::vector<std::string> names = io::NamesIn(tablespace);
    return std::any_of(names.begin(), names.end(),
                       [&](const std::string &name) { return name.starts_with(prefix); });
}

/// Behind a link, or out of PGDATA.
bool IsElsewhere(const std::string &pgdata, const std::string &name) {
    fs::path path = pgdata;
    std::error_code error;
    for (const fs::path &part : fs::path(name).parent_path()) {
        path /= part;
        if (part == ".." || fs::is_symlink(path, error)) return true;
    }
    return false;
}

bool IsPlainDirectory(const std::string &path) {
    std::error_code error;
    return fs::is_directory(fs::symlink_status(path, error));
}

/// With the directories above it.
Result<void> CopyInto(const std::string &from, const std::string &to) {
    if (IsPlainDirectory(from)) return MakeIncludedDirectory(to);
    if (auto made = io::MakeDirectories(io::ParentOf(to), 0700); !made) return made;
    if (auto removed = io::RemoveFile(to); !removed) return removed;
    return CopyEntry(from, to);
}

/// Of what was set aside, directories before what is in them.
std::vector<std::string> KeptNames(const std::string &kept) {
    std::vector<std::string> names;
    std::error_code error;
    for (fs::recursive_directory_iterator at(kept, error), end; !error && at != end;
         at.increment(error)) {
        std::string name = at->path().string().substr(kept.size() + 1);
        if ("/" + name != kIncluded || IsPlainDirectory(at->path().string()))
            names.push_back(std::move(name));
    }
    std::sort(names.begin(), names.end());
    return names;
}

}  // namespace

std::vector<std::string> ConfigurationIn(const std::string &pgdata) {
    std::vector<std::string> names(kConfigurationFiles.begin(), kConfigurationFiles.end());
    for (const std::string &path : io::ListIncluded(pgdata + "/postgresql.conf")) {
        if (!path.starts_with(pgdata + "/")) continue;
        std::string name = path.substr(pgdata.size() + 1);
        const bool is_ours = name.starts_with("postgresql-auto-failover");
        const bool is_link = "/" + name == kIncluded && !IsPlainDirectory(path);
        if (!is_ours && !is_link && !IsElsewhere(pgdata, name)) Add(names, name);
    }
    std::erase_if(names,
                  [&pgdata](const std::string &name) { return !io::Exists(pgdata + "/" + name); });
    return names;
}

Result<void> MakeIncludedDirectory(const std::string &path) {
    if (auto made = io::MakeDirectories(path, 0700); !made) return made;
    for (const std::string &name : io::NamesIn(path)) {
        if (!name.ends_with(".conf")) continue;
        if (auto removed = io::RemoveFile(path + "/" + name); !removed) return removed;
    }
    return {};
}

CopyPlace::CopyPlace(const StepContext &context)
    : context_(context), directory_(context.paths.pgdata + ".pgaf-clone") {}

void CopyPlace::ReadNote() {
    auto text = io::ReadFile(NotePath());
    if (!text) return;
    std::stringstream lines(*text);
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with(kTablespace))
            Add(layout_.tablespaces, line.substr(kTablespace.size()));
        if (line.starts_with(kWal)) layout_.wal_directory = line.substr(kWal.size());
    }
}

Result<void> CopyPlace::WriteNote() const {
    std::string text;
    for (const std::string &tablespace : layout_.tablespaces)
        text += std::string(kTablespace) + tablespace + "\n";
    if (!layout_.wal_directory.empty()) text += std::string(kWal) + layout_.wal_directory + "\n";
    return io::WriteFile(NotePath(), text, 0600);
}

std::string CopyPlace::WhyInPlace() const {
    const std::string &pgdata = context_.paths.pgdata;
    const std::string parent = io::ParentOf(pgdata);
    if (layout_.is_mount_point) return "something is mounted there";
    if (!layout_.wal_directory.empty()) return "its WAL is elsewhere";
    if (!layout_.tablespaces.empty()) return "it has tablespaces elsewhere";
    if (io::Exists(pgdata) && !io::IsWritable(parent))
        return fmt::format("\"{}\" is not writable", parent);
    const std::uint64_t size = io::Exists(pgdata) ? io::SizeOfData(pgdata) : 0;
    if (size > io::FreeBytes(parent)) return "there is no room for another copy beside it";
    return "";
}

Result<void> CopyPlace::Choose() {
    layout_ = io::LayoutOf(context_.paths.pgdata);
    ReadNote();
    const std::string why = WhyInPlace();
    is_in_place_ = !why.empty();
    if (is_in_place_) {
        spdlog::info("The copy is made in \"{}\" itself: {}", context_.paths.pgdata, why);
        directory_ = context_.paths.pgdata;
    }
    if (auto aside = SetConfigurationAside(); !aside) return aside;
    return WriteNote();
}

/// In place once: after an interruption what is in PGDATA may be the upstream's.
Result<void> CopyPlace::SetConfigurationAside() const {
    if (is_in_place_ && io::IsDirectory(KeptPath())) return {};
    const std::string fresh = KeptPath() + ".new";
    if (auto removed = io::RemoveTree(fresh); !removed) return removed;
    if (auto made = io::MakeDirectories(fresh, 0700); !made) return made;
    for (const std::string &name : ConfigurationIn(context_.paths.pgdata)) {
        const std::string from = fmt::format("{}/{}", context_.paths.pgdata, name);
        if (auto copied = CopyInto(from, fmt::format("{}/{}", fresh, name)); !copied) return copied;
    }
    const std::string included = context_.paths.pgdata + kIncluded;
    std::error_code error;
    if (fs::is_symlink(included, error)) {
        if (auto copied = CopyEntry(included, fresh + kIncluded); !copied) return copied;
    }
    if (auto moved = io::MoveInto(fresh, KeptPath()); !moved) return moved;
    return io::RemoveTree(fresh);  // an older one
}

Result<void> CopyPlace::ClaimTablespaces(const std::vector<std::string> &locations) {
    for (const std::string &location : locations) {
        const bool is_ours = std::find(layout_.tablespaces.begin(), layout_.tablespaces.end(),
                                       location) != layout_.tablespaces.end();
        if (is_ours) continue;
        if (HasFilesOf(location, context_.install.major)) {
            return Fail(ProblemCode::kRefused,
                        fmt::format("the directory of tablespace \"{}\" is in use", location),
                        "It holds files of a server of this version, which are not an earlier "
                        "copy of this node.",
                        "A tablespace has the same path on every node: nodes with tablespaces "
                        "need machines of their own. Empty it if it belongs to nobody.");
        }
        layout_.tablespaces.push_back(location);
    }
    return WriteNote();
}

Result<void> CopyPlace::MakeRoom() {
    const int major = context_.install.major;
    for (const std::string &tablespace : layout_.tablespaces) {
        if (auto emptied = io::EmptyTablespace(tablespace, major); !emptied) return emptied;
    }
    if (!is_in_place_ || !io::IsDirectory(directory_)) return {};
    // PostgreSQL refuses what others can read, and pg_basebackup leaves a directory as it is.
    if (::chmod(directory_.c_str(), 0700) != 0)
        return tl::unexpected(io::IoProblem("change the mode of", directory_));
    return io::EmptyData(directory_, layout_, major);
}

Result<void> CopyPlace::RestoreConfiguration() const {
    for (const std::string &name : KeptNames(KeptPath())) {
        const std::string kept = fmt::format("{}/{}", KeptPath(), name);
        if (auto copied = CopyInto(kept, fmt::format("{}/{}", directory_, name)); !copied)
            return copied;
    }
    const std::string included = directory_ + kIncluded;
    if (io::Exists(KeptPath() + kIncluded) && !io::Exists(included)) {
        if (auto copied = CopyEntry(KeptPath() + kIncluded, included); !copied) return copied;
    }
    // A copy has no links that lead out of the data directory.
    for (const auto &[name, text] : {std::pair{"postgresql.conf", ""},
                                     {"pg_hba.conf", "local all all peer\n"},
                                     {"pg_ident.conf", ""}}) {
        const std::string path = fmt::format("{}/{}", directory_, name);
        if (io::Exists(path)) continue;
        if (auto made = io::WriteFile(path, text, 0600); !made) return made;
    }
    return {};
}

Result<void> CopyPlace::Forget() const {
    if (auto removed = io::RemoveTree(KeptPath()); !removed) return removed;
    return io::RemoveFile(NotePath());
}

}  // namespace pgaf::node
