#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace pgaf::view {

enum class MetricType { kGauge, kCounter };

using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

/// Writes families one after the other; all samples of one stand together.
class MetricsText {
 public:
    /// HELP and TYPE; the samples that follow are of this family.
    void Family(std::string_view name, MetricType type, std::string_view help);
    void Sample(const Labels &labels, double value);
    void Sample(const Labels &labels, std::int64_t value);
    void Sample(const Labels &labels, std::uint64_t value);
    void Sample(const Labels &labels, bool value) { Sample(labels, std::int64_t{value ? 1 : 0}); }
    [[nodiscard]] std::string Take() { return std::move(text_); }

 private:
    void Begin(const Labels &labels);
    std::string name_;
    std::string text_;
};

}  // namespace pgaf::view
