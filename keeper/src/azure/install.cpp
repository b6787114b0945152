#include "azure/install.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "azure/host_keys.hpp"
#include "azure/markers.hpp"
#include "io/env.hpp"

namespace pgaf::azure {
namespace {

// What tools/install-deps.sh wants for building, without what only tests need.
constexpr std::string_view kBuildPackages =
    "build-essential cmake pkg-config libpq-dev libcli11-dev libfmt-dev libspdlog-dev libuv1-dev "
    "rapidjson-dev libsmartcols-dev libexpected-dev libcurl4-openssl-dev libmicrohttpd-dev "
    "libssl-dev";

// A machine looks for updates by itself after its start, and apt waits for other locks only.
constexpr const char *kRefresh =
    "refresh () { tries=0; until said=$(apt update 2>&1); do case $said in *lists/lock*) ;; "
    "*) echo \"$said\"; return 1 ;; esac; tries=$((tries + 1)); "
    "[ \"$tries\" -lt 60 ] || { echo \"$said\"; return 1; }; sleep 5; done; }";

/// A failing line must stop the script: run-command does not.
std::vector<std::string> FirstLines(const Install &install) {
    std::vector<std::string> lines{
        "set -e",
        "export DEBIAN_FRONTEND=noninteractive",
        "apt () { apt-get -q -y -o DPkg::Lock::Timeout=300 \"$@\"; }",
        // Its end brings the list of sources.
        "if command -v cloud-init >/dev/null; then cloud-init status --wait >/dev/null || true; fi",
        kRefresh,
        "refresh",
    };
    if (install.apt_source.empty()) return lines;
    // Its keyring is the one of Debian's postgresql-common, for the usual source.
    lines.emplace_back("apt install --no-install-recommends ca-certificates postgresql-common");
    lines.push_back(fmt::format("echo {} > /etc/apt/sources.list.d/pgautofailover.list",
                                ShellQuote(install.apt_source)));
    lines.emplace_back("refresh");
    return lines;
}

std::string PackageWords(const Install &install) {
    std::string words;
    if (!install.deb_file.empty()) return {};
    if (!install.source_file.empty()) {
        return fmt::format(" {} postgresql-server-dev-{}", kBuildPackages, install.pg_major);
    }
    if (install.packages.empty()) return " " + DefaultPackage(install.pg_major);
    for (const std::string &package : install.packages)
        words += " " + ShellQuote(package);
    return words;
}

bool IsPackageName(std::string_view text) {
    return !text.empty() && text.front() != '-' &&
           std::all_of(text.begin(), text.end(), [](unsigned char c) {
               return std::isalnum(c) != 0 || std::string_view("+-.=:~_").find(
                                                  static_cast<char>(c)) != std::string_view::npos;
           });
}

}  // namespace

std::string DefaultPackage(int pg_major) {
    return fmt::format("postgresql-{}-pgautofailover", pg_major);
}

std::string PgBinDirectory(int pg_major) {
    return fmt::format("/usr/lib/postgresql/{}/bin", pg_major);
}

std::vector<std::string> ServerLines(const Install &install) {
    std::vector<std::string> lines = FirstLines(install);
    // Otherwise Debian's package makes and starts a cluster of its own on port 5432.
    lines.emplace_back("mkdir -p /etc/postgresql-common/createcluster.d");
    lines.emplace_back(
        "echo 'create_main_cluster = false' > "
        "/etc/postgresql-common/createcluster.d/pgautofailover.conf");
    lines.push_back(fmt::format("apt install --no-install-recommends sudo postgresql-{}{}",
                                install.pg_major, PackageWords(install)));
    // PostgreSQL belongs to a user who may not use sudo, and pg_autoctl acts as him. A machine of a
    // former version has its data in the administrator's home.
    lines.push_back(fmt::format(
        "[ -e /etc/systemd/system/pgautofailover.service ] || {{ echo {0} > {1}; chmod 644 {1}; }}",
        kServiceUser, io::kServiceUserFile));
    lines.push_back(HostKeyLine());
    lines.push_back(fmt::format("echo {}", kProvisioned));
    return lines;
}

std::vector<std::string> ClientLines(const Install &install) {
    std::vector<std::string> lines = FirstLines(install);
    lines.push_back(
        fmt::format("apt install --no-install-recommends postgresql-client-{}", install.pg_major));
    lines.push_back(HostKeyLine());
    lines.push_back(fmt::format("echo {}", kProvisioned));
    return lines;
}

std::string SentAs(const Install &install) {
    if (!install.source_file.empty()) return "pgautofailover-source.tar";
    return install.deb_file.empty() ? "" : "pgautofailover.deb";
}

std::string InstallSentScript(const Install &install) {
    const std::string file = SentAs(install);
    const std::string bin = PgBinDirectory(install.pg_major);
    std::string work =
        "sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \\\n"
        "    install --no-install-recommends --reinstall --allow-downgrades \"./$file\"\n";
    if (!install.source_file.empty()) {
        work = fmt::format(
            "  rm -rf pgautofailover-source\n"
            "  mkdir pgautofailover-source\n"
            "  tar -xf \"$file\" -C pgautofailover-source\n"
            "  # A release has all in one directory.\n"
            "  cd \"$(dirname \"$(ls pgautofailover-source/Makefile "
            "pgautofailover-source/*/Makefile "
            "2>/dev/null | head -n 1)\")\"\n"
            "  make -s -j \"$(nproc)\" PG_CONFIG={0}/pg_config\n"
            "  sudo make -s PG_CONFIG={0}/pg_config install\n"
            "  sudo ln -sf {0}/pg_autoctl /usr/local/bin/pg_autoctl\n"
            "  cd\n",
            bin);
    } else {
        work = "  " + work;
    }
    return fmt::format(
        "set -eu\n"
        "main () {{\n"
        "  file={}\n"
        "  sum=$(sha256sum \"$file\")\n"
        "  installed=$(cat .pgautofailover-installed 2>/dev/null || true)\n"
        "  if [ \"$installed\" = \"$sum\" ]; then echo 'installed already'; return 0; fi\n"
        "{}"
        "  echo \"$sum\" > .pgautofailover-installed\n"
        "}}\n"
        "main </dev/null\n",
        file, work);
}

Result<void> CheckInstall(const Install &install) {
    const int ways = int{!install.source_file.empty()} + int{!install.deb_file.empty()} +
                     int{!install.packages.empty()};
    if (ways > 1) {
        return Fail(ProblemCode::kBadArgument, "--from-source and --package exclude each other", {},
                    "A package is either the name of one of apt's packages, or a file in .deb "
                    "format.");
    }
    for (const std::string &package : install.packages) {
        if (IsPackageName(package)) continue;
        return Fail(ProblemCode::kBadArgument,
                    fmt::format("\"{}\" is not the name of a package", package), {},
                    "Write it as apt does, NAME or NAME=VERSION, or give a file that ends in "
                    ".deb.");
    }
    if (install.apt_source.find_first_of("\r\n") != std::string::npos) {
        return Fail(ProblemCode::kBadArgument, "--apt-source is more than one line");
    }
    return {};
}

}  // namespace pgaf::azure
