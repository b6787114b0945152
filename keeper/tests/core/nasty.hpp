#pragma once

#include <string>
#include <vector>

/// What somebody might put where a host, a name or a value is expected. Every place that writes
/// such a text into something else is tried with this table.
namespace pgaf::core {

inline const std::vector<std::string> kNastyHosts{
    "",
    "localhost scram-sha-256\nhost all all 0.0.0.0/0 trust #",
    "a\r",
    "a\tb",
    "a b",
    "a#b",
    "a\"b",
    "a'b",
    "a\\b",
    "a,b",
    "a/b",
    "0.0.0.0/0",
    "::/0",
    "all",
    "ALL",
    "samehost",
    "samenet",
    "+role",
    "@file",
    ".example.com",
    "a..b",
    "-oProxyCommand=id",
    "a-",
    "1234",
    "10.0.0",
    "10.0.0.256",
    "010.0.0.1",
    "fe80::1%eth0",
    "[::1]",
    "::1::2",
    "1:2:3:4:5:6:7:8:9",
    ":1",
    "$(id)",
    "`id`",
    "a;id",
    "a&b",
    "a|b",
    "a=b",
    "a?sslmode=disable",
    "h\xC3\xB6st",
    std::string("a\0b", 3),
    "\x1b[2J",
    std::string(256, 'a'),
    std::string(64, 'a') + ".b",
};

inline const std::vector<std::string> kNastyNames{
    "a\nb",
    "a\rb",
    "\x1b]0;title\x07",
    "\x7f",
    std::string("a\0b", 3),
    "\xC2\x9B"
    "2J",               // CSI as one character
    "\xE2\x80\xAEtxt",  // reads from right to left
    "\xE2\x80\xA8line",
    "\xFF\xFE",
    "\xC0\xAF",  // "/" in a form that is no UTF-8
};

}  // namespace pgaf::core
