"""What Azure's image and its agent leave on a new machine: user, keys, sudo, sshd, sources of packages."""
import fcntl
import os
import pathlib
import pwd
import shutil
import time

from linux import run

HERE = pathlib.Path(__file__).resolve().parent
LOCKED_S = 1.0
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
    pathlib.Path("/etc/apt/sources.list").write_text("deb [trusted=yes] file:/srv/apt ./\n")
    pathlib.Path("/var/lib/apt/lists/partial").mkdir(parents=True, exist_ok=True)
    pathlib.Path("/etc/ssh/sshd_config").write_text(SSHD_CONFIG)
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/etc/ssh/ssh_host_ed25519_key")
    make_user(machine)
    hold_packages()
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.write_text("")


def hold_packages():
    """A new machine looks for updates by itself: dpkg is locked for a while."""
    pid = os.fork()
    if pid == 0:
        with open("/var/lib/dpkg/lock-frontend", "a", encoding="ascii") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX)
            time.sleep(LOCKED_S)
        os._exit(0)


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
    sudoers = pathlib.Path("/etc/sudoers.d/90-cloud-init-users")
    sudoers.write_text(f"{user} ALL=(ALL) NOPASSWD:ALL\n")
    sudoers.chmod(0o440)
