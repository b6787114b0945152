#include "azure/script.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "azure/address.hpp"
#include "azure/host_keys.hpp"
#include "azure/markers.hpp"
#include "azure/remote.hpp"
#include "pgaf/core/pg_files.hpp"

namespace pgaf::azure {
namespace {

constexpr std::string_view kHead = R"sh(#!/bin/sh
# Printed by pg_autoctl do azure ... --script. Needs: az (logged in), ssh{needs}.
set -eu

# Public and private address of a machine.
vm_ip () {{
  az vm list-ip-addresses --resource-group {group} --name "{group}-$1" --output tsv \
    --query '[] [] .virtualMachine.network.publicIpAddresses[0].ipAddress'
}}
vm_private_ip () {{
  az vm list-ip-addresses --resource-group {group} --name "{group}-$1" --output tsv \
    --query '[] [] .virtualMachine.network.privateIpAddresses[0]'
}}

# Jobs in the background, "process:name"; finish waits for all of them and stops when one failed.
jobs=
finish () {{
  failed=
  for job in $jobs; do
    wait "${{job%%:*}}" || failed="$failed ${{job#*:}}"
  done
  jobs=
  [ -z "$failed" ] || {{ echo "failed:$failed" >&2; exit 1; }}
}}

# az vm run-command ends with 0 even if its script failed: look for the last line of the script.
expecting () {{
  marker=$1; shift
  output=$("$@")
  case $output in
    *"$marker"*) ;;
    *) printf '%s\n' "$output" >&2; return 1 ;;
  esac
}}

# The keys of a machine as it has told az, not as somebody at its address shows them.
remember () {{
  keys=$(printf '%s\n' "$output" | grep -o '{mark} [a-z0-9-]* [A-Za-z0-9+/=]*' |
    sed "s/^{mark}/$1/")
  [ -n "$keys" ] || {{ echo "$1 has not told the keys of its ssh" >&2; return 1; }}
  (
    umask 077
    mkdir -p "$(dirname {known_hosts})"
    printf '%s\n' "$keys" > {known_hosts}-"$1".new
    mv {known_hosts}-"$1".new {known_hosts}-"$1"
  )
}}

# A new machine may refuse for some seconds; 255 is ssh itself.
patiently () {{
  tries=1
  while status=0; "$@" </dev/null || status=$?; [ "$status" -eq 255 ] && [ "$tries" -lt 12 ]; do
    tries=$((tries + 1))
    sleep 5
  done
  return "$status"
}}
)sh";

constexpr std::string_view kOwnNetwork = R"sh(
# Our own public address; set own_network=ADDRESS/LENGTH to give it by hand.
find_own_network () {{
  for service in {}; do
    address=$(curl -4 -fsS --max-time 10 "$service") || continue
    case $address in
      *[!0-9.]* | *.*.*.*.* | '') ;;
      # No host of the Internet has these.
      0.* | 10.* | 127.* | 169.254.* | 192.168.* | 22[4-9].* | 2[3-5][0-9].*) ;;
      172.1[6-9].* | 172.2[0-9].* | 172.3[01].*) ;;
      100.6[4-9].* | 100.[7-9][0-9].* | 100.1[01][0-9].* | 100.12[0-7].*) ;;
      *.*.*.*) echo "$address/32"; return 0 ;;
    esac
  done
  echo "could not find out our own public address" >&2
  return 1
}}
own_network=${{own_network:-$(find_own_network)}}
)sh";

constexpr std::string_view kSecrets = R"sh(
# Passwords, made once; only this user can read them.
secrets={}
if [ ! -s "$secrets" ]; then
  (
    umask 077
    mkdir -p "$(dirname "$secrets")"
    for name in {}; do
      echo "export $name='$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')'"
    done > "$secrets.new"
    mv "$secrets.new" "$secrets"
  )
fi
secret () {{
  for name in "$@"; do
    grep "^export $name=" "$secrets"
  done
}}
)sh";

constexpr std::string_view kNewRegion = R"sh(
if [ "$(az group exists --name {0})" = true ]; then
  echo "the resource group {0} exists already; pg_autoctl do azure create region continues it" >&2
  exit 1
fi
)sh";

constexpr std::string_view kSshKey = R"sh(
# Before the machines are created at the same time: each would make its own.
[ -e {1} ] || ssh-keygen -q -t rsa -b 3072 -N '' -f {0}
)sh";

constexpr std::string_view kOn = R"sh(
# A command in a machine: the name for its host key, its address, the command.
on () {{
  machine=$1 address=$2; shift 2
  {ssh} "$@"
}}
)sh";

bool IsSsh(const Step &step) { return step.argv.front() == "ssh"; }

class Writer {
 public:
    Writer(const Region &region, const ScriptOptions &options)
        : region_(region), options_(options) {}

    std::string Write(const Plan &plan) {
        WriteHead(plan);
        int number = 0;
        for (const Stage &stage : plan.stages)
            WriteStage(stage, ++number);
        return std::move(text_);
    }

