// Goal: what follows from two control files and histories: follow, rewind, copy, or ask the WAL.
// Method: a table.
#include "supervisor/rejoin.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace pgaf::supervisor {
namespace {

TEST(JudgeKinship, IsATable) {
    struct Row {
        const char *why;
        ControlFacts ours;
        Kinship kinship;
    };
    const core::TimelineHistory third{{1, {0x2000}}, {2, {0x5000}}};
    const core::TimelineHistory second{{1, {0x2000}}};
    const SourceIdentity primary{.timeline = 3, .end = {0x9000}, .history = third};
    const Row rows[] = {
        {"a standby of the same timeline has nothing of its own",
         {.state = ClusterState::kShutDownInRecovery,
          .timeline = 3,
          .checkpoint = {0x9000},
          .history = third},
         Kinship::kFollows},
        {"nor has one that crashed",
         {.state = ClusterState::kInArchiveRecovery, .timeline = 3, .history = third},
         Kinship::kFollows},
        {"nor a copy that was never started",
         {.timeline = 3, .history = third, .is_fresh_copy = true},
         Kinship::kFollows},
        {"unless it is ahead of the primary",
         {.state = ClusterState::kInArchiveRecovery,
          .timeline = 3,
          .min_recovery = {0x9001},
          .history = third},
         Kinship::kMustCopy},
        {"or its timeline came to be otherwise, under the same number",
         {.state = ClusterState::kInArchiveRecovery,
          .timeline = 3,
          .history = {{1, {0x2000}}, {2, {0x4000}}}},
         Kinship::kMustCopy},
        {"or nobody knows how it came to be",
         {.state = ClusterState::kInArchiveRecovery, .timeline = 3},
         Kinship::kMustCopy},
        {"or it was out of recovery there, and numbers do not tell",
         {.state = ClusterState::kShutDownInRecovery,
          .timeline = 3,
          .checkpoint = {0x8000},
          .history = third,
          .has_own_writes = true},
         Kinship::kMustCopy},
        {"or on one that the primary comes from",
         {.state = ClusterState::kShutDownInRecovery,
          .timeline = 2,
          .checkpoint = {0x4000},
          .history = second,
          .has_own_writes = true},
         Kinship::kMustCopy},
        {"or on one that the control file does not know yet",
         {.state = ClusterState::kInArchiveRecovery,
          .timeline = 2,
          .checkpoint = {0x4000},
          .history = second,
          .received_timeline = 3,
          .has_own_writes = true},
         Kinship::kMustCopy},
        {"but not when the data were copied since",
         {.timeline = 3, .history = third, .is_fresh_copy = true, .has_own_writes = true},
         Kinship::kFollows},
        {"nor when its own timeline has a number of its own",
         {.timeline = 4, .has_own_writes = true},
         Kinship::kDiverged},
        {"a primary that has the same number used it twice",
         {.state = ClusterState::kShutDown, .timeline = 3, .history = third},
         Kinship::kMustCopy},
        {"and one that crashed too", {.timeline = 3, .history = third}, Kinship::kMustCopy},
        {"a timeline that the primary does not come from", {.timeline = 4}, Kinship::kDiverged},
        {"the number of one that it comes from, given to another one",
         {.timeline = 2, .checkpoint = {0x1000}, .history = {{1, {0x1800}}}},
         Kinship::kDiverged},
        {"or perhaps another one", {.timeline = 2, .checkpoint = {0x1000}}, Kinship::kDiverged},
        {"a checkpoint at the fork",
         {.timeline = 2, .checkpoint = {0x5000}, .history = second},
         Kinship::kDiverged},
        {"a checkpoint beyond the fork of an older timeline",
         {.timeline = 1, .checkpoint = {0x2001}},
         Kinship::kDiverged},
        {"shut down where the others went on: they have its last record",
         {.state = ClusterState::kShutDown,
          .timeline = 2,
          .checkpoint = {0x4f00},
          .history = second},
         Kinship::kAskWal},
        {"shut down before that: what they have from it is lost here, and it wrote in its place",
         {.state = ClusterState::kShutDown,
          .timeline = 2,
          .checkpoint = {0x4000},
          .history = second},
         Kinship::kMustCopy},
        {"recovery has gone beyond the fork",
         {.timeline = 2, .checkpoint = {0x4000}, .min_recovery = {0x5001}, .history = second},
         Kinship::kDiverged},
        {"nobody knows yet",
         {.timeline = 2, .checkpoint = {0x4fff}, .min_recovery = {0x5000}, .history = second},
         Kinship::kAskWal},
    };
    for (const Row &row : rows)
        EXPECT_EQ(JudgeKinship(row.ours, primary).kinship, row.kinship) << row.why;
    EXPECT_EQ(JudgeKinship({.timeline = 1, .checkpoint = {0x1000}}, primary).fork,
              core::Lsn{0x2000});
    const ControlFacts received{.timeline = 1, .checkpoint = {0x1000}, .received_timeline = 2};
    EXPECT_EQ(JudgeKinship(received, primary).received_fork, core::Lsn{0x5000});
}

TEST(IsNothingThere, WhatIsUnclearCountsAsSomething) {
    EXPECT_TRUE(IsNothingThere(1, "", "error: could not find a valid record after 0/2000"));
    EXPECT_TRUE(IsNothingThere(1, "", "error: could not find file \"000000010000000000000002\""));
    EXPECT_FALSE(IsNothingThere(0, "", "could not find a valid record"));
    EXPECT_FALSE(IsNothingThere(1, "rmgr: Heap", "could not find a valid record"));
    EXPECT_FALSE(IsNothingThere(1, "", "error: out of memory"));
    EXPECT_FALSE(IsNothingThere(1, "", ""));
}

}  // namespace
}  // namespace pgaf::supervisor
