#include "supervisor/permanent.hpp"

#include <gtest/gtest.h>

namespace pgaf::supervisor {
namespace {

using core::Problem;
using core::ProblemCode;

TEST(Permanent, APasswordDoesNotGetBetterByWaiting) {
    const Problem problem{
        ProblemCode::kPostgres,
        "could not connect to node 1 \"a\" (h:1): FATAL:  password authentication "
        "failed for user \"pgautofailover_replicator\"",
        {},
        {}};
    const auto remedy = RemedyOf(problem);
    ASSERT_TRUE(remedy.has_value());
    EXPECT_NE(remedy->find("PG_AUTOCTL_REPLICATION_PASSWORD"), std::string::npos);
}

TEST(Permanent, APasswordIsWrongInEveryLanguage) {
    EXPECT_TRUE(RemedyOf({ProblemCode::kPostgres,
                          "FATAL:  Passwort-Authentifizierung fehlgeschlagen (SQLSTATE 28P01)",
                          {},
                          {}})
                    .has_value());
}

TEST(Permanent, TheReasonMayStandInTheDetail) {
    EXPECT_TRUE(RemedyOf({ProblemCode::kPostgres,
                          "\"pg_basebackup\" ended with status 1",
                          "error: directory \"/space\" exists but is not empty",
                          {}})
                    .has_value());
}

TEST(Cause, IsTheLastLineThatNamesAnError) {
    const char *message = "could not copy node 2: \"pg_basebackup\" ended with status 1";
    struct {
        const char *detail, *said;
    } const rows[] = {
        {"pg_basebackup: checkpoint completed\npg_basebackup: error: could not write to file "
         "\"x\": No space left on device\npg_basebackup: removing data directory \"d\"",
         ": could not write to file \"x\": No space left on device"},
        {"connection failed: FATAL:  sorry, too many clients already",
         ": sorry, too many clients already"},
        {"pg_rewind: error: a\npg_rewind: fatal: b", ": b"},
        {"pg_basebackup: Fehler: nichts", ""},
        {"", ""}};
    for (const auto &row : rows)
        EXPECT_EQ(WithCause({ProblemCode::kPostgres, message, row.detail, {}}),
                  std::string(message) + row.said);
    EXPECT_EQ(WithCause({ProblemCode::kPostgres, "failed: b", "error: b", {}}), "failed: b");
}

TEST(Permanent, AServerThatStartsIsWaitedFor) {
    for (const char *said : {"the database system is starting up", "Connection refused",
                             "no pg_hba.conf entry for replication connection"}) {
        EXPECT_FALSE(RemedyOf({ProblemCode::kPostgres, said, {}, {}}).has_value()) << said;
    }
}

}  // namespace
}  // namespace pgaf::supervisor
