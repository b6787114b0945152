"""The test machines do what machines of Azure do, as far as the tutorial rests on it: traps included."""
import pathlib
import subprocess
import sys

import pytest

from faults import is_alive
from harness import wait_for

GROUP = "ha-demo-paris"
UNIT = """[Unit]
Description = a server with shared memory
StartLimitIntervalSec = 0

[Service]
User = ha-admin
WorkingDirectory = /home/ha-admin
Environment = 'GREETING=50%% of "it"'
ExecStart = /usr/bin/python3 /home/ha-admin/server.py
ExecReload = /bin/kill -HUP $MAINPID
Restart = on-failure
RestartSec = 1
RestartPreventExitStatus = 121
KillMode = {kill}
LimitNOFILE = 512

[Install]
WantedBy = multi-user.target
"""
SERVER = """import os, pathlib, signal, subprocess, sys, time
pathlib.Path('/dev/shm/PostgreSQL.1').write_text(os.environ['GREETING'])
pathlib.Path('starts').open('a').write('x')
signal.signal(signal.SIGHUP, lambda *_: pathlib.Path('reloaded').touch())
signal.signal(signal.SIGUSR1, lambda *_: os._exit(121))
subprocess.Popen(['sleep', '7777'], start_new_session=True)
time.sleep(100000)
"""


NOTIFIER = """[Service]
Type = notify
User = ha-admin
ExecStart = /usr/bin/python3 /home/ha-admin/notifier.py
Restart = on-failure
WatchdogSec = 2
"""
SPEAKER = """import os, socket, time
def tell(text):
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(text.encode(), os.environ['NOTIFY_SOCKET'])
time.sleep(1)
if os.fork() == 0:  # not the main process: nobody listens to it
    tell('STATUS=forged')
    os._exit(0)
open('/home/ha-admin/ready', 'a').write('x')
tell('STATUS=at work\\nREADY=1')
while not os.path.exists('/home/ha-admin/hang'):
    tell('WATCHDOG=1')
    time.sleep(0.2)
os.remove('/home/ha-admin/hang')
time.sleep(100)
"""


@pytest.fixture(scope="module")
def machine(world):
    """One machine, "a", with its public address in `machine.address`."""
    base = ["--resource-group", GROUP]
    world.run(["mkdir", "-p", "-m", "700", f"{world.env()['HOME']}/.ssh"])
    for call in (
            ["group", "create", "--name", GROUP, "--location", "francecentral"],
            ["network", "vnet", "create", *base, "--name", "net", "--address-prefixes", "10.11.0.0/16"],
            ["network", "nsg", "create", *base, "--name", "nsg"],
            ["network", "nsg", "rule", "create", *base, "--nsg-name", "nsg", "--name", "r", "--priority", "100",
             "--protocol", "Tcp", "--source-address-prefixes", "203.0.113.1/32", "--destination-port-ranges", "22", "5432"],
            ["network", "vnet", "subnet", "create", *base, "--vnet-name", "net", "--name", "subnet",
             "--address-prefixes", "10.11.11.0/24", "--network-security-group", "nsg"],
            ["vm", "create", *base, "--name", "a", "--vnet-name", "net", "--subnet", "subnet", "--nsg", "nsg",
             "--public-ip-address", "a-ip", "--public-ip-sku", "Standard", "--image", "Debian:debian-12:12:latest",
             "--admin-username", "ha-admin", "--generate-ssh-keys"]):
        world.run(["az", *call, "--output", "none"])
    world.address = "203.0.113.4"
    return world


def reachable(world):
    return world.ssh(world.address, "true", check=False).returncode == 0


def answers(machine, command):
    return machine.ssh(machine.address, command, check=False).stdout.strip()


def start_unit(machine, kill="control-group"):
    machine.ssh(machine.address, "cat > server.py", stdin=SERVER)
    machine.ssh(machine.address, "sudo tee /etc/systemd/system/it.service > /dev/null", stdin=UNIT.format(kill=kill))
    # Looked for in the same session: after its end logind may take the shared memory away.
    return answers(machine, "sudo systemctl daemon-reload; sudo systemctl enable it; sudo systemctl stop it;"
                   " sudo rm -f /dev/shm/PostgreSQL.1; sudo systemctl start it; timeout 10 sh -c"
                   " 'until [ -s /dev/shm/PostgreSQL.1 ]; do sleep 0.05; done'; cat /dev/shm/PostgreSQL.1")


def main_pid(machine):
    return answers(machine, "systemctl show it -p MainPID --value")


