"""What systemd-logind does to a user whose last session ends: RemoveIPC=yes removes shared memory and semaphores."""
import asyncio
import glob
import os
import pathlib
import pwd
import subprocess

LINGER = pathlib.Path("/var/lib/systemd/linger")
TICK_S = 0.2
LATE_S = 1.0  # logind's UserStopDelaySec= is 10 s
FIRST_LOGIN_UID = 1000


def configured():
    """RemoveIPC= as logind reads it: the file, then the pieces in the order of their names."""
    pieces = {os.path.basename(path): path for directory in ("/usr/lib", "/run", "/etc")
              for path in glob.glob(f"{directory}/systemd/logind.conf.d/*.conf")}
    value = "yes"
    for path in ["/etc/systemd/logind.conf", *(pieces[name] for name in sorted(pieces))]:
        try:
            lines = pathlib.Path(path).read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            key, _, text = (part.strip() for part in line.partition("="))
            if key == "RemoveIPC" and text:
                value = text
    return value.lower() in ("yes", "true", "1", "on")


def users_with_sessions():
    """Owners of sshd's processes that serve a login."""
    found = set()
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            if pathlib.Path(f"/proc/{entry}/comm").read_text().strip() == "sshd":
                found.add(os.stat(f"/proc/{entry}").st_uid)
        except OSError:
            continue
    return {uid for uid in found if uid >= FIRST_LOGIN_UID and uid != 65534}


def remove_ipc(uid):
    for name in os.listdir("/dev/shm"):
        path = pathlib.Path("/dev/shm", name)
        if path.lstat().st_uid == uid:
            path.unlink(missing_ok=True)
    for kind, option, owner, key in (("shm", "-m", 7, 1), ("sem", "-s", 4, 1), ("msg", "-q", 7, 1)):
        for line in pathlib.Path(f"/proc/sysvipc/{kind}").read_text().splitlines()[1:]:
            fields = line.split()
            if int(fields[owner]) == uid:
                subprocess.run(["ipcrm", option, fields[key]], capture_output=True)


class Logind:
    def __init__(self):
        self.remove = configured()
        self.sessions = set()
        self.leaving = {}

    def reload(self):
        self.remove = configured()

    async def watch(self):
        """RemoveIPC spares users who linger, and system users."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(TICK_S)
            now = users_with_sessions()
            for uid in self.sessions - now:
                self.leaving[uid] = loop.time() + LATE_S
            for uid in now:
                self.leaving.pop(uid, None)
            self.sessions = now
            for uid, at in list(self.leaving.items()):
                if loop.time() < at:
                    continue
                del self.leaving[uid]
                if self.remove and not (LINGER / pwd.getpwuid(uid).pw_name).exists():
                    remove_ipc(uid)
