#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace pgaf::cli {

/// Writes a JSON object with four spaces of indentation.
class Json {
 public:
    Json();
    Json(const Json &) = delete;
    Json &operator=(const Json &) = delete;
    ~Json();
    Json &Begin(std::string_view key);
    Json &BeginArray(std::string_view key);
    Json &BeginItem();
    Json &End();
    Json &EndArray();
    Json &Text(std::string_view key, std::string_view value);
    Json &Number(std::string_view key, std::int64_t value);
    Json &Bool(std::string_view key, bool value);
    /// Closes the outermost object.
    std::string Finish();

 private:
    struct Writer;
    std::unique_ptr<Writer> writer_;
};

}  // namespace pgaf::cli