def test_ssh_answers_soon_and_the_user_may_become_root(machine):
    wait_for(lambda: reachable(machine), 15, "sshd answers")
    assert answers(machine, "hostname; id -un; sudo id -un").split() == ["a", "ha-admin", "root"]
    assert int(answers(machine, "id -u")) >= 1000


def test_a_new_machine_is_busy_with_itself_at_first(machine):
    """Whoever does not wait for cloud-init finds no sources of packages, or apt locked."""
    assert answers(machine, "cloud-init status --wait; cat /etc/apt/sources.list") == (
        "status: done\ndeb [trusted=yes] file:/srv/apt ./")


def test_it_has_processes_files_and_names_of_its_own(machine):
    assert answers(machine, "ls /home") == "ha-admin"
    assert answers(machine, "pgrep -c -f holder.p[y]") == "0"
    assert "a.internal.cloudapp.net" in answers(machine, "getent hosts 10.11.11.4")
    assert answers(machine, "ip -4 -o addr show eth0").split()[3] == "10.11.11.4/24"
    assert machine.directory.name not in answers(machine, "ls -a /tmp")


def test_only_the_ports_of_the_rule_are_open(machine):
    machine.ssh(machine.address, "nohup python3 -m http.server 8080 >/dev/null 2>&1 & "
                                 "nohup python3 -m http.server 5432 >/dev/null 2>&1 &")
    def get(port):
        return machine.run(["curl", "-sS", "--max-time", "2", f"http://{machine.address}:{port}/"],
                           check=False).returncode
    wait_for(lambda: get(5432) == 0, 10, "port 5432 answers")
    assert get(8080) == 28  # silence, not a refusal
    assert answers(machine, "curl -sS --max-time 2 -o /dev/null -w '%{http_code}' http://127.0.0.1:8080/") == "200"
    machine.ssh(machine.address, "kill $(pgrep -f http.server)", check=False)


def test_scripts_run_as_root_without_set_e(machine):
    def message(*lines):
        return machine.run(["az", "vm", "run-command", "invoke", "-g", GROUP, "-n", "a", "--command-id",
                            "RunShellScript", "--query", "value[0].message", "-o", "tsv", "--scripts", *lines]).stdout
    assert message("id -un", "false", "echo after").startswith("Enable succeeded: \n[stdout]\nroot\nafter\n")
    assert "terminated with exit status=3" in message("echo before", "exit 3")
    assert message("head -c 9000 /dev/zero | tr '\\0' x").count("x") < 4200


def test_units_run_as_their_user_and_are_started_again(machine):
    assert start_unit(machine) == '50% of "it"'
    pid = main_pid(machine)
    assert answers(machine, f"stat -c %U /proc/{pid}; grep 'open files' /proc/{pid}/limits").split()[:5] == [
        "ha-admin", "Max", "open", "files", "512"]
    assert answers(machine, "systemctl is-active it; systemctl is-enabled it; systemctl is-active nosuch").split() == [
        "active", "enabled", "inactive"]
    machine.ssh(machine.address, "sudo systemctl reload it")
    wait_for(lambda: answers(machine, "ls reloaded"), 5, "the unit was reloaded")
    machine.ssh(machine.address, f"sudo kill -9 {pid}")
    wait_for(lambda: main_pid(machine) not in ("0", pid), 10, "the unit is started again")
    assert answers(machine, "pgrep -c -f 'sleep 777[7]'") == "1", "its group died with it"


def test_a_status_that_prevents_restarts_does(machine):
    start_unit(machine)
    machine.ssh(machine.address, f"sudo kill -USR1 {main_pid(machine)}")
    wait_for(lambda: answers(machine, "systemctl is-active it") == "failed", 5, "the unit failed")
    assert answers(machine, "systemctl show it -p ExecMainStatus --value") == "121"
    assert "121" in answers(machine, "systemctl status it; journalctl -u it")


def test_kill_mode_process_spares_the_rest(machine):
    machine.ssh(machine.address, "sudo systemctl stop it; kill $(pgrep -f 'sleep 777[7]')", check=False)
    start_unit(machine, kill="process")
    machine.ssh(machine.address, "sudo systemctl stop it")
    assert answers(machine, "systemctl is-active it; pgrep -c -f 'sleep 777[7]'").split() == ["inactive", "1"]
    machine.ssh(machine.address, "kill $(pgrep -f 'sleep 777[7]')")


