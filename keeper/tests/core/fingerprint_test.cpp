// Goal: a fingerprint is read as openssl and people write it, and nothing else is taken for one.
#include "pgaf/core/fingerprint.hpp"

#include <gtest/gtest.h>

namespace pgaf::core {
namespace {

const std::string kBare = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const std::string kOther(64, 'a');

std::string WithColons(const std::string &bare) {
    std::string text;
    for (std::size_t i = 0; i < bare.size(); i += 2)
        text += (text.empty() ? "" : ":") + bare.substr(i, 2);
    return text;
}

TEST(Fingerprint, EveryFormOfOneIsTheSame) {
    std::string upper = kBare;
    for (char &c : upper)
        c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    for (const std::string &text :
         {kBare, upper, "sha256:" + kBare, "SHA256:" + upper, WithColons(kBare), WithColons(upper),
          "sha256:" + WithColons(upper), " " + kBare + " , "}) {
        const auto found = ParseFingerprints(text);
        ASSERT_TRUE(found) << text;
        EXPECT_EQ(*found, std::vector<std::string>{kBare}) << text;
    }
}

TEST(Fingerprint, SeveralAreAListAndNoneIsEmpty) {
    EXPECT_EQ(*ParseFingerprints(kBare + "," + kOther), (std::vector<std::string>{kBare, kOther}));
    EXPECT_TRUE(ParseFingerprints("")->empty());
}

TEST(Fingerprint, NothingElseIsOne) {
    for (const std::string &text :
         {kBare.substr(1), kBare + "0", "g" + kBare.substr(1), "sha1:" + kBare,
          WithColons(kBare) + ":", ":" + WithColons(kBare).substr(1), kBare + "," + "x",
          std::string("sha256:"), kBare + "\n" + kOther}) {
        EXPECT_FALSE(ParseFingerprints(text)) << text;
    }
}

TEST(Fingerprint, AConnectionStringCarriesTheList) {
    const std::vector<std::string> list{kBare, kOther};
    EXPECT_EQ(PinnedIn(PinOf(list)), list);
    EXPECT_TRUE(PinnedIn("psql").empty());
    // Damaged, it lets nobody in: no certificate has that fingerprint.
    EXPECT_EQ(PinnedIn("sha256:12"), std::vector<std::string>{""});
}

}  // namespace
}  // namespace pgaf::core
