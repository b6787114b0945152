#pragma once

#define RAPIDJSON_HAS_STDSTRING 1
#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <optional>
#include <string>
#include <string_view>

#include "pgaf/core/result.hpp"
#include "pgaf/core/types.hpp"

/// RapidJSON as the core uses it: values of known types by name, and the first problem is kept.
namespace pgaf::core::json {

using Writer = rapidjson::Writer<rapidjson::StringBuffer>;

/// Writes members of one object.
class ObjectWriter {
 public:
    explicit ObjectWriter(Writer &writer) : writer_(writer) { writer_.StartObject(); }
    ~ObjectWriter() { writer_.EndObject(); }
    ObjectWriter(const ObjectWriter &) = delete;
    ObjectWriter &operator=(const ObjectWriter &) = delete;

    void Put(std::string_view name, std::string_view value) {
        Name(name);
        writer_.String(value.data(), static_cast<rapidjson::SizeType>(value.size()));
    }
    void Put(std::string_view name, std::int64_t value) { Name(name), writer_.Int64(value); }
    void Put(std::string_view name, int value) { Name(name), writer_.Int(value); }
    void PutFlag(std::string_view name, bool value) { Name(name), writer_.Bool(value); }
    void Put(std::string_view name, Lsn value) { Put(name, std::string_view(ToString(value))); }
    void Put(std::string_view name, NodeId value) { Put(name, value.value); }
    void Put(std::string_view name, Milliseconds value) {
        Put(name, static_cast<std::int64_t>(value.count()));
    }
    void Name(std::string_view name) {
        writer_.Key(name.data(), static_cast<rapidjson::SizeType>(name.size()));
    }

 private:
    Writer &writer_;
};

/// Reads members of one object. Members may be absent (the target keeps its value) unless Required.
class ObjectReader {
 public:
    ObjectReader(const rapidjson::Value &value, std::string &problem)
        : value_(value), problem_(problem) {
        if (!value_.IsObject()) Complain("the value", "an object");
    }
    void Required(const char *name) {
        if (value_.IsObject() && !value_.HasMember(name)) Complain(name, "present");
    }
    void Get(const char *name, std::string &out) {
        if (const auto *v = Find(name)) {
            v->IsString() ? void(out.assign(v->GetString(), v->GetStringLength()))
                          : Complain(name, "a string");
        }
    }
    void Get(const char *name, std::int64_t &out) {
        if (const auto *v = Find(name))
            v->IsInt64() ? void(out = v->GetInt64()) : Complain(name, "an integer");
    }
    void Get(const char *name, int &out) {
        if (const auto *v = Find(name))
            v->IsInt() ? void(out = v->GetInt()) : Complain(name, "an integer");
    }
    void Get(const char *name, bool &out) {
        if (const auto *v = Find(name))
            v->IsBool() ? void(out = v->GetBool()) : Complain(name, "a boolean");
    }
    void Get(const char *name, NodeId &out) { Get(name, out.value); }
    void Get(const char *name, Milliseconds &out) {
        std::int64_t ms = out.count();
        Get(name, ms);
        out = Milliseconds{ms};
    }
    void Get(const char *name, Lsn &out) {
        std::string text;
        Get(name, text);
        if (text.empty()) return;
        const auto lsn = ParseLsn(text);
        lsn ? void(out = *lsn) : Complain(name, "a WAL position");
    }
    const rapidjson::Value *Find(const char *name) const {
        if (!value_.IsObject()) return nullptr;
        const auto member = value_.FindMember(name);
        return member == value_.MemberEnd() ? nullptr : &member->value;
    }
    const rapidjson::Value *FindArray(const char *name) {
        const auto *v = Find(name);
        if (v != nullptr && !v->IsArray()) Complain(name, "an array");
        return v != nullptr && v->IsArray() ? v : nullptr;
    }
    void Complain(std::string_view name, std::string_view expected) {
        if (problem_.empty()) {
            problem_ = "\"" + std::string(name) + "\" is not " + std::string(expected);
        }
    }

 private:
    const rapidjson::Value &value_;
    std::string &problem_;
};

}  // namespace pgaf::core::json
