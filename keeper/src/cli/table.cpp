#include "cli/table.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "pgaf/core/names.hpp"

namespace pgaf::cli {

std::string FormatRow(const std::vector<std::size_t> &widths,
                      const std::vector<std::string> &cells) {
    std::string line;
    for (std::size_t i = 0; i < cells.size(); ++i) {
        line +=
            fmt::format("{}{:>{}}", i == 0 ? "" : " | ", core::Printable(cells[i]), widths.at(i));
    }
    return line + "\n";
}

std::string FormatRule(const std::vector<std::size_t> &widths) {
    std::string line;
    for (std::size_t i = 0; i < widths.size(); ++i) {
        line += fmt::format("{}{:->{}}", i == 0 ? "" : "-+-", "", widths[i]);
    }
    return line + "\n";
}

std::string FormatTable(const std::vector<std::string> &header,
                        const std::vector<std::vector<std::string>> &rows) {
    std::vector<std::size_t> widths;
    for (std::size_t column = 0; column < header.size(); ++column) {
        std::size_t width = header[column].size();
        for (const auto &row : rows)
            width = std::max(width, core::Printable(row.at(column)).size());
        widths.push_back(width);
    }
    std::string text = FormatRow(widths, header) + FormatRule(widths);
    for (const auto &row : rows)
        text += FormatRow(widths, row);
    return text;
}

}  // namespace pgaf::cli
