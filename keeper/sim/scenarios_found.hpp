#pragma once

#include <cstdint>
#include <string>
#include <vector>

/// What the simulation has found by itself (N), see scenarios.cpp.
namespace pgaf::sim {

std::string StartedByHandWithoutModule(std::uint64_t seed, std::vector<std::string> &story);
std::string UpstreamBehindUnheard(std::uint64_t seed, std::vector<std::string> &story);
std::string PausedClock(std::uint64_t seed, std::vector<std::string> &story);
std::string OldMonitorInElection(std::uint64_t seed, std::vector<std::string> &story);
std::string RestartInPromotion(std::uint64_t seed, std::vector<std::string> &story);
std::string CopyOfUnheard(std::uint64_t seed, std::vector<std::string> &story);
std::string OldMonitorForAll(std::uint64_t seed, std::vector<std::string> &story);
std::string OldDiskPromoted(std::uint64_t seed, std::vector<std::string> &story);
std::string OldDiskReturns(std::uint64_t seed, std::vector<std::string> &story);
std::string OldMonitorLearns(std::uint64_t seed, std::vector<std::string> &story);
std::string CandidateThatCannotStart(std::uint64_t seed, std::vector<std::string> &story);
std::string WinnerThatCannotStart(std::uint64_t seed, std::vector<std::string> &story);
std::string MemberThatCannotStart(std::uint64_t seed, std::vector<std::string> &story);
std::string PromotedByHandInSwitchover(std::uint64_t seed, std::vector<std::string> &story);
std::string PromotedByHandAndPrimaryLost(std::uint64_t seed, std::vector<std::string> &story);

}  // namespace pgaf::sim
