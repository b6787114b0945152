// Goal: the deadline of the gate moves only by a grant, or by confirmations of enough members of
// every set. Method: the lease alone, over a fake gate, clock and server.
#include "worker/lease.hpp"

#include "bench.hpp"

namespace pgaf::worker {
namespace {

constexpr Milliseconds kLength{3000};

class LeaseTest : public testing::Test {
 protected:
    void Grant(GrantKind kind, BootTime sent_at) {
        core::Reply reply;
        reply.grant = kind;
        reply.lease = kLength;
        lease.Accept(reply, sent_at);
    }
    /// One turn with the monitor silent.
    void Extend(const std::vector<core::SyncSet> &sets, const std::vector<NodeId> &streamed = {}) {
        lease.ExtendByStream(
            world, {.facts = world.facts, .sets = sets, .streamed = streamed, .now = world.now});
    }
    /// These nodes have confirmed everything that was written.
    void Confirm(std::initializer_list<std::int64_t> nodes) {
        for (const std::int64_t node : nodes)
            world.Sender(node).flush_lsn = world.facts.lsn;
    }
    void SetUp() override {
        world.facts.lsn = {0x5000};
        for (const std::int64_t node : {2, 3, 4})
            world.AddSender(node, static_cast<int>(node));
        start = world.now;
        Grant(GrantKind::kTimed, start);
        world.now = start + Milliseconds{2000};
    }