 private:
    template <typename Fn>
    static bool Any(const Plan &plan, Fn fn) {
        for (const Stage &stage : plan.stages) {
            for (const Lane &lane : stage.lanes) {
                if (std::any_of(lane.steps.begin(), lane.steps.end(), fn)) return true;
            }
        }
        return false;
    }

    void WriteHead(const Plan &plan) {
        const bool needs_own = Any(plan, [](const Step &step) {
            return std::find(step.argv.begin(), step.argv.end(), OwnNetwork()) != step.argv.end();
        });
        const bool has_secrets = Any(plan, [](const Step &step) { return !step.secrets.empty(); });
        const bool makes_machines = Any(plan, [this](const Step &step) {
            return std::find(step.argv.begin(), step.argv.end(), region_.public_key) !=
                   step.argv.end();
        });
        text_ = fmt::format(kHead, fmt::arg("group", GroupOf(region_)),
                            fmt::arg("needs", needs_own ? ", curl" : ""),
                            fmt::arg("mark", kHostKeyMark),
                            fmt::arg("known_hosts", ShellQuote(region_.known_hosts)));
        if (needs_own) {
            text_ += fmt::format(kOwnNetwork, fmt::join(DefaultServices(), " "));
        }
        if (options_.is_new_region) text_ += fmt::format(kNewRegion, GroupOf(region_));
        if (makes_machines) {
            text_ += fmt::format(kSshKey, ShellQuote(region_.private_key),
                                 ShellQuote(region_.public_key));
        }
        if (has_secrets) {
            text_ +=
                fmt::format(kSecrets, ShellQuote(options_.secrets), fmt::join(SecretNames(), " "));
        }
        if (!Any(plan, IsSsh)) return;
        // The command that all of them begin with, for a machine that is called "$machine".
        const std::string monitor = MachineOf(region_, "monitor");
        const std::string known = "UserKnownHostsFile=" + KnownHostsOf(region_, monitor);
        std::string words;
        for (const std::string &word : SshTo(region_, "monitor")) {
            const std::string own =
                word == "HostKeyAlias=" + monitor ? "HostKeyAlias=\"$machine\""
                : word == PublicIp(monitor)       ? "\"$address\""
                : word == known
                    ? ShellQuote(word.substr(0, word.size() - monitor.size())) + "\"$machine\""
                    : ShellQuote(word);
            const bool breaks = word == "-o" || word == "-i" || word == "-l";
            words += (words.empty() ? "" : breaks ? " \\\n    " : " ") + own;
        }
        text_ += fmt::format(kOn, fmt::arg("ssh", words));
    }

    void WriteStage(const Stage &stage, int number) {
        text_ += fmt::format("\n# {}. {}\n", number, stage.title);
        WriteTexts(stage);
        WriteAddresses(stage);
        if (stage.lanes.size() == 1) {
            for (const Step &step : stage.lanes.front().steps)
                WriteStep(step, "");
            return;
        }
        for (const Lane &lane : stage.lanes) {
            text_ += "(\n";
            for (const Step &step : lane.steps)
                WriteStep(step, "  ");
            text_ += fmt::format(") &\njobs=\"$jobs $!:{}\"\n", lane.machine);
        }
        text_ += "finish\n";
    }

    /// Asked once for each machine, before the first stage that needs them.
    void WriteAddresses(const Stage &stage) {
        for (const Lane &lane : stage.lanes) {
            for (const Step &step : lane.steps) {
                for (const std::string &word : step.argv)
                    WriteAddressesOf(word);
            }
        }
    }

    void WriteAddressesOf(const std::string &word) {
        for (const Part &part : SplitMarkers(word)) {
            if (part.marker.machine.empty()) continue;
            const std::string name = VariableOf(part.marker);
            if (!known_.insert(name).second) continue;
            const std::string short_name = ShortNameOf(region_, part.marker.machine);
            text_ += fmt::format("{0}=$({1} {2}); : \"${{{0}:?{3} has no address}}\"\n", name,
                                 part.marker.kind == "public" ? "vm_ip" : "vm_private_ip",
                                 short_name, part.marker.machine);
        }
    }

    std::string VariableOf(const Marker &marker) const {
        if (marker.kind == "own") return "own_network";
        return marker.kind + "_ip_" + ShortNameOf(region_, marker.machine);
    }

    std::string Word(const std::string &word) const {
        return ShellWord(word, [this](const Marker &marker) { return VariableOf(marker); });
    }

    /// `on MACHINE ADDRESS COMMAND` for the ssh command line of a step.
    std::string OnMachine(const Step &step) const {
        const auto end = std::find(step.argv.begin(), step.argv.end(), "--");
        std::string line = "on " + step.resource + " " + Word(*(end - 1));
        std::for_each(end + 1, step.argv.end(),
                      [&](const std::string &word) { line += " " + Word(word); });
        return line;
    }

    /// The same machine, and a command that only shows that it lets us in.
    std::string Knock(const Step &step) const {
        const auto end = std::find(step.argv.begin(), step.argv.end(), "--");
        return "on " + step.resource + " " + Word(*(end - 1)) + " true";
    }

