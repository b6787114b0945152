#include "pgaf/core/cancelled_waits.hpp"

namespace pgaf::core {

std::string DescribeWaits(std::int64_t count) {
    return count == 1
               ? "1 commit was cancelled while it waited for synchronous standbys; its client "
                 "was not told that it succeeded"
               : std::to_string(count) +
                     " commits were cancelled while they waited for synchronous standbys; "
                     "their clients were not told that they succeeded";
}

std::string DescribeUnconfirmed(std::int64_t count) {
    return std::to_string(count) + (count == 1 ? " commit" : " commits") +
           " whose wait for standbys was cancelled there may be missing";
}

}  // namespace pgaf::core
