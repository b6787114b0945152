#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "io/common.hpp"

/// Where settings stand in PostgreSQL's configuration files.
namespace pgaf::io {

struct ConfigLine {
    std::string file;
    int number = 0;
    std::string name;
};

/// The lines of `path` and of what it includes, in the order in which PostgreSQL reads them.
std::vector<ConfigLine> ReadConfigLines(const std::string &path);

/// The files that `path` includes, directly or not, and before the files of a directory that one.
std::vector<std::string> ListIncluded(const std::string &path);

/// The line that PostgreSQL means when it refuses a value and says only the setting's name, in
/// whatever language: the last one for the setting that is named first. Null: none is named.
const ConfigLine *FindRefusedLine(const std::vector<ConfigLine> &lines, std::string_view said);

}  // namespace pgaf::io
