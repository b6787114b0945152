#include "azure/failure.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "azure/existing.hpp"

namespace pgaf::azure {
namespace {

constexpr std::size_t kShownFromMachine = 4000;
constexpr int kSshItself = 255;
/// What az gives for what does not exist.
constexpr int kAzNotFound = 3;

struct Known {
    std::string_view text;  ///< in what az says
    std::string_view hint;
};

// Source: the error codes of Azure Resource Manager and of its providers.
constexpr std::array kKnown{
    Known{"az login", "Log in with: az login"},
    Known{"Cores quota",
          "Choose another --size or --location, make fewer machines, or ask Azure for more cores. "
          "The same command goes on with what is missing."},
    Known{"QuotaExceeded",
          "Choose another --size or --location, make fewer machines, or ask Azure for more. The "
          "same command goes on with what is missing."},
    Known{"SkuNotAvailable",
          "Choose another --size or --location; az vm list-skus --location LOCATION --output table "
          "lists what there is."},
    Known{"PublicIPCountLimitReached",
          "Drop a region that is not used any more, or ask Azure for more public addresses."},
    Known{"AuthorizationFailed",
          "The account needs the role Contributor; az account show prints which one is used."},
    Known{"InvalidResourceGroupLocation",
          "The name is taken by a resource group elsewhere: choose another --prefix or --region, "
          "or give the --location that it has."},
    Known{"ResourceGroupBeingDeleted",
          "Wait until it is gone: az group wait --deleted --name GROUP. Then try again."},
    Known{"PropertyChangeNotAllowed",
          "A machine of that name exists with another user or ssh key. Give the --ssh-key that it "
          "was made with, or delete it with az vm delete."},
    Known{"LocationNotAvailableForResourceType",
          "az account list-locations --output table lists the locations."},
    Known{"Invalid image",
          "Give an image by its URN, for instance --image Debian:debian-12:12:latest."},
    Known{"MissingSubscriptionRegistration",
          "Register the provider that is named: az provider register --namespace NAME"},
    Known{"unrecognized arguments",
          "This version of az is too old or too new; az version prints it."},
};

constexpr std::string_view kGoOn =
    "Once the cause is gone, the same command goes on with what is missing.";

// Source: Azure's documents on 409 and 429; az repeats 429 and 5xx by itself, but not for ever.
constexpr std::array<std::string_view, 8> kAzureTransient{
    "AnotherOperationInProgress",
    "RetryableError",
    "TooManyRequests",
    "OperationPreempted",
    "Run command extension execution is in progress",
    "ServiceUnavailable",
    "Connection aborted",
    "Connection reset by peer",
};

bool Has(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

bool IsAzureTransient(std::string_view said) {
    return std::any_of(kAzureTransient.begin(), kAzureTransient.end(),
                       [said](std::string_view text) { return Has(said, text); });
}

std::string_view HintFor(std::string_view said) {
    for (const Known &known : kKnown) {
        if (Has(said, known.text)) return known.hint;
    }
    return kGoOn;
}

std::string_view SshHint(std::string_view said) {
    if (Has(said, "Permission denied")) {
        return "The machine knows another key: give the --ssh-key that it was made with. A key "
               "with a passphrase needs ssh-agent.";
    }
    if (Has(said, "Host key verification failed")) {
        return "The key of the machine is not the one that az has told, or was not asked for on "
               "this computer: pg_autoctl do azure create region asks for it again.";
    }
    return "Check that the machine runs (pg_autoctl do azure show ips), and that our address is "
           "still the one that create region opened port 22 for: running it again renews that, or "
           "use --allow-from.";
}

std::string Trimmed(std::string_view text) {
    const std::size_t end = text.find_last_not_of(" \r\n");
    return std::string(text.substr(0, end == std::string_view::npos ? 0 : end + 1));
}

std::string LastPart(std::string_view text) {
    if (text.size() > kShownFromMachine) text.remove_prefix(text.size() - kShownFromMachine);
    return Trimmed(text);
}

std::string NameOf(const Step &step) { return fmt::format("{} \"{}\"", step.doing, step.resource); }

bool HasLine(std::string_view text, std::string_view line) {
    for (std::size_t at = text.find(line); at != std::string_view::npos;
         at = text.find(line, at + 1)) {
        const std::size_t end = at + line.size();
        const bool begins = at == 0 || text[at - 1] == '\n';
        if (begins && (end == text.size() || text[end] == '\n' || text[end] == '\r')) return true;
    }
    return false;
}

std::optional<Failure> JudgeMarker(const Step &step, const io::Outcome &outcome) {
    auto message = ReadRunCommand(outcome.out);
    if (!message) return Failure{message.error().In(NameOf(step))};
    if (HasLine(*message, step.marker)) return std::nullopt;
    const bool is_busy = IsAzureTransient(*message);
    return Failure{
        {ProblemCode::kBadState, fmt::format("{}: the script in the machine failed", NameOf(step)),
         Trimmed(*message), std::string(kGoOn)},
        is_busy};
}

Failure JudgeSsh(const Step &step, const io::Outcome &outcome) {
    const std::string said = LastPart(outcome.err.empty() ? outcome.out : outcome.err);
    if (outcome.status == kSshItself) {
        return {{ProblemCode::kBadState,
                 fmt::format("{}: could not reach the machine with ssh", NameOf(step)), said,
                 std::string(SshHint(said))},
                true};
    }
    return {{ProblemCode::kBadState,
             fmt::format("{}: the command in the machine ended with status {}", NameOf(step),
                         outcome.status),
             said, fmt::format("pg_autoctl do azure ssh opens a shell there. {}", kGoOn)},
            false};
}

}  // namespace

std::optional<Failure> Judge(const Step &step, const io::Outcome &outcome) {
    if (outcome.status == 0) {
        return step.marker.empty() ? std::nullopt : JudgeMarker(step, outcome);
    }
    if (step.argv.front() == "ssh") return JudgeSsh(step, outcome);
    return Failure{ExplainAz(NameOf(step), outcome), IsAzureTransient(outcome.err)};
}

Problem ExplainAz(std::string_view doing, const io::Outcome &outcome) {
    const std::string how = outcome.status > 128
                                ? fmt::format("was ended by signal {}", outcome.status - 128)
                                : fmt::format("ended with status {}", outcome.status);
    return {ProblemCode::kBadState, fmt::format("{}: az {}", doing, how), Trimmed(outcome.err),
            std::string(HintFor(outcome.err))};
}

bool IsNotFound(const io::Outcome &outcome) { return outcome.status == kAzNotFound; }

}  // namespace pgaf::azure
