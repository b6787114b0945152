#include "azure/secrets.hpp"

#include <fmt/format.h>
#include <sys/random.h>

#include <array>
#include <cerrno>

#include "azure/remote.hpp"
#include "io/env.hpp"
#include "io/files.hpp"
#include "io/process.hpp"

namespace pgaf::azure {
namespace {

constexpr std::string_view kExport = "export ";
constexpr Milliseconds kKeyLimit{60'000};

std::vector<std::string_view> LinesOf(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        lines.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}

}  // namespace

std::string RegionDirectory(const Region &region) {
    return io::EnvOr("XDG_DATA_HOME", io::HomeDirectory() + "/.local/share") +
           "/pg_autoctl/azure/" + GroupOf(region);
}

std::string SecretsFile(const Region &region) { return RegionDirectory(region) + "/secrets"; }
std::string KnownHostsFile(const Region &region) {
    return RegionDirectory(region) + "/known_hosts";
}

Result<io::FileLock> LockRegion(const Region &region) {
    const std::string directory = RegionDirectory(region);
    if (auto made = io::MakeDirectories(directory, 0700); !made) return Pass(made);
    auto lock = io::FileLock::Try(directory + "/lock");
    if (!lock) return Pass(lock);
    if (*lock) return std::move(**lock);
    return Fail(ProblemCode::kBadState,
                fmt::format("another pg_autoctl is at work on \"{}\"", GroupOf(region)), {},
                "Wait until it has ended.");
}

std::string SecretsText(const Secrets &secrets) {
    std::string text;
    for (const auto &[name, value] : secrets)
        text += fmt::format("{}{}='{}'\n", kExport, name, value);
    return text;
}

Secrets ParseSecrets(std::string_view text) {
    Secrets secrets;
    for (std::string_view line : LinesOf(text)) {
        const std::size_t equals = line.find("='");
        if (!line.starts_with(kExport) || equals == std::string_view::npos || line.back() != '\'')
            continue;
        const std::string_view name = line.substr(kExport.size(), equals - kExport.size());
        const std::size_t begin = equals + 2;
        if (line.size() <= begin + 1) continue;
        secrets[std::string(name)] = line.substr(begin, line.size() - begin - 1);
    }
    return secrets;
}

Result<std::string> MakePassword() {
    std::array<unsigned char, 24> bytes{};
    if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
        return tl::unexpected(io::IoProblem("read", "getrandom"));
    std::string text;
    for (const unsigned char byte : bytes)
        text += fmt::format("{:02x}", byte);
    return text;
}

Result<Secrets> LoadOrMakeSecrets(const Region &region) {
    const std::string path = SecretsFile(region);
    Secrets secrets;
    if (io::Exists(path)) {
        auto text = io::ReadFile(path);
        if (!text) return Pass(text);
        secrets = ParseSecrets(*text);
    }
    bool is_complete = true;
    for (const std::string &name : SecretNames()) {
        if (secrets.contains(name)) continue;
        auto password = MakePassword();
        if (!password) return Pass(password);
        secrets[name] = *password;
        is_complete = false;
    }
    if (is_complete) return secrets;
    if (auto made = io::MakeDirectories(RegionDirectory(region), 0700); !made) return Pass(made);
    auto saved = io::WriteFile(path, SecretsText(secrets), 0600);
    if (!saved) return Pass(saved);
    return secrets;
}

Result<void> ForgetHostKey(const Region &region, const std::string &machine) {
    const std::string path = KnownHostsFile(region);
    if (!io::Exists(path)) return {};
    auto text = io::ReadFile(path);
    if (!text) return Pass(text);
    std::string kept;
    for (const std::string_view line : LinesOf(*text)) {
        if (!line.starts_with(machine + " ")) kept.append(line).append("\n");
    }
    return kept == *text ? Result<void>{} : io::WriteFile(path, kept, 0600);
}

Result<void> EnsureSshKey(const Region &region) {
    if (io::Exists(region.public_key)) return {};
    if (auto made = io::MakeDirectories(io::ParentOf(region.private_key), 0700); !made) return made;
    if (io::Exists(region.private_key)) {
        auto key = io::RunChecked(
            {.argv = {"ssh-keygen", "-y", "-f", region.private_key}, .timeout = kKeyLimit});
        if (!key) return Pass(key, "could not derive the public ssh key");
        return io::WriteFile(region.public_key, *key, 0644);
    }
    auto made = io::RunChecked({.argv = {"ssh-keygen", "-q", "-t", "rsa", "-b", "3072", "-N", "",
                                         "-f", region.private_key},
                                .timeout = kKeyLimit});
    if (!made) return Pass(made, "could not make an ssh key");
    return {};
}

}  // namespace pgaf::azure
