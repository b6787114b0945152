#include "view/request.hpp"

#include <gtest/gtest.h>

#include "http/endpoint.hpp"
#include "http/status_source.hpp"

namespace pgaf::view {
namespace {

// Goal: what strangers send is either understood exactly, or refused.

TEST(Request, PathAndParametersAreTakenApart) {
    const auto request = ParseRequest(Method::kGet, "/replica?lag=16MB&mode=write&x=%41%20b+c");
    ASSERT_TRUE(request);
    EXPECT_EQ(request->path, "/replica");
    EXPECT_EQ(request->Find("lag"), "16MB");
    EXPECT_EQ(request->Find("mode"), "write");
    EXPECT_EQ(request->Find("x"), "A b c");
    EXPECT_FALSE(request->Find("nothing"));
}

TEST(Request, TheFirstOfTwoParametersCounts) {
    EXPECT_EQ(ParseRequest(Method::kGet, "/replica?lag=1&lag=2")->Find("lag"), "1");
}

TEST(Request, EmptyPartsOfAQueryAreNothing) {
    const auto request = ParseRequest(Method::kGet, "/?&&a&b=&");
    ASSERT_TRUE(request);
    EXPECT_EQ(request->query.size(), 2U);
    EXPECT_EQ(request->Find("a"), "");
}

TEST(Request, WhatIsMalformedIsRefused) {
    for (const std::string uri : {"", "primary", "http://x/primary", "*", "/replica?lag=%",
                                  "/replica?lag=%4", "/replica?lag=%zz", "/replica?lag=%00",
                                  "/replica?lag=%0a", "/a b", "/a\x7f", "/\xc3\xa4", "/\n"})
        EXPECT_FALSE(ParseRequest(Method::kGet, uri)) << uri;
    EXPECT_FALSE(ParseRequest(Method::kGet, "/" + std::string(kUriMost, 'a')));
    std::string many = "/replica?";
    for (int i = 0; i < 17; ++i)
        many += "a=1&";
    EXPECT_FALSE(ParseRequest(Method::kGet, many));
}

TEST(Request, OnlyThreeMethodsAreKnown) {
    EXPECT_EQ(ParseMethod("GET"), Method::kGet);
    EXPECT_EQ(ParseMethod("HEAD"), Method::kHead);
    EXPECT_EQ(ParseMethod("OPTIONS"), Method::kOptions);
    for (const char *other : {"POST", "get", "PUT", "DELETE", ""})
        EXPECT_EQ(ParseMethod(other), Method::kOther) << other;
}

TEST(ParseBytes, UnitsAreThoseOfPostgreSQL) {
    EXPECT_EQ(ParseBytes("0"), 0U);
    EXPECT_EQ(ParseBytes("1048576"), 1U << 20);
    EXPECT_EQ(ParseBytes("7B"), 7U);
    EXPECT_EQ(ParseBytes("16kB"), 16U << 10);
    EXPECT_EQ(ParseBytes("64MB"), 64U << 20);
    EXPECT_EQ(ParseBytes("1GB"), 1U << 30);
    EXPECT_EQ(ParseBytes("2tb"), std::uint64_t{2} << 40);
    EXPECT_EQ(ParseBytes("18446744073709551615"), UINT64_MAX);
}

TEST(ParseBytes, AnythingElseIsRefused) {
    for (const char *text : {"", "x", "-1", "+1", " 1", "1 MB", "1.5MB", "MB", "1MiB", "1k", "0x10",
                             "18446744073709551616", "17179869184GB", "99999999999999999999999"})
        EXPECT_FALSE(ParseBytes(text)) << text;
}

TEST(Endpoint, IsANumericAddressAndAPort) {
    const http::Endpoint local{"127.0.0.1", 8008};
    const http::Endpoint all{"*", 1};
    const http::Endpoint six{"::1", 65535};
    EXPECT_EQ(*http::ParseEndpoint("127.0.0.1:8008"), local);
    EXPECT_EQ(*http::ParseEndpoint("*:1"), all);
    EXPECT_EQ(*http::ParseEndpoint("[::1]:65535"), six);
    for (const char *text :
         {"", "8008", "localhost:8008", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536",
          "127.0.0.1:80x", "::1:8008", "[::1]", "[127.0.0.1]:80", "127.1:80", ":80", "*:-1"})
        EXPECT_FALSE(http::ParseEndpoint(text)) << text;
}

TEST(ProcessLine, StateAndStartAreReadWhateverTheNameIs) {
    const std::string rest = " 1 10 10 0 -1 4194560 1 0 0 0 5 6 0 0 20 0 1 0 987654 1000 1 1\n";
    for (const char *name : {"postgres", "a b", ") S 1", "x) T"}) {
        const auto line = http::ParseProcessLine("123 (" + std::string(name) + ") S" + rest);
        EXPECT_EQ(line.state, 'S') << name;
        EXPECT_EQ(line.start, 987654U) << name;
    }
    for (const char *text : {"", "123", "123 (postgres)", "123 (postgres) ", "123 (x) S 1 2"})
        EXPECT_EQ(http::ParseProcessLine(text).start, 0U) << text;
}

}  // namespace
}  // namespace pgaf::view
