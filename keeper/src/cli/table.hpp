#pragma once

#include <string>
#include <vector>

namespace pgaf::cli {

/// Lines that another program or machine has written: its line ends stay, nothing else moves a
/// cursor.
std::string PrintableLines(std::string_view text);

/// Right-aligned columns, " | " between them and a rule of "-+-" below the header.
std::string FormatTable(const std::vector<std::string> &header,
                        const std::vector<std::vector<std::string>> &rows);

/// The same with fixed widths, for tables that grow while they are printed.
std::string FormatRow(const std::vector<std::size_t> &widths,
                      const std::vector<std::string> &cells);
std::string FormatRule(const std::vector<std::size_t> &widths);

}  // namespace pgaf::cli
