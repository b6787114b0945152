#include "known.hpp"

#include <fstream>
#include <sstream>

namespace pgaf::sim {

namespace {

std::string Trim(const std::string &text) {
    const std::size_t first = text.find_first_not_of(" \t");
    if (first == std::string::npos) return "";
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::vector<std::string> Split(const std::string &text, char by) {
    std::vector<std::string> parts;
    std::stringstream stream(text);
    for (std::string part; std::getline(stream, part, by);)
        parts.push_back(Trim(part));
    return parts;
}

}  // namespace

core::Result<std::vector<KnownFault>> ReadKnownFaults(const std::string &path) {
    std::ifstream file(path);
    if (!file) return core::Fail(core::ProblemCode::kIo, "could not open file \"" + path + "\"");
    std::vector<KnownFault> faults;
    for (std::string line; std::getline(file, line);) {
        line = Trim(line);
        if (line.empty() || line.front() == '#') continue;
        std::vector<std::string> fields = Split(line, '|');
        fields.resize(4);
        KnownFault fault{
            .finding = fields[0], .violation = fields[1], .withheld = {}, .ignored = {}};
        for (const std::string &name : Split(fields[2], ' ')) {
            if (name.empty()) continue;
            const FaultKind kind = FaultNamed(name);
            if (kind == FaultKind::kFaultKinds) {
                return core::Fail(core::ProblemCode::kBadConfig,
                                  "there is no fault \"" + name + "\" (" + path + ")");
            }
            fault.withheld.push_back(kind);
        }
        for (const std::string &text : Split(fields[3], ';')) {
            if (!text.empty()) fault.ignored.push_back(text);
        }
        faults.push_back(std::move(fault));
    }
    return faults;
}

}  // namespace pgaf::sim
