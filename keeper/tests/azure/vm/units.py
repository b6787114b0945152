"""Reads unit files, as far as our units go. What is not known is refused, so that no test rests on it."""
import pathlib
import re

DIRECTORIES = ["/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/lib/systemd/system"]
WANTS = "multi-user.target.wants"
# Without effect here: there is no memory cgroup, every network is up at boot, nobody reads documentation.
IGNORED = {
    "Unit": {"Description", "Documentation", "After", "Before", "Wants", "Requires", "PartOf"},
    "Service": {"OOMPolicy", "StandardOutput", "StandardError", "SyslogIdentifier", "NoNewPrivileges", "RemainAfterExit",
                # What a service may not do is enforced by the kernel for systemd, and not here.
                "CapabilityBoundingSet", "AmbientCapabilities", "ProtectSystem", "PrivateDevices", "ProtectClock", "ProtectControlGroups",
                "ProtectHostname", "ProtectKernelLogs", "ProtectKernelModules", "ProtectKernelTunables", "RestrictAddressFamilies",
                "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID", "LockPersonality", "SystemCallArchitectures",
                "SystemCallFilter", "SystemCallErrorNumber"},
    "Install": {"Alias"},
}
KNOWN = {
    "Unit": {"StartLimitIntervalSec", "StartLimitBurst", "ConditionPathExists"},
    "Service": {
        "Type", "User", "Group", "SupplementaryGroups", "WorkingDirectory", "Environment", "EnvironmentFile", "ExecStart",
        "ExecStartPre", "ExecReload", "Restart", "RestartSec", "RestartPreventExitStatus", "SuccessExitStatus",
        "KillMode", "KillSignal", "SendSIGKILL", "TimeoutStopSec", "TimeoutStartSec", "TimeoutSec", "LimitNOFILE",
        "LimitCORE", "UMask", "OOMScoreAdjust", "RuntimeDirectory", "RuntimeDirectoryMode"},
    "Install": {"WantedBy"},
}
TIMES = {"us": 1e-6, "ms": 1e-3, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "": 1}


class UnitError(Exception):
    pass


def seconds(text):
    if text == "infinity":
        return 10 ** 9
    total, rest = 0.0, text.strip()
    while rest:
        found = re.match(r"(\d+(?:\.\d+)?)\s*([a-z]*)\s*", rest)
        if not found or found.group(2) not in TIMES:
            raise UnitError(f"cannot read the time {text!r}")
        total += float(found.group(1)) * TIMES[found.group(2)]
        rest = rest[found.end():]
    return total


def split(text):
    """Words with quotes and backslashes, as systemd reads them."""
    words, word, quote, at = [], None, None, 0
    while at < len(text):
        char = text[at]
        at += 1
        if char == "\\" and at < len(text):
            word = (word or "") + {"n": "\n", "t": "\t", "s": " "}.get(text[at], text[at])
            at += 1
        elif quote:
            quote, word = (None, word) if char == quote else (quote, word + char)
        elif char in "'\"" and word is None:
            quote, word = char, ""
        elif char.isspace():
            if word is not None:
                words.append(word)
            word = None
        else:
            word = (word or "") + char
    if quote:
        raise UnitError(f"unbalanced quotes: {text!r}")
    return words + ([word] if word is not None else [])


class Unit:
    def __init__(self, name, path):
        self.name, self.path = name, pathlib.Path(path)
        self.sections = {}
        self.read()
        self.check()

    def read(self):
        section, pending = None, ""
        for line in self.path.read_text().splitlines():
            line = pending + line.strip()
            pending = ""
            if not line or line[0] in "#;":
                continue
            if line.endswith("\\"):
                pending = line[:-1] + " "
                continue
            if line.startswith("["):
                section = line.strip("[]")
                continue
            key, equals, value = (part.strip() for part in line.partition("="))
            if not equals or section is None:
                raise UnitError(f"{self.path}: cannot read {line!r}")
            values = self.sections.setdefault(section, {}).setdefault(key, [])
            if value:
                values.append(value)
            else:
                values.clear()

    def check(self):
        for section, keys in self.sections.items():
            for key in keys:
                if key not in KNOWN.get(section, set()) | IGNORED.get(section, set()):
                    raise UnitError(f"{self.name}: the stand-in for systemd does not know [{section}] {key}=")
        if self.last("Service", "Type", "simple") not in ("simple", "exec", "oneshot"):
            raise UnitError(f"{self.name}: the stand-in for systemd knows only Type=simple, exec and oneshot")
        if len(self.all("Service", "ExecStart")) != 1:
            raise UnitError(f"{self.name}: Service has no or several ExecStart= settings. Refusing.")

    def all(self, section, key):
        return self.sections.get(section, {}).get(key, [])

    def last(self, section, key, default=None):
        values = self.all(section, key)
        return values[-1] if values else default

    def expand(self, text, specifiers):
        """%u and its kin; "%%" is a percent sign."""
        def replaced(found):
            if found.group(1) not in specifiers:
                raise UnitError(f"{self.name}: the stand-in for systemd does not know the specifier {found.group(0)}")
            return specifiers[found.group(1)]
        return re.sub(r"%(.?)", replaced, text)

    def specifiers(self, record):
        return {"%": "%", "n": self.name, "N": self.name.removesuffix(".service"), "u": record.pw_name,
                "U": str(record.pw_uid), "h": record.pw_dir, "t": "/run", "H": pathlib.Path("/etc/hostname").read_text().strip()}

    def environment(self, record):
        found = {}
        for line in self.all("Service", "Environment"):
            for word in split(self.expand(line, self.specifiers(record))):
                key, _, value = word.partition("=")
                found[key] = value
        for line in self.all("Service", "EnvironmentFile"):
            path = pathlib.Path(self.expand(line.removeprefix("-"), self.specifiers(record)))
            if not path.exists() and line.startswith("-"):
                continue
            for entry in path.read_text().splitlines():
                if entry.strip() and entry.strip()[0] not in "#;":
                    key, _, value = entry.partition("=")
                    found[key.strip()] = value.strip().strip("'\"")
        return found

    def commands(self, key, record, environment):
        """(argv, may fail) of each line."""
        found = []
        for line in self.all("Service", key):
            may_fail = line.startswith("-")
            words = split(self.expand(line.removeprefix("-"), self.specifiers(record)))
            if not words or not words[0].startswith("/"):
                raise UnitError(f"{self.name}: {key}= needs an absolute path: {line!r}")
            found.append(([self.substituted(word, environment) for word in words], may_fail))
        return found

    @staticmethod
    def substituted(word, environment):
        return re.sub(r"\$\{(\w+)\}|\$(\w+)", lambda found: environment.get(found.group(1) or found.group(2), ""), word)

    def wanted_by(self):
        return split(" ".join(self.all("Install", "WantedBy")))


def path_of(name):
    for directory in DIRECTORIES:
        path = pathlib.Path(directory) / name
        if path.is_file():
            return path
    return None
