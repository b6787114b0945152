"""What Azure's image and its agent leave on a new machine: user, keys, sudo, sshd, sources of packages."""
import fcntl
import os
import pathlib
import pwd
import shutil
import time

from linux import run

HERE = pathlib.Path(__file__).resolve().parent
BUSY_S = 0.7
CLOUD_INIT = """#!/bin/sh
[ "$*" = "status --wait" ] || { echo "cloud-init: only status --wait is known here" >&2; exit 1; }
while [ ! -e /run/cloud-init/result.json ]; do sleep 0.1; done
echo "status: done"
"""
PROGRAMS = ["systemctl", "loginctl", "journalctl"]
SSHD_CONFIG = """Port 22
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin no
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
X11Forwarding no
PrintMotd no
AcceptEnv LANG LC_*
Subsystem sftp internal-sftp
"""


def load():
    """Read before the root changes: our directories are not seen after it."""
    return {"client": (HERE / "client.py").read_text()}


def every_boot():
    for name, mode in (("sshd", 0o755), ("user", 0o755), ("systemd", 0o755), ("systemd/system", 0o755)):
        pathlib.Path("/run", name).mkdir(exist_ok=True)
        pathlib.Path("/run", name).chmod(mode)
    try:  # as postgresql-common's tmpfiles.d asks for
        postgres = pwd.getpwnam("postgres")
    except KeyError:
        return
    path = pathlib.Path("/run/postgresql")
    path.mkdir(exist_ok=True)
    os.chown(path, postgres.pw_uid, postgres.pw_gid)
    path.chmod(0o2775)


def first_boot(machine, files):
    mark = pathlib.Path("/var/lib/waagent/provisioned")
    if mark.exists():
        end_cloud_init()
        return
    pathlib.Path("/etc/hostname").write_text(machine["name"] + "\n")
    pathlib.Path("/etc/resolv.conf").unlink(missing_ok=True)
    pathlib.Path("/etc/resolv.conf").write_text("")
    for name in PROGRAMS:
        path = pathlib.Path("/usr/bin", name)
        path.unlink(missing_ok=True)
        path.write_text(files["client"])
        path.chmod(0o755)
    for name in ("bin", "sbin", "lib", "share"):
        pathlib.Path("/usr/local", name).mkdir(exist_ok=True)
    pathlib.Path("/etc/systemd/system/multi-user.target.wants").mkdir(parents=True)
    pathlib.Path("/var/lib/systemd/linger").mkdir(parents=True)
    pathlib.Path("/etc/apt/sources.list").unlink(missing_ok=True)
    pathlib.Path("/usr/bin/cloud-init").unlink(missing_ok=True)
    pathlib.Path("/usr/bin/cloud-init").write_text(CLOUD_INIT)
    pathlib.Path("/usr/bin/cloud-init").chmod(0o755)
    pathlib.Path("/var/lib/apt/lists/partial").mkdir(parents=True, exist_ok=True)
    pathlib.Path("/etc/ssh/sshd_config").write_text(SSHD_CONFIG)
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/etc/ssh/ssh_host_ed25519_key")
    make_user(machine)
    begin_cloud_init()
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.write_text("")


def begin_cloud_init():
    """A new machine is busy with itself for a while: packages are locked, and the list of their sources is not there."""
    if os.fork() != 0:
        return
    with open("/var/lib/dpkg/lock-frontend", "a", encoding="ascii") as packages, \
            open("/var/lib/apt/lists/lock", "a", encoding="ascii") as lists:
        fcntl.lockf(packages, fcntl.LOCK_EX)
        fcntl.lockf(lists, fcntl.LOCK_EX)
        time.sleep(BUSY_S)
        pathlib.Path("/etc/apt/sources.list").write_text("deb [trusted=yes] file:/srv/apt ./\n")
    end_cloud_init()
    os._exit(0)


def end_cloud_init():
    pathlib.Path("/run/cloud-init").mkdir(exist_ok=True)
    pathlib.Path("/run/cloud-init/result.json").write_text("{}\n")


def make_user(machine):
    user = machine["user"]
    # "*" is no password, but not a locked account, which sshd would refuse.
    run("useradd", "-m", "-s", "/bin/bash", "-p", "*", "-G", "sudo", user)
    record = pwd.getpwnam(user)
    ssh = pathlib.Path(record.pw_dir, ".ssh")
    ssh.mkdir(mode=0o700)
    (ssh / "authorized_keys").write_text("\n".join(machine["keys"]) + "\n")
    (ssh / "authorized_keys").chmod(0o600)
    for path in (ssh, ssh / "authorized_keys"):
        shutil.chown(path, record.pw_uid, record.pw_gid)
    # PostgreSQL is on the disk already, and so is its user; its home is as the package leaves it.
    shutil.chown("/var/lib/postgresql", "postgres", "postgres")
    sudoers = pathlib.Path("/etc/sudoers.d/90-cloud-init-users")
    sudoers.write_text(f"{user} ALL=(ALL) NOPASSWD:ALL\n")
    sudoers.chmod(0o440)