    std::string WordsOf(const Step &step, std::string_view indent) const {
        if (IsSsh(step)) return OnMachine(step);
        std::string line;
        bool in_scripts = false;
        for (const std::string &word : step.argv) {
            const bool is_option = word.starts_with("--");
            if (is_option || in_scripts) {
                line += fmt::format(" \\\n{}    {}", indent, in_scripts ? "  " : "");
            } else if (!line.empty()) {
                line += " ";
            }
            if (is_option) in_scripts = word == "--scripts";
            line += Word(word);
        }
        return line;
    }

    /// A text that is sent to several machines is written once, as a function.
    void WriteTexts(const Stage &stage) {
        for (const Lane &lane : stage.lanes) {
            for (const Step &step : lane.steps) {
                if (step.input.empty()) continue;
                const std::string name = fmt::format("script_{}", texts_.size() + 1);
                if (!texts_.emplace(step.input, name).second) continue;
                text_ += fmt::format("# For {}.\n{} () {{\n  cat <<'SCRIPT'\n{}SCRIPT\n}}\n",
                                     step.doing, name, step.input);
            }
        }
    }

    void WriteStep(const Step &step, std::string_view indent) {
        text_ += fmt::format("{}# {}: {}\n", indent, step.resource, step.doing);
        const std::string words = WordsOf(step, indent);
        if (!step.until_stable.empty()) {
            WriteAwait(step, indent);
        } else if (!step.input.empty()) {
            WriteScript(step, words, indent);
        } else if (!step.input_file.empty()) {
            const std::string at(indent);
            text_ += fmt::format("{0}patiently {1}\n{0}{2} < {3}\n", at, Knock(step), words,
                                 ShellQuote(step.input_file));
        } else if (!step.marker.empty()) {
            text_ += fmt::format("{}expecting {} {}\n", indent, step.marker, words);
            if (step.tells_host_keys)
                text_ += fmt::format("{}remember {}\n", indent, step.resource);
        } else {
            text_ += fmt::format("{}{}\n", indent, words);
        }
    }

    void WriteScript(const Step &step, const std::string &words, std::string_view indent) {
        const std::string &name = texts_.at(step.input);
        text_ += fmt::format("{}patiently {}\n", indent, Knock(step));
        if (step.secrets.empty()) {
            text_ += fmt::format("{}{} | {}\n", indent, name, words);
            return;
        }
        text_ += fmt::format("{}{{ secret {}; {}; }} | {}\n", indent, fmt::join(step.secrets, " "),
                             name, words);
    }

    void WriteAwait(const Step &step, std::string_view indent) {
        // The table says the same as --json: every node settled, that is, both states the same.
        const std::string table = OnMachine(
            {.doing = {}, .resource = step.resource, .argv = ShowStateArgv(region_, false)});
        text_ += fmt::format(
            "{0}tries=0\n"
            "{0}until state=$({1} </dev/null) &&\n"
            "{0}    [ \"$(echo \"$state\" | grep -cE "
            "' (primary|single) \\| +(primary|single)$')\" -eq 1 ] &&\n"
            "{0}    [ \"$(echo \"$state\" | grep -cE "
            "' (primary|single|secondary) \\| +(primary|single|secondary)$')\" -ge {2} ]; do\n"
            "{0}  tries=$((tries + 1))\n"
            "{0}  [ \"$tries\" -lt 100 ] || {{ echo \"$state\" >&2; exit 1; }}\n"
            "{0}  sleep 3\n"
            "{0}done\n"
            "{0}echo \"$state\"\n",
            indent, table, step.until_stable.size());
    }

    const Region &region_;
    const ScriptOptions &options_;
    std::string text_;
    std::set<std::string> known_;
    std::map<std::string, std::string> texts_;  ///< and the function that prints it
};

}  // namespace

std::string ScriptOf(const Region &region, const Plan &plan, const ScriptOptions &options) {
    return Writer(region, options).Write(plan);
}

std::string CommandLine(const std::vector<std::string> &argv) {
    std::string line;
    for (const std::string &word : argv) {
        if (!line.empty()) line += ' ';
        const bool may_hold_secret =
            word.find("://") != std::string::npos || word.find("password") != std::string::npos;
        line += may_hold_secret ? core::RedactConninfo(word) : word;
    }
    std::replace(line.begin(), line.end(), '\n', ' ');
    return line;
}

std::string ListOf(const Plan &plan) {
    std::string text;
    int number = 0;
    for (const Stage &stage : plan.stages) {
        text += fmt::format("{}. {}", ++number, stage.title);
        if (stage.lanes.size() > 1) {
            text += fmt::format(" ({} at the same time)", stage.lanes.size());
        }
        text += "\n";
        for (const Lane &lane : stage.lanes) {
            for (const Step &step : lane.steps) {
                text += fmt::format("   {}: {}\n      {}\n", step.resource, step.doing,
                                    CommandLine(step.argv));
                if (!step.input_file.empty()) {
                    text += fmt::format("      with the file {}\n", step.input_file);
                }
                if (!step.secrets.empty()) {
                    text += fmt::format("      with {}\n", fmt::join(step.secrets, ", "));
                }
            }
        }
    }
    return text;
}

}  // namespace pgaf::azure
