#include "cli/json.hpp"

#include <rapidjson/prettywriter.h>
#include <rapidjson/stringbuffer.h>

namespace pgaf::cli {

struct Json::Writer {
    rapidjson::StringBuffer buffer;
    rapidjson::PrettyWriter<rapidjson::StringBuffer> json{buffer};
    void Key(std::string_view key) {
        json.Key(key.data(), static_cast<rapidjson::SizeType>(key.size()));
    }
};

Json::Json() : writer_(std::make_unique<Writer>()) { writer_->json.StartObject(); }
Json::~Json() = default;

Json &Json::Begin(std::string_view key) {
    writer_->Key(key);
    return BeginItem();
}

Json &Json::BeginArray(std::string_view key) {
    writer_->Key(key);
    writer_->json.StartArray();
    return *this;
}

Json &Json::BeginItem() {
    writer_->json.StartObject();
    return *this;
}

Json &Json::End() {
    writer_->json.EndObject();
    return *this;
}

Json &Json::EndArray() {
    writer_->json.EndArray();
    return *this;
}

Json &Json::Text(std::string_view key, std::string_view value) {
    writer_->Key(key);
    writer_->json.String(value.data(), static_cast<rapidjson::SizeType>(value.size()));
    return *this;
}

Json &Json::Number(std::string_view key, std::int64_t value) {
    writer_->Key(key);
    writer_->json.Int64(value);
    return *this;
}

Json &Json::Bool(std::string_view key, bool value) {
    writer_->Key(key);
    writer_->json.Bool(value);
    return *this;
}

std::string Json::Finish() {
    writer_->json.EndObject();
    return writer_->buffer.GetString();
}

}  // namespace pgaf::cli
