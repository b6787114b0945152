#include "view/metrics_text.hpp"

#include <fmt/format.h>

#include <cmath>

namespace pgaf::view {
namespace {

std::string Escape(std::string_view value) {
    std::string text;
    for (const char c : value) {
        if (c == '\n') {
            text += "\\n";
            continue;
        }
        if (c == '\\' || c == '"') text += '\\';
        text += c;
    }
    return text;
}

}  // namespace

void MetricsText::Family(std::string_view name, MetricType type, std::string_view help) {
    name_ = fmt::format("pgautofailover_{}", name);
    text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name_, help, name_,
                         type == MetricType::kCounter ? "counter" : "gauge");
}

void MetricsText::Begin(const Labels &labels) {
    text_ += name_;
    if (labels.size() == 0) return;
    char before = '{';
    for (const auto &[name, value] : labels) {
        text_ += fmt::format("{}{}=\"{}\"", before, name, Escape(value));
        before = ',';
    }
    text_ += '}';
}

void MetricsText::Sample(const Labels &labels, double value) {
    Begin(labels);
    text_ += std::isinf(value) ? (value > 0 ? " +Inf\n" : " -Inf\n") : fmt::format(" {}\n", value);
}

void MetricsText::Sample(const Labels &labels, std::int64_t value) {
    Begin(labels);
    text_ += fmt::format(" {}\n", value);
}

void MetricsText::Sample(const Labels &labels, std::uint64_t value) {
    Begin(labels);
    text_ += fmt::format(" {}\n", value);
}

}  // namespace pgaf::view
