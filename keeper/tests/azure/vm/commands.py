"""systemctl, loginctl and journalctl, as far as a tutorial goes; anything else is refused."""
import asyncio
import os
import pathlib
import pwd

from logind import LINGER
from service import LOGS, descendants
from units import UnitError, path_of

READ_ONLY = {"status", "is-active", "is-enabled", "is-failed", "is-system-running", "show", "cat", "list-units"}
BUILT_IN = {"ssh.service", "sshd.service", "systemd-logind.service"}
AUTHENTICATION = "Interactive authentication required.\nSee system logs and 'systemctl status {}' for details.\n"


def full(name):
    return name if "." in name else f"{name}.service"


def properties(manager, name):
    if name in BUILT_IN:
        return {"Id": name, "LoadState": "loaded", "ActiveState": "active", "SubState": "running", "Result": "success"}
    if path_of(name) is None and name not in manager.services:
        return {"Id": name, "LoadState": "not-found", "ActiveState": "inactive", "SubState": "dead", "MainPID": "0"}
    service = manager.service(name)
    unit = service.unit
    return {"Id": name, "LoadState": "loaded", "ActiveState": service.state, "SubState": service.sub,
            "Result": service.result, "MainPID": str(service.main), "ExecMainStatus": str(abs(service.status)),
            "NRestarts": str(service.restarts), "FragmentPath": str(unit.path), "User": unit.last("Service", "User", ""),
            "UnitFileState": "enabled" if is_enabled(unit) else "disabled",
            "StatusText": service.status_text, "Description": unit.last("Unit", "Description", name)}


def links_of(unit):
    return [pathlib.Path(f"/etc/systemd/system/{target}.wants/{unit.name}") for target in unit.wanted_by()]


def is_enabled(unit):
    return any(link.is_symlink() for link in links_of(unit))


def enable(unit):
    out = ""
    for link in links_of(unit):
        if not link.is_symlink():
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(unit.path)
            out += f"Created symlink {link} → {unit.path}.\n"
    if not links_of(unit):
        out += "The unit files have no installation config (WantedBy=, ...).\n"
    return out


def disable(unit):
    out = ""
    for link in links_of(unit):
        if link.is_symlink():
            link.unlink()
            out += f"Removed \"{link}\".\n"
    return out


def status_text(manager, name):
    if path_of(name) is None and name not in BUILT_IN:
        return 4, "", f"Unit {name} could not be found.\n"
    facts = properties(manager, name)
    out = (f"* {name} - {facts.get('Description', name)}\n     Loaded: loaded ({facts.get('FragmentPath', '')}; "
           f"{facts.get('UnitFileState', 'enabled')}; preset: enabled)\n"
           f"     Active: {facts['ActiveState']} ({facts['SubState']})\n")
    if facts.get("MainPID", "0") != "0":
        out += f"   Main PID: {facts['MainPID']}\n"
        pids = descendants(manager.service(name).runner)
        out += f"      Tasks: {len(pids)}\n"
    return (0 if facts["ActiveState"] in ("active", "reloading") else 3), out + "\n" + log_of(name, 10), ""


def log_of(name, lines=None):
    try:
        text = (LOGS / f"{name}.log").read_text(errors="replace").splitlines(keepends=True)
    except OSError:
        return "-- No entries --\n"
    return "".join(text[-lines:] if lines else text)


async def act(manager, verb, name):
    """start, stop, restart, try-restart, reload, kill; an error text or nothing."""
    if name in BUILT_IN:
        if name == "systemd-logind.service":
            manager.logind.reload()
        return None
    service = manager.service(name)
    if verb in ("stop", "restart") or (verb == "try-restart" and service.state == "active"):
        await service.stop()
    if verb == "try-restart" and service.state != "inactive":
        return None
    if verb in ("start", "restart", "try-restart"):
        return await service.start()
    if verb == "reload":
        return await service.reload()
    if verb == "reset-failed":
        service.starts = []
        if service.state == "failed":
            service.state, service.sub = "inactive", "dead"
    return None


def read_verb(manager, verb, names, options):
    """Verbs that change nothing; they need no rights."""
    if verb == "is-system-running":
        failed = any(service.state == "failed" for service in manager.services.values())
        return (1, "degraded\n", "") if failed else (0, "running\n", "")
    if verb == "status":
        return status_text(manager, names[0])
    if verb == "cat":
        path = path_of(names[0])
        return (0, f"# {path}\n{path.read_text()}", "") if path else (1, "", f"No files found for {names[0]}.\n")
    facts = [properties(manager, name) for name in names]
    if verb == "list-units":
        return 0, "".join(f"{name} loaded {s.state} {s.sub}\n" for name, s in manager.services.items()), ""
    if verb == "show":
        wanted = [key for option in options for key in option.removeprefix("-p").split(",") if option.startswith("-p")]
        lines = [value if "--value" in options else f"{key}={value}" for fact in facts
                 for key, value in fact.items() if not wanted or key in wanted]
        return 0, "".join(line + "\n" for line in lines), ""
    if verb == "is-enabled":
        states = [fact.get("UnitFileState", "enabled" if fact["LoadState"] == "loaded" else "not-found")
                  for fact in facts]
        good = all(state == "enabled" for state in states)
    else:
        states = [fact["ActiveState"] for fact in facts]
        good = any(state == verb.removeprefix("is-") for state in states)
    shown = "" if "-q" in options else "".join(state + "\n" for state in states)
    return (0 if good else 1 if verb != "is-active" else 3), shown, ""