def test_a_notifying_unit_is_started_when_it_says_so_and_killed_when_it_is_silent(machine):
    machine.ssh(machine.address, "cat > notifier.py", stdin=SPEAKER)
    machine.ssh(machine.address, "sudo tee /etc/systemd/system/speaks.service > /dev/null", stdin=NOTIFIER)
    said = answers(machine, "sudo systemctl daemon-reload; sudo systemctl start speaks; cat ready; echo; systemctl is-active speaks;"
                            " systemctl show speaks -p StatusText --value")
    assert said.split("\n") == ["x", "active", "at work"]
    machine.ssh(machine.address, "touch hang")
    wait_for(lambda: answers(machine, "cat ready") == "xx", 15, "the watchdog has ended it, and it was started again")
    assert "Watchdog timeout" in answers(machine, "journalctl -u speaks")
    machine.ssh(machine.address, "sudo systemctl stop speaks")


def test_only_root_changes_units(machine):
    refused = machine.ssh(machine.address, "systemctl stop it", check=False)
    assert refused.returncode == 1 and "Interactive authentication required" in refused.stderr
    assert machine.ssh(machine.address, "sudo systemctl start nosuch", check=False).returncode == 5
    assert "could not be found" in machine.ssh(machine.address, "systemctl status nosuch", check=False).stderr


def test_a_user_who_logs_out_loses_shared_memory_unless_lingering(machine):
    """RemoveIPC: the trap of Debian's logind."""
    start_unit(machine)
    def seen_by_root():
        return machine.run(["az", "vm", "run-command", "invoke", "-g", GROUP, "-n", "a", "--command-id",
                            "RunShellScript", "--query", "value[0].message", "-o", "tsv", "--scripts",
                            "ls /dev/shm; ipcs -m"]).stdout
    seen = answers(machine, "sudo systemctl restart it; ipcmk -M 4096 >&2; timeout 10 sh -c"
                   " 'until [ -s /dev/shm/PostgreSQL.1 ]; do sleep 0.05; done'; ls /dev/shm; ipcs -m")
    assert "PostgreSQL.1" in seen and "4096" in seen
    wait_for(lambda: "PostgreSQL.1" not in seen_by_root(), 20, "logind removes the shared memory", interval=0.5)
    assert "4096" not in seen_by_root()
    assert machine.ssh(machine.address, "loginctl enable-linger ha-admin", check=False).returncode == 1
    machine.ssh(machine.address, "sudo loginctl enable-linger ha-admin && sudo systemctl restart it")
    wait_for(lambda: "PostgreSQL.1" in seen_by_root(), 10, "shared memory again")
    with pytest.raises(AssertionError):
        wait_for(lambda: "PostgreSQL.1" not in seen_by_root(), 3, "nothing", interval=0.5)
    assert "Linger=yes" in answers(machine, "loginctl show-user ha-admin -p Linger")
    machine.ssh(machine.address, "sudo loginctl disable-linger ha-admin; sudo mkdir -p /etc/systemd/logind.conf.d; "
                                 "printf '[Login]\\nRemoveIPC=no\\n' | sudo tee /etc/systemd/logind.conf.d/x.conf; "
                                 "sudo systemctl restart systemd-logind")
    with pytest.raises(AssertionError):
        wait_for(lambda: "PostgreSQL.1" not in seen_by_root(), 3, "nothing", interval=0.5)


def test_a_power_cut_spares_the_disk_and_enabled_units_start_again(machine):
    start_unit(machine)
    machine.ssh(machine.address, "touch kept; sudo touch /root/kept")
    before = answers(machine, "wc -c < starts")
    machine.power_cut("a")
    assert not reachable(machine)
    machine.run(["az", "vm", "start", "-g", GROUP, "-n", "a"])
    wait_for(lambda: reachable(machine), 20, "the machine answers again")
    assert answers(machine, "sudo ls kept /root/kept").split() == ["/root/kept", "kept"]
    wait_for(lambda: int(answers(machine, "wc -c < starts")) > int(before), 10, "the unit was started")
    assert answers(machine, "ls /dev/shm") == "PostgreSQL.1"


def test_a_deleted_group_leaves_nothing(machine):
    machine.run(["az", "group", "delete", "--name", GROUP, "--yes"])
    assert machine.left_over() == []
    assert list((machine.directory / "machines").iterdir()) == []


def test_a_test_that_is_killed_leaves_nothing(machine):
    """Its end closes a pipe, and that ends the world."""
    script = ("import sys; sys.path.insert(0, sys.argv[1]); import world; w = world.World(); "
              "print(w.pid, w.directory, flush=True); sys.stdin.read()")
    other = subprocess.Popen([sys.executable, "-c", script, pathlib.Path(__file__).parent / "vm"],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    pid, directory = other.stdout.readline().split()
    assert is_alive(int(pid)) and pathlib.Path(directory).exists()
    other.kill()
    other.communicate()
    wait_for(lambda: not is_alive(int(pid)) and not pathlib.Path(directory).exists(), 20, "the world has ended")
