// Goal: a node with damaged data is nobody's first choice, and nobody's source, while another one
// is whole; and a lost primary is not forgotten while it may write.
#include "group_builder.hpp"
#include "pgaf/core/intake.hpp"

namespace pgaf::core::test {
namespace {

using enum NodeState;

void Damage(GroupView &view, NodeId id) {
    NodeView &node = *view.Find(id);
    node.report.is_damaged = true;
    node.report.problem = "damaged data were seen: invalid page";
}

TEST(Damage, AWholeStandbyIsChosenWhateverThePriorities) {
    GroupView view = Steady(3);
    view.Find(kB)->candidate_priority = 90;
    EXPECT_EQ(BuildReply(view, kA, KeeperHolder::kWorker).peers.at(0).is_damaged, false);
    Damage(view, kB);
    EXPECT_EQ(OutlookOf(view).candidate, kC);
    EXPECT_EQ(HealthOf(view, *view.Find(kB)), 0);
    EXPECT_EQ(HealthOf(view, *view.Find(kC)), 1);
    EXPECT_TRUE(BuildReply(view, kA, KeeperHolder::kWorker).peers.at(0).is_damaged);
}

TEST(Damage, NobodyHandsOverToIt) {
    GroupView view = Steady();
    ASSERT_TRUE(RequestFailover(view).has_value());
    Damage(view, kB);
    const auto refused = RequestFailover(view);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().message,
              "cannot hand over to node 2 \"b\": a part of its data is damaged");
    EXPECT_EQ(refused.error().hint, "Copy it anew first: pg_autoctl reinit --name b.");
    EXPECT_FALSE(RequestMaintenance(view, kA, nullptr).has_value());
    EXPECT_FALSE(RequestRemoval(view, kA, false).has_value());
    GroupView three = Steady(3);
    Damage(three, kB);
    EXPECT_TRUE(RequestFailover(three).has_value()) << "c is whole";
    EXPECT_FALSE(RequestFailover(three, {.preferred = kB}).has_value());
    // Where both are damaged the operator may have his reasons.
    Damage(view, kA);
    EXPECT_TRUE(RequestFailover(view).has_value());
}

TEST(Damage, ALostPrimaryIsReplacedAllTheSame) {
    GroupView view = Steady();
    Damage(view, kB);
    KillPrimary(view);
    Advance(view);
    EXPECT_NE(view.Find(kB)->goal, kSecondary) << "service comes first";
}

TEST(Damage, ADamagedPrimaryIsNobodysSource) {
    GroupView view = Steady();
    view.Find(kB)->goal = kMaintenance;
    Reach(view, kB);
    view.sync.goal = view.sync.confirmed = {};
    ASSERT_TRUE(RequestCopy(view, kB).has_value());
    Damage(view, kA);
    const auto refused = RequestCopy(view, kB);
    ASSERT_FALSE(refused.has_value());
    EXPECT_NE(refused.error().detail.find("This node may be whole"), std::string::npos);
    EXPECT_NE(refused.error().hint.find("perform switchover"), std::string::npos);
    Damage(view, kB);
    const auto both = RequestCopy(view, kB);
    ASSERT_FALSE(both.has_value());
    EXPECT_NE(both.error().hint.find("pg_autoctl restart --name a"), std::string::npos);
}

TEST(Damage, TravelsInReports) {
    Report report;
    report.formation = "default";
    report.node = {1};
    EXPECT_FALSE(DecodeReport(Encode(report))->is_damaged);
    report.is_damaged = true;
    EXPECT_TRUE(DecodeReport(Encode(report))->is_damaged);
}

/// a was alone and writes for ever; b is about to follow it.
GroupView AloneWithAStandbyToBe() {
    GroupView view = Steady();
    view.Find(kA)->goal = kWaitPrimary;
    Reach(view, kA);
    view.Find(kB)->goal = kCatchingup;
    Reach(view, kB);
    view.sync.goal = view.sync.confirmed = {};
    Silence(*view.Find(kA), Milliseconds{600'000});
    view.Find(kA)->lease_left = kNoLimit;
    return view;
}

// A primary that was alone has no limit of time: no silence proves that it has ended.
TEST(Force, APrimaryWithoutALimitIsNotForgotten) {
    GroupView view = AloneWithAStandbyToBe();
    const auto refused = RequestRemoval(view, kA, true);
    ASSERT_FALSE(refused.has_value());
    EXPECT_NE(refused.error().detail.find("without a limit of time"), std::string::npos);
    EXPECT_NE(refused.error().hint.find("--primary-is-off"), std::string::npos);
    EXPECT_NE(refused.error().hint.find("drop the others first"), std::string::npos);
    view.Find(kA)->proved_fenced = true;
    EXPECT_TRUE(RequestRemoval(view, kA, true).has_value()) << "its own keeper has said so";
}

TEST(Force, TheLastNodeMayGo) {
    GroupView view = AloneWithAStandbyToBe();
    EXPECT_TRUE(RequestRemoval(view, kB, true).has_value());
    view.nodes.pop_back();
    EXPECT_TRUE(RequestRemoval(view, kA, true).has_value()) << "nobody is left who could write";
}

TEST(Refusal, SaysWhatIsWaitedFor) {
    Report last;
    ReporterRow row;
    row.last = &last;
    const auto said = [&row] {
        return ExplainSecondInstance(RefusalReply(row, {}, Refusal::kSecondInstance));
    };
    row.is_connected = true;
    EXPECT_NE(said().find("has an open session"), std::string::npos);
    row.is_connected = false;
    row.lease_left = Milliseconds{100};
    EXPECT_NE(said().find("may still use its lease"), std::string::npos);
    row.lease_left = Milliseconds{0};
    EXPECT_NE(said().find("was heard less than 5 s ago"), std::string::npos);
    EXPECT_NE(said().find("goes on by itself"), std::string::npos);
}

}  // namespace
}  // namespace pgaf::core::test
