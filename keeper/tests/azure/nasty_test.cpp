// Goal: what is not ours stays data on the way to shells, to ssh and to the terminal. Method: the
// table of nasty values, through a real sh where a shell reads, else through what checks.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "../core/nasty.hpp"
#include "azure/existing.hpp"
#include "azure/install.hpp"
#include "azure/markers.hpp"
#include "azure/topology.hpp"
#include "cli/table.hpp"
#include "io/process.hpp"
#include "pgaf/core/names.hpp"
#include "samples.hpp"

namespace pgaf::azure {
namespace {

std::vector<std::string> Nasty() {
    std::vector<std::string> values = core::kNastyHosts;
    values.insert(values.end(), core::kNastyNames.begin(), core::kNastyNames.end());
    values.insert(values.end(), {"it's", "'; id #", "$(id)", "\\", "*", "~", "-n", "!!", "{{own}}",
                                 "{{public:x}}", "{{private:a;id}}"});
    return values;
}

/// No argument of a program can have it.
bool HasNul(const std::string &value) { return value.find('\0') != std::string::npos; }

TEST(Nasty, AShellReadsEveryValueAsItIs) {
    for (const std::string &value : Nasty()) {
        if (HasNul(value)) continue;
        const auto out =
            io::RunChecked({.argv = {"sh", "-c", "printf '%s.' " + ShellQuote(value)}});
        ASSERT_TRUE(out) << core::Printable(value);
        EXPECT_EQ(*out, value + ".") << ShellQuote(value);
    }
}

TEST(Nasty, AVariableWithASecretIsExportedAsItIs) {
    for (const std::string &value : Nasty()) {
        if (HasNul(value)) continue;
        const auto out =
            io::RunChecked({.argv = {"sh", "-s"},
                            .input = "export X=" + ShellQuote(value) + "\nprintf '%s.' \"$X\"\n"});
        ASSERT_TRUE(out) << core::Printable(value);
        EXPECT_EQ(*out, value + ".");
    }
}

TEST(Nasty, NoAddressOfAzReachesACommandLine) {
    for (std::string value : Nasty()) {
        if (value.empty() || core::ParseIpAddress(value)) continue;
        std::string escaped;  // JSON
        for (const char c : value) {
            if (c == '"' || c == '\\') escaped += '\\';
            const bool is_control = static_cast<unsigned char>(c) < ' ';
            escaped += is_control ? fmt::format("\\u{:04x}", c) : std::string(1, c);
        }
        for (const char *kind : {"public", "private"}) {
            const bool is_public = kind == std::string_view("public");
            const std::string answer = fmt::format(
                R"([{{"virtualMachine": {{"name": "ha-demo-paris-a", "network":
                   {{"publicIpAddresses": [{{"ipAddress": "{}"}}],
                     "privateIpAddresses": ["{}"]}}}}}}])",
                is_public ? escaped : "203.0.113.4", is_public ? "10.1.1.4" : escaped);
            EXPECT_FALSE(ReadAddresses(answer, Paris())) << core::Printable(value);
        }
    }
}

TEST(Nasty, NoNameOfARegionOrAPackageReachesACommandLine) {
    for (const std::string &value : Nasty()) {
        // Lower-case letters and digits are a good name, and a host may be one.
        if (value.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == value.npos &&
            !value.empty() && value.front() != '-' && value.back() != '-' && value.size() < 20)
            continue;
        Region region = Paris();
        region.prefix = value;
        EXPECT_FALSE(CheckRegion(region)) << core::Printable(value);
        region = Paris();
        region.region = value;
        EXPECT_FALSE(CheckRegion(region)) << core::Printable(value);
    }
    for (const std::string &value : Nasty()) {
        if (!CheckInstall({.packages = {value}})) continue;
        EXPECT_FALSE(value.starts_with('-')) << "an option of apt";
        EXPECT_EQ(value.find_first_of(" \t\r\n;&|$`'\"\\<>(){}*?[]#!"), value.npos) << value;
    }
}

TEST(Nasty, WhatAMachineSaysMovesNoCursor) {
    for (const std::string &value : Nasty()) {
        const std::string shown = cli::PrintableLines("Name | State\n" + value + " | primary\n");
        const std::string table = cli::FormatTable({"Name"}, {{value}});
        for (const std::string &text : {shown, table}) {
            for (const char c : text) {
                const auto byte = static_cast<unsigned char>(c);
                EXPECT_TRUE(c == '\n' || (byte >= ' ' && byte != 0x7f)) << core::Printable(value);
            }
        }
        EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 3) << core::Printable(value);
    }
    EXPECT_EQ(cli::PrintableLines("a\r\nb"), "a\nb");
}

}  // namespace
}  // namespace pgaf::azure
