"""The calls with their options, read as az's argparse does: unique prefixes, several values, exit status 2."""
import re

from az_state import AzError

# An option: names, "1" one value, "+" one or more, "0" none; "!" when it must be given.
GROUP = (("--resource-group", "-g"), "1!")
GROUP_OPTIONAL = (("--resource-group", "-g"), "1")
NAME = (("--name", "-n"), "1!")
GLOBAL = [
    (("--output", "-o"), "1"), (("--query",), "1"), (("--only-show-errors",), "0"), (("--subscription",), "1"),
    (("--verbose",), "0"), (("--debug",), "0"),
]
GROUP_NAME = (("--name", "--resource-group", "-g", "-n"), "1!")
MACHINE = [GROUP, NAME]
NO_WAIT = (("--no-wait",), "0")
OPTIONS = {
    "version": [],
    "account show": [],
    "group create": [GROUP_NAME, (("--location", "-l"), "1!"), (("--tags",), "+")],
    "group exists": [GROUP_NAME],
    "group show": [GROUP_NAME],
    "group list": [],
    "group delete": [GROUP_NAME, (("--yes", "-y"), "0"), NO_WAIT],
    "group wait": [GROUP_NAME, (("--deleted",), "0"), (("--created",), "0"), (("--exists",), "0"),
                   (("--interval",), "1"), (("--timeout",), "1")],
    "resource list": [GROUP_OPTIONAL],
    "network vnet create": [GROUP, NAME, (("--address-prefixes",), "+"), (("--location", "-l"), "1")],
    "network vnet subnet create": [
        GROUP, NAME, (("--vnet-name",), "1!"), (("--address-prefixes",), "+"),
        (("--network-security-group", "--nsg"), "1")],
    "network vnet subnet list": [GROUP, (("--vnet-name",), "1!")],
    "network nsg create": [GROUP, NAME, (("--location", "-l"), "1")],
    "network nsg rule create": [
        GROUP, NAME, (("--nsg-name",), "1!"), (("--access",), "1"), (("--protocol",), "1"), (("--direction",), "1"),
        (("--priority",), "1!"), (("--source-address-prefixes",), "+"), (("--source-port-ranges",), "+"),
        (("--destination-address-prefixes",), "+"), (("--destination-port-ranges",), "+"), (("--description",), "1")],
    "vm create": [
        GROUP, NAME, (("--location", "-l"), "1"), (("--image",), "1"), (("--size",), "1"), (("--vnet-name",), "1"),
        (("--subnet",), "1"), (("--nsg",), "1"), (("--public-ip-address",), "1"), (("--public-ip-sku",), "1"),
        (("--admin-username",), "1"), (("--ssh-key-values",), "+"), (("--generate-ssh-keys",), "0"), NO_WAIT],
    "vm list": [GROUP_OPTIONAL, (("--show-details", "-d"), "0")],
    "vm show": [*MACHINE, (("--show-details", "-d"), "0")],
    "vm list-ip-addresses": [GROUP_OPTIONAL, (("--name", "-n"), "1")],
    "vm get-instance-view": MACHINE,
    "vm run-command invoke": [*MACHINE, (("--command-id",), "1!"), (("--scripts",), "+"), (("--parameters",), "+")],
    "vm deallocate": [*MACHINE, NO_WAIT],
    "vm stop": [*MACHINE, NO_WAIT],
    "vm start": [*MACHINE, NO_WAIT],
    "vm restart": [*MACHINE, NO_WAIT],
    "vm delete": [*MACHINE, (("--yes", "-y"), "0"), NO_WAIT],
}
CHOICES = {
    "access": ["Allow", "Deny"], "protocol": ["*", "Ah", "Esp", "Icmp", "Tcp", "Udp"],
    "direction": ["Inbound", "Outbound"], "output": ["json", "jsonc", "none", "table", "tsv", "yaml", "yamlc"],
    "public_ip_sku": ["Basic", "Standard"],
}
FOOTER = ("\nhttps://docs.microsoft.com/en-US/cli/azure/\nRead more about the command in reference docs\n")


def usage(text):
    return AzError(2, text, footer=FOOTER)


def key_of(names):
    return names[0].lstrip("-").replace("-", "_")


def words_of(argv, known):
    """The longest known sequence of words at the start; everything after belongs to it."""
    words = []
    for word in argv:
        if word.startswith("-"):
            break
        words.append(word)
    for count in range(len(words), 0, -1):
        if " ".join(words[:count]) in known:
            return " ".join(words[:count]), argv[count:]
    good = 0
    while good < len(words) and any(call.split()[:good + 1] == words[:good + 1] for call in known):
        good += 1
    if good < len(words):
        raise usage(f"'{words[good]}' is misspelled or not recognized by the system.")
    raise usage(f"the following arguments are required: _subcommand" if words else "az: a command is needed")


def match(option, spec):
    exact = [entry for entry in spec if option in entry[0]]
    if exact or not option.startswith("--"):
        return exact[0] if exact else None
    close = {entry[0]: entry for entry in spec for name in entry[0] if name.startswith(option)}
    if len(close) > 1:
        names = ", ".join(name for entry in close for name in entry if name.startswith(option))
        raise usage(f"ambiguous option: {option} could match {names}")
    return next(iter(close.values()), None)


def is_option(word):
    return word.startswith("-") and len(word) > 1 and not re.fullmatch(r"-\d+(\.\d+)?", word) and " " not in word


def take(argv, spec):
    options, unknown = {}, []
    at = 0
    while at < len(argv):
        word = argv[at]
        at += 1
        name, equals, inline = word.partition("=") if word.startswith("--") else (word, "", "")
        entry = match(name, spec) if is_option(name) else None
        if entry is None:
            unknown.append(word)
            continue
        names, kind = entry
        if kind[0] == "0":
            options[key_of(names)] = True
            continue
        values = [inline] if equals else []
        limit = 1 if kind[0] == "1" else len(argv)
        while not equals and at < len(argv) and len(values) < limit and not is_option(argv[at]):
            values.append(argv[at])
            at += 1
        if not values:
            count = "one argument" if kind[0] == "1" else "at least one argument"
            raise usage(f"argument {'/'.join(names)}: expected {count}")
        options[key_of(names)] = values[0] if kind[0] == "1" else values
    return options, unknown


def parse(argv, known):
    """The call ("vm create") and its options by name, "resource_group" being "name" of a group's own calls."""
    call, rest = words_of(argv, known)
    spec = OPTIONS[call] + GLOBAL
    options, unknown = take(rest, spec)
    missing = ["/".join(names) for names, kind in spec if kind.endswith("!") and key_of(names) not in options]
    if missing:
        raise usage(f"the following arguments are required: {', '.join(missing)}")
    if unknown:
        raise usage(f"unrecognized arguments: {' '.join(unknown)}")
    for key, allowed in CHOICES.items():
        if key in options:
            found = [choice for choice in allowed if choice.lower() == str(options[key]).lower()]
            if not found:
                raise usage(f"az {call}: '{options[key]}' is not a valid value for '--{key.replace('_', '-')}'. "
                            f"Allowed values: {', '.join(allowed)}.")
            options[key] = found[0]
    return call, options


def resource_of(call, options):
    return options.get("name") or options.get("resource_group") or ""
