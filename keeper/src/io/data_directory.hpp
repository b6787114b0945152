#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "io/common.hpp"

/// A data directory and what of it lies elsewhere: tablespaces, WAL on another disk, configuration
/// files that are links.
namespace pgaf::io {

struct DataLayout {
    bool is_mount_point = false;
    std::string wal_directory;             ///< where pg_wal leads; empty: it is a directory
    std::vector<std::string> tablespaces;  ///< where the links in pg_tblspc lead
    /// Such data cannot change places with a copy beside them.
    [[nodiscard]] bool IsFixed() const {
        return is_mount_point || !wal_directory.empty() || !tablespaces.empty();
    }
};
DataLayout LayoutOf(const std::string &pgdata);

/// Whether another file system begins at `path`.
bool IsMountPoint(const std::string &path);

/// Whether nothing can take the place of this directory: it is one, and it is a mount point, or its
/// parent is not ours to write.
bool IsFixedDirectory(const std::string &path);

/// Bytes on the disk of a data directory, its tablespaces and its WAL.
std::uint64_t SizeOfData(const std::string &pgdata);
/// "41 MB"
std::string HumanSize(std::uint64_t bytes);
/// Bytes that are free for us on the file system of `path`; 0 when it cannot be told.
std::uint64_t FreeBytes(const std::string &path);

/// Gives files of WAL that were cut off their size again, with zeros: PostgreSQL fills a file in
/// place, and never gets beyond the end of one that is too short. Returns their names.
Result<std::vector<std::string>> MendCutWal(const std::string &pgdata, std::uint64_t segment_bytes);

/// Removes what is in `directory`, and leaves the directory. What is mounted below it is emptied.
/// `except`: one name to keep, when it is not empty.
Result<void> EmptyDirectory(const std::string &directory, std::string_view except = {});
/// Each major version of PostgreSQL has a directory of its own in a tablespace.
Result<void> EmptyTablespace(const std::string &tablespace, int pg_major);
/// Empties a data directory, and what of it lies elsewhere. The directories themselves stay.
Result<void> EmptyData(const std::string &pgdata, const DataLayout &layout, int pg_major);
/// The same, and removes PGDATA itself, unless something is mounted there, or it stands in a
/// directory in which nothing may be removed.
Result<void> RemoveData(const std::string &pgdata);

}  // namespace pgaf::io
