// Goal: what a public-address service answers never opens the machines to more than one address.
// Method: answers as services gave them, and as they must not be believed.
#include "azure/address.hpp"

#include <gtest/gtest.h>

namespace pgaf::azure {
namespace {

TEST(PublicAddress, IsTakenWithoutTheWhiteSpaceAroundIt) {
    EXPECT_EQ(*ReadPublicAddress("203.0.113.7"), "203.0.113.7");
    EXPECT_EQ(*ReadPublicAddress(" 203.0.113.7\r\n"), "203.0.113.7");
}

TEST(PublicAddress, JunkIsRefused) {
    for (const char *answer :
         {"", "\n", "<html>203.0.113.7</html>", "upstream connect error or disconnect",
          "203.0.113.7 203.0.113.8", "203.0.113", "2001:db8::7", "203.0.113.256", "*"}) {
        EXPECT_FALSE(ReadPublicAddress(answer)) << answer;
    }
    EXPECT_FALSE(ReadPublicAddress(std::string_view("203.0.113.7\0x", 13)));
}

TEST(PublicAddress, OneThatNoHostOfTheInternetHasIsRefused) {
    for (const char *answer : {"0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "169.254.1.1",
                               "172.31.255.255", "192.168.1.1", "224.0.0.1", "255.255.255.255"}) {
        EXPECT_FALSE(ReadPublicAddress(answer)) << answer;
    }
    for (const char *answer : {"11.0.0.1", "100.128.0.1", "172.32.0.1", "192.169.0.1"})
        EXPECT_TRUE(ReadPublicAddress(answer)) << answer;
}

TEST(PublicAddress, TheNextServiceIsAskedAfterJunk) {
    std::vector<std::string> asked;
    const auto get = [&](const std::string &url) -> Result<std::string> {
        asked.push_back(url);
        if (url == "down") return Fail(ProblemCode::kTimeout, "no answer in 10 s");
        return std::string(url == "html" ? "<html>" : "203.0.113.7\n");
    };
    EXPECT_EQ(*FindPublicAddress({"down", "html", "good", "never"}, get), "203.0.113.7");
    EXPECT_EQ(asked, (std::vector<std::string>{"down", "html", "good"}));
    const auto none = FindPublicAddress({"down", "html"}, get);
    ASSERT_FALSE(none);
    EXPECT_NE(none.error().detail.find("no answer in 10 s"), std::string::npos);
    EXPECT_NE(none.error().detail.find("<html>"), std::string::npos);
    EXPECT_NE(none.error().hint.find("--allow-from"), std::string::npos);
}

TEST(AllowFrom, AnAddressIsANetworkOfOne) {
    EXPECT_EQ(*CheckAllowed("203.0.113.7"), "203.0.113.7/32");
    EXPECT_EQ(*CheckAllowed("203.0.113.0/24"), "203.0.113.0/24");
}

TEST(AllowFrom, AWideNetworkIsWantedTwice) {
    EXPECT_EQ(*CheckAllowed("203.0.0.0/16"), "203.0.0.0/16");
    for (const char *cidr : {"203.0.0.0/15", "203.0.0.0/8"}) {
        const auto refused = CheckAllowed(cidr);
        ASSERT_FALSE(refused) << cidr;
        EXPECT_NE(refused.error().hint.find("--yes"), std::string::npos);
        EXPECT_EQ(*CheckAllowed(cidr, true), cidr);
    }
}

TEST(AllowFrom, TheWorldIsRefused) {
    for (const char *cidr : {"0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/7", "*", "Internet", "",
                             "203.0.113.7/", "203.0.113.7/33", "203.0.113.7/-1", "::/0", "/8"}) {
        EXPECT_FALSE(CheckAllowed(cidr, true)) << cidr;
    }
}

}  // namespace
}  // namespace pgaf::azure
