// Goal: whatever a path is made of, systemd reads the path. Method: nasty paths, and a reader that
// takes lines apart as systemd.syntax(7) and systemd.exec(5) say.
#include "node/unit.hpp"

#include <gtest/gtest.h>

#include <sstream>

namespace pgaf::node {
namespace {

std::string ValueOf(const std::string &unit, const std::string &key) {
    std::stringstream lines(unit);
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with(key + " = ")) return line.substr(key.size() + 3);
    }
    return {};
}

/// "%%" is a percent sign; every other specifier would be a wrong one here.
std::string WithSpecifiers(const std::string &text) {
    std::string read;
    for (std::size_t at = 0; at < text.size(); ++at) {
        read += text[at];
        if (text[at] != '%') continue;
        EXPECT_EQ(text.substr(at, 2), "%%") << text;
        ++at;
    }
    return read;
}

/// The first word, which is quoted.
std::string FirstWord(const std::string &text) {
    EXPECT_TRUE(text.starts_with('"')) << text;
    std::string word;
    for (std::size_t at = 1; at < text.size(); ++at) {
        if (text[at] == '"') return word;
        if (text[at] == '\\') ++at;
        word += text[at];
    }
    ADD_FAILURE() << "the quotes do not end: " << text;
    return {};
}

UnitFacts Facts() {
    return {.home = "/home/ha", .pgdata = "/data", .user = "ha", .program = "/usr/bin/pg_autoctl"};
}

TEST(Unit, EveryDataDirectoryIsReadAsItIs) {
    for (const char *path :
         {"/d", "/it's", "/say \"so\"", "/100%", "/%h/%%", "/a $HOME b", "/${HOME}", "/back\\slash",
          "/end\\", "/a;b", "/#a", "/ a ", "/a\\x20b", "/a\\nb", "/\xc3\xa4"}) {
        UnitFacts facts = Facts();
        facts.pgdata = path;
        const auto unit = MakeUnit(facts);
        ASSERT_TRUE(unit) << path;
        EXPECT_EQ(WithSpecifiers(FirstWord(ValueOf(*unit, "Environment"))),
                  std::string("PGDATA=") + path);
    }
}

TEST(Unit, EveryProgramAndHomeIsReadAsItIs) {
    // Variables are not replaced in the path of the program.
    for (const char *path : {"/a b/x", "/100%/x", "/a $HOME b/x", "/$$/x", "/a;b/x"}) {
        UnitFacts facts = Facts();
        facts.program = facts.home = path;
        const auto unit = MakeUnit(facts);
        ASSERT_TRUE(unit) << path;
        for (const char *key : {"ExecStart", "ExecReload"})
            EXPECT_EQ(WithSpecifiers(FirstWord(ValueOf(*unit, key))), path);
        EXPECT_EQ(WithSpecifiers(ValueOf(*unit, "WorkingDirectory")), path);
    }
}

TEST(Unit, WhatSystemdCannotReadIsRefused) {
    for (const char *path : {"/a\nExecStartPre = /bin/evil", "/a\rb", "/\x1b[2J"}) {
        for (const auto &member : {&UnitFacts::home, &UnitFacts::pgdata, &UnitFacts::program}) {
            UnitFacts facts = Facts();
            facts.*member = path;
            EXPECT_FALSE(MakeUnit(facts)) << path;
        }
    }
    for (const char *path : {"/it's", "/say \"so\"", "/back\\slash"}) {
        UnitFacts facts = Facts();
        facts.program = path;
        EXPECT_FALSE(MakeUnit(facts)) << path;
    }
    for (const char *path : {"/a\\", "/a "}) {
        UnitFacts facts = Facts();
        facts.home = path;
        EXPECT_FALSE(MakeUnit(facts)) << path;
    }
}

TEST(Unit, ASlowStopIsShorterThanSystemdsPatience) {
    // ServerLoop: 5 s smart, 60 s fast, 10 s immediate; then a last report.
    EXPECT_GT(std::stoi(ValueOf(*MakeUnit(Facts()), "TimeoutStopSec")), 75 + 2);
}

}  // namespace
}  // namespace pgaf::node