def options_of(argv):
    """Options before or after the verb; -p takes a value."""
    words, options, rest = [], [], list(argv)
    while rest:
        word = rest.pop(0)
        if word in ("-p", "--property", "-n", "--lines", "-u", "--unit", "-o", "--output", "-b", "-t"):
            options.append({"--property": "-p", "--lines": "-n", "--unit": "-u"}.get(word, word)
                           + (rest.pop(0) if rest and word != "-b" else ""))
        elif word.startswith("-"):
            options.append({"--quiet": "-q"}.get(word, word).replace("--property=", "-p").replace("--lines=", "-n")
                           .replace("--unit=", "-u"))
        else:
            words.append(word)
    return words, options


SYSTEMCTL_OPTIONS = {"-q", "--now", "--no-pager", "--value", "-l", "--full", "--no-block", "--system", "--failed", "-a",
                     "--all", "--no-legend", "--plain", "--force"}


async def systemctl(manager, argv, uid):
    words, options = options_of(argv)
    unknown = [o for o in options if o not in SYSTEMCTL_OPTIONS and not o.startswith(("-p", "-n"))]
    if unknown:
        return 1, "", f"systemctl: unrecognized option '{unknown[0]}'\n"
    verb, names = (words or ["list-units"])[0], [full(word) for word in words[1:]]
    if verb in READ_ONLY:
        return read_verb(manager, verb, names, options)
    if verb not in ("daemon-reload", "daemon-reexec", "enable", "disable", "start", "stop", "restart", "try-restart",
                    "reload", "reset-failed", "reboot", "poweroff"):
        return 1, "", f"Unknown command verb {verb}.\n"
    if uid != 0:
        return 1, "", f"Failed to {verb} {' '.join(names)}: {AUTHENTICATION.format(' '.join(names))}"
    if verb in ("daemon-reload", "daemon-reexec"):
        manager.forget_files()
        return 0, "", ""
    if verb in ("reboot", "poweroff"):
        asyncio.ensure_future(manager.shut_down())
        return 0, "", ""
    if not names:
        return 1, "", "Too few arguments.\n"
    out = err = ""
    for name in names:
        if verb in ("enable", "disable") and name not in BUILT_IN:
            if path_of(name) is None:
                return 1, out, f"Failed to {verb} unit: Unit file {name} does not exist.\n"
            err += (enable if verb == "enable" else disable)(manager.unit(name))
        actions = {"enable": ["start"], "disable": ["stop"]}.get(verb, [verb])
        for action in actions if verb not in ("enable", "disable") or "--now" in options else []:
            if path_of(name) is None and name not in BUILT_IN and name not in manager.services:
                return 5, out, f"Failed to {action} {name}: Unit {name} not found.\n"
            error = await act(manager, action, name)
            if error:
                return 1, out, err + error + f"\nSee \"systemctl status {name}\" and \"journalctl -xeu {name}\".\n"
    return 0, out, err


def loginctl(manager, argv, uid):
    words, options = options_of(argv)
    verb = (words or ["list-users"])[0]
    name = words[1] if len(words) > 1 else pwd.getpwuid(uid).pw_name
    record = pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
    mark = LINGER / record.pw_name
    if verb in ("enable-linger", "disable-linger"):
        if uid != 0:
            return 1, "", "Could not enable linger: Interactive authentication required.\n"
        mark.touch() if verb == "enable-linger" else mark.unlink(missing_ok=True)
        return 0, "", ""
    present = record.pw_uid in manager.logind.sessions
    if verb == "show-user":
        if not present and not mark.exists():
            return 1, "", f"Failed to get user: User ID {record.pw_uid} is not logged in or lingering\n"
        facts = {"UID": str(record.pw_uid), "Name": record.pw_name, "State": "active" if present else "lingering",
                 "Linger": "yes" if mark.exists() else "no"}
        wanted = [option[2:] for option in options if option.startswith("-p")]
        return 0, "".join((v if "--value" in options else f"{k}={v}") + "\n" for k, v in facts.items()
                          if not wanted or k in wanted), ""
    if verb == "list-users":
        names = {pwd.getpwuid(u).pw_name for u in manager.logind.sessions} | {p.name for p in LINGER.iterdir()}
        return 0, "".join(f"{pwd.getpwnam(user).pw_uid} {user}\n" for user in sorted(names)), ""
    return 1, "", f"Unknown command verb {verb}.\n"


def journalctl(argv):
    _, options = options_of(argv)
    names = [full(option[2:]) for option in options if option.startswith("-u")]
    counts = [int(option[2:]) for option in options if option.startswith("-n") and option[2:].isdigit()]
    return 0, "".join(log_of(name, counts[0] if counts else None) for name in names), ""


async def run(manager, program, argv, uid):
    if program == "systemctl":
        return await systemctl(manager, argv, uid)
    if program == "loginctl":
        return loginctl(manager, argv, uid)
    if program == "journalctl":
        return journalctl(argv)
    raise UnitError(f"unknown program {os.path.basename(program)}")
