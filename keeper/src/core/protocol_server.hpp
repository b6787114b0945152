#pragma once

#include <optional>
#include <string>
#include <vector>

#include "json.hpp"
#include "pgaf/core/protocol.hpp"

/// The parts of a report and of a reply that are about PostgreSQL's settings.
namespace pgaf::core {

void WriteSizes(json::ObjectWriter &out, json::Writer &writer,
                const std::optional<ServerSizes> &sizes);
/// A list of another length is of another version, and says nothing.
std::optional<ServerSizes> ReadSizes(json::ObjectReader &in);
void WriteSettings(json::Writer &writer, const std::vector<PostgresSetting> &settings);
std::vector<PostgresSetting> ReadSettings(const rapidjson::Value &array, std::string &problem);
void WriteServer(json::ObjectWriter &out, json::Writer &writer, const Report &report);
void ReadServer(json::ObjectReader &in, Report &report);

}  // namespace pgaf::core
