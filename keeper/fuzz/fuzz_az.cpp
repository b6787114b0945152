#include "azure/existing.hpp"
#include "fuzz.hpp"
#include "pgaf/core/names.hpp"

using namespace pgaf;

// What az prints becomes words of command lines.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    const std::string_view text = fuzz::Text(data, size);
    azure::Region region;
    region.prefix = "ha-demo";
    region.region = "paris";
    const auto addresses = azure::ReadAddresses(text, region);
    if (addresses) {
        for (const azure::Addresses &machine : *addresses) {
            for (const std::string &ip : {machine.public_ip, machine.private_ip})
                fuzz::Demand(ip.empty() || core::ParseIpAddress(ip).has_value());
        }
    }
    azure::Existing existing;
    (void)azure::ReadResources(text, region, existing);
    (void)azure::ReadGroup(text, existing);
    (void)azure::ReadStates(text);
    (void)azure::ReadRunCommand(text);
    (void)azure::ReadResourceList(text);
    return 0;
}