    FakeWorld world;
    BootTime start;
    Lease lease{world, world};
};

TEST_F(LeaseTest, ATimedGrantCountsFromBeforeTheReportWasSent) {
    EXPECT_EQ(world.deadline, start + kLength);
    EXPECT_TRUE(lease.IsTimed());
    EXPECT_EQ(lease.length(), kLength);
}

TEST_F(LeaseTest, ATimedGrantExtendsButNeverShortens) {
    Grant(GrantKind::kTimed, start + Milliseconds{500});
    EXPECT_EQ(world.deadline, start + Milliseconds{3500});
    Grant(GrantKind::kTimed, start + Milliseconds{200});
    EXPECT_EQ(world.deadline, start + Milliseconds{3500});
}

TEST_F(LeaseTest, NoGrantChangesNothing) {
    Grant(GrantKind::kNone, start + Milliseconds{900});
    EXPECT_EQ(world.deadline, start + kLength);
}

TEST_F(LeaseTest, ATimedGrantAfterAnUnlimitedOneIsObeyedAtOnce) {
    Grant(GrantKind::kUnlimited, start);
    EXPECT_EQ(world.deadline, core::kForever);
    EXPECT_FALSE(lease.IsTimed());
    Grant(GrantKind::kTimed, start + Milliseconds{10});
    EXPECT_EQ(world.deadline, start + Milliseconds{3010});
    EXPECT_TRUE(lease.IsTimed());
}

TEST_F(LeaseTest, OneMemberExtendsAnyOneOfTwo) {
    Extend({{1, {{2}, {3}}}});
    EXPECT_EQ(world.Count("marker"), 1);
    EXPECT_EQ(world.deadline, start + kLength);
    EXPECT_TRUE(lease.IsExtending());
    Confirm({3});
    Extend({{1, {{2}, {3}}}});
    EXPECT_EQ(world.deadline, start + Milliseconds{2000} + kLength);
}

TEST_F(LeaseTest, FewerMembersThanTheSetAsksForExtendNothing) {
    Extend({{2, {{2}, {3}, {4}}}});
    Confirm({4});
    Extend({{2, {{2}, {3}, {4}}}});
    EXPECT_EQ(world.deadline, start + kLength);
    Confirm({2});
    Extend({{2, {{2}, {3}, {4}}}});
    EXPECT_GT(world.deadline, start + kLength);
}

TEST_F(LeaseTest, MembersOfEverySetThatMayBeInUseMustConfirm) {
    const std::vector<core::SyncSet> sets{{1, {{2}}}, {1, {{3}}}};
    Extend(sets);
    Confirm({2});
    Extend(sets);
    EXPECT_EQ(world.deadline, start + kLength);
    Confirm({3});
    Extend(sets);
    EXPECT_GT(world.deadline, start + kLength);
}

TEST_F(LeaseTest, WhoeverIsNotAMemberExtendsNothing) {
    Extend({{1, {{2}}}});
    Confirm({3, 4});
    Extend({{1, {{2}}}});
    EXPECT_EQ(world.deadline, start + kLength);
}

TEST_F(LeaseTest, ASetOfMoreThanThereAreMembersExtendsNothing) {
    Extend({{2, {{2}}}});
    Confirm({2, 3, 4});
    Extend({{2, {{2}}}});
    EXPECT_EQ(world.deadline, start + kLength);
}

TEST_F(LeaseTest, ASetOfKZeroNeedsEveryMemberAndWhoeverHasStreamed) {
    const std::vector<core::SyncSet> sets{{0, {{2}}}};
    Extend(sets, {{3}});
    Confirm({2});
    Extend(sets, {{3}});
    EXPECT_EQ(world.deadline, start + kLength);
    Confirm({3});
    Extend(sets, {{3}});
    EXPECT_GT(world.deadline, start + kLength);
}

TEST_F(LeaseTest, ASetThatNamesNobodyExtendsNothing) {
    Extend({{0, {}}});
    Confirm({2, 3, 4});
    Extend({{0, {}}});
    EXPECT_EQ(world.deadline, start + kLength);
}

TEST_F(LeaseTest, AMemberThatIsGoneHasConfirmedNothing) {
    Extend({{1, {{2}}}});
    Confirm({2});
    world.RemoveSender(2);
    Extend({{1, {{2}}}});
    EXPECT_EQ(world.deadline, start + kLength);
}

TEST_F(LeaseTest, WithoutSetsNoMarkerIsWritten) {
    Extend({});
    EXPECT_EQ(world.Count("marker"), 0);
    EXPECT_FALSE(lease.IsExtending());
}

TEST_F(LeaseTest, TheTimeOfAMarkerIsTakenBeforeTheRecordIsWritten) {
    world.marker_takes = Milliseconds{700};
    Extend({{1, {{2}}}});
    Confirm({2});
    Extend({{1, {{2}}}});
    EXPECT_EQ(world.deadline, start + Milliseconds{2000} + kLength);
}

TEST_F(LeaseTest, AMarkerIsWrittenFourTimesInALease) {
    const std::vector<core::SyncSet> sets{{1, {{2}}}};
    for (int i = 0; i < 300; ++i) {
        Extend(sets);
        world.now = world.now + Milliseconds{10};
    }
    EXPECT_EQ(world.Count("marker"), 4);
    EXPECT_EQ(world.PausesBetween("marker"), (std::vector<std::int64_t>{750, 750, 750}));
}

TEST_F(LeaseTest, AnOlderMarkerThatIsConfirmedExtendsByItsOwnTime) {
    const std::vector<core::SyncSet> sets{{1, {{2}}}};
    Extend(sets);
    Confirm({2});
    world.now = world.now + Milliseconds{800};
    Extend(sets);  // writes a second marker, and sees the first one confirmed
    EXPECT_EQ(world.Count("marker"), 2);
    EXPECT_EQ(world.deadline, start + Milliseconds{2000} + kLength);
}

TEST_F(LeaseTest, MarkersOfAnEarlierSilenceAreForgotten) {
    const std::vector<core::SyncSet> sets{{1, {{2}}}};
    Extend(sets);
    lease.StopStream();
    EXPECT_FALSE(lease.IsExtending());
    Confirm({2});
    world.now = world.now + Milliseconds{400};
    Extend(sets);
    EXPECT_EQ(world.Count("marker"), 2);
    EXPECT_EQ(world.deadline, start + kLength);
}

}  // namespace
}  // namespace pgaf::worker
