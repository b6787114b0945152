#include "protocol_server.hpp"

namespace pgaf::core {

using json::ObjectReader;
using json::ObjectWriter;
using json::Writer;

namespace {

CopyProgress ReadCopying(ObjectReader &in) {
    const auto *const array = in.FindArray("copying");
    if (array == nullptr || array->Size() != 3) return {};
    for (const auto &value : array->GetArray()) {
        if (!value.IsInt64()) return {};
    }
    return {(*array)[0].GetInt64(), (*array)[1].GetInt64(), (*array)[2].GetInt64()};
}

}  // namespace

void WriteSizes(ObjectWriter &out, Writer &writer, const std::optional<ServerSizes> &sizes) {
    if (!sizes) return;
    out.Name("sizes");
    writer.StartArray();
    for (const int size : *sizes)
        writer.Int(size);
    writer.EndArray();
}

/// A list of another length is of another version, and says nothing.
std::optional<ServerSizes> ReadSizes(ObjectReader &in) {
    const auto *const array = in.FindArray("sizes");
    if (array == nullptr || array->Size() != kSizeNames.size()) return std::nullopt;
    ServerSizes sizes{};
    for (rapidjson::SizeType i = 0; i < array->Size(); ++i) {
        if (!(*array)[i].IsInt()) return std::nullopt;
        sizes.at(i) = (*array)[i].GetInt();
    }
    return sizes;
}

void WriteSettings(Writer &writer, const std::vector<PostgresSetting> &settings) {
    writer.StartArray();
    for (const PostgresSetting &setting : settings) {
        ObjectWriter out(writer);
        out.Put("name", setting.name);
        out.Put("value", setting.value);
    }
    writer.EndArray();
}

std::vector<PostgresSetting> ReadSettings(const rapidjson::Value &array, std::string &problem) {
    std::vector<PostgresSetting> settings;
    for (const auto &value : array.GetArray()) {
        ObjectReader in(value, problem);
        PostgresSetting setting;
        in.Required("name");
        in.Get("name", setting.name);
        in.Get("value", setting.value);
        settings.push_back(std::move(setting));
    }
    return settings;
}

void WriteServer(ObjectWriter &out, Writer &writer, const Report &report) {
    if (report.settings_version != 0) out.Put("settings_version", report.settings_version);
    if (report.refused_settings != 0) {
        out.Put("refused_settings", report.refused_settings);
        out.Put("refused_name", report.refused_name);
        out.Put("refusal", report.refusal);
        out.PutFlag("refused_at_start", report.refused_at_start);
    }
    if (report.server_start != 0) out.Put("server_start", report.server_start);
    WriteSizes(out, writer, report.sizes);
    if (report.settings_mark != 0) out.Put("settings_mark", report.settings_mark);
    if (!report.settings_state.empty()) out.Put("settings_state", report.settings_state);
    if (report.copying.total == 0) return;
    out.Name("copying");
    writer.StartArray();
    for (const std::int64_t kb :
         {report.copying.done, report.copying.total, report.copying.per_second})
        writer.Int64(kb);
    writer.EndArray();
}

void ReadServer(ObjectReader &in, Report &report) {
    in.Get("settings_version", report.settings_version);
    in.Get("refused_settings", report.refused_settings);
    in.Get("refused_name", report.refused_name);
    in.Get("refusal", report.refusal);
    in.Get("refused_at_start", report.refused_at_start);
    in.Get("server_start", report.server_start);
    report.sizes = ReadSizes(in);
    in.Get("settings_mark", report.settings_mark);
    in.Get("settings_state", report.settings_state);
    report.copying = ReadCopying(in);
}

}  // namespace pgaf::core
