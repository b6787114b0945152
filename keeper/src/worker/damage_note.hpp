#pragma once

#include <string>

#include "pgaf/core/node_record.hpp"
#include "pgaf/core/protocol.hpp"
#include "worker/ports.hpp"

namespace pgaf::worker {

/// What PostgreSQL has found damaged in these data. A file of the node directory keeps it over
/// restarts; it is void for another copy of the data, and for another node.
class DamageNote {
 public:
    explicit DamageNote(const std::string &directory) : path_(directory + "/damage") {}

    void Load(Files &files, const core::NodeRecord &record);
    /// True when it is news. What cannot be written down is known as long as this worker lives.
    bool Note(Files &files, const core::NodeRecord &record, const std::string &seen);
    /// The operator says that it was mended: what is still damaged is seen again.
    void Forget(Files &files);

    [[nodiscard]] bool IsDamaged() const { return !text_.empty(); }
    [[nodiscard]] const std::string &text() const { return text_; }
    /// In a line of `show state`, with what to do: never a step that gives up whole data.
    [[nodiscard]] std::string Problem(const std::string &name, core::NodeState state,
                                      const core::Reply *reply) const;

 private:
    std::string path_;
    std::string text_;
};

}  // namespace pgaf::worker
