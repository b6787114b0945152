"""The tutorial, end to end, on machines of our own: both routes, a dead primary, and no lost acknowledged row."""
import json
import os
import re

import pytest

from harness import wait_for
from tutorial import (Tutorial, built_tarball, make_package, make_repository, now, owners_are_no_administrators,
                      source_tarball)

REGION = "--prefix ha-demo --region paris"
GROUP = "ha-demo-paris"
# Of the services that tell our address, only the last one is sound.
JUNK = {"api.ipify.org": "upstream connect error", "ipv4.icanhazip.com": "10.0.0.1", "checkip.amazonaws.com": 503}


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return make_package(tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="module")
def tutorial(world, package):
    make_repository(world.directory / "repository", package)
    tutorial = Tutorial(world)
    yield tutorial
    tutorial.close()


def answer_with(tutorial, **answers):
    """What the services that tell our address say; "others" is for the rest."""
    names = ["api.ipify.org", "ipv4.icanhazip.com", "checkip.amazonaws.com", "ifconfig.me"]
    told = {name: answers["others"] for name in names} if "others" in answers else {}
    (tutorial.world.directory / "internet.json").write_text(json.dumps(told | answers))


def test_without_our_own_address_nothing_is_made(tutorial):
    """Junk is no address, and the machines are not opened to the world instead."""
    answer_with(tutorial, others="<html>welcome</html>")
    refused = tutorial.autoctl(f"create region {REGION} --location francecentral --nodes 1", check=False)
    assert refused.returncode != 0 and "--allow-from" in refused.stderr and "<html>" in refused.stderr
    assert tutorial.sh("az group list").stdout.strip() == "[]"
    answer_with(tutorial, others=503)
    assert tutorial.autoctl(f"create region {REGION} --location francecentral --nodes 1", check=False).returncode != 0
    assert tutorial.sh("az group list").stdout.strip() == "[]"


@pytest.fixture(scope="module")
def region(tutorial):
    """Monitor, two nodes and the application, made by the commands of the first route."""
    answer_with(tutorial, **JUNK)
    tutorial.autoctl(f"create region {REGION} --location francecentral --monitor --app --nodes 2")
    tutorial.autoctl(f"create nodes {REGION} --monitor --app --nodes 2")
    return tutorial


@pytest.fixture
def empty(tutorial):
    """Without what a failed test left: networks of two regions would have the same addresses, and here they meet."""
    for name in json.loads(tutorial.sh("az group list --query '[].name'").stdout):
        tutorial.sh(f"az group delete --yes --name {name}")
    return tutorial


def rule_sources(tutorial):
    """Who may reach the machines, as az was told last."""
    rules = [argv for argv, _ in tutorial.world.calls() if argv[:4] == ["network", "nsg", "rule", "create"]]
    at = rules[-1].index("--source-address-prefixes") + 1
    return rules[-1][at:next(i for i in range(at, len(rules[-1])) if rules[-1][i].startswith("--"))]


def primary_of(tutorial):
    states = tutorial.states(REGION)
    return next(name for name, pair in states.items() if pair == ("primary", "primary"))


def test_the_region_is_shown(region):
    listed = region.autoctl(f"ls {REGION}").stdout
    for name in ("monitor", "a", "b", "app"):
        assert re.search(rf"^{GROUP}-{name} +Microsoft.Compute/virtualMachines +francecentral$", listed, re.MULTILINE)
        assert f"{GROUP}-{name}-ip" in listed
    ips = region.autoctl("show ips --prefix ha-demo --name paris", PG_AUTOCTL_DEBUG=1).stdout
    assert re.search(rf"^{GROUP}-app +203\.0\.113\.\d+ +10\.11\.11\.\d+$", ips, re.MULTILINE)
    assert region.states(REGION) == {"paris-a": ("primary", "primary"), "paris-b": ("secondary", "secondary")}


def test_only_we_may_reach_the_machines(region):
    """The group is open to our address, which one of the services told, and to the subnet."""
    assert rule_sources(region) == ["203.0.113.1/32", "10.11.11.0/24"]


def test_every_call_of_az_succeeded(region):
    assert [call for call in region.world.calls() if call[1] != 0 and call[0][:2] != ["group", "show"]] == []


def test_the_package_is_whole_and_goes_without_a_trace(region):
    """On the application's machine, which does not need it."""
    app, name = f"{GROUP}-app", "postgresql-15-pgautofailover"
    region.on(app, f"sudo apt-get -q -y install {name}")
    assert region.on(app, f"readlink -f $(command -v pg_autoctl); dpkg --verify {name}") == (
        "/usr/lib/postgresql/15/bin/pg_autoctl")
    assert region.on(app, "pg_autoctl version")
    region.on(app, f"sudo apt-get -q -y purge {name}")
    left = region.on(app, "sudo find /usr /etc/alternatives /var/lib/dpkg/alternatives -name '*autoctl*' -o -name 'pgautofailover*'")
    assert left == ""


def test_the_unit_is_good_and_enabled(region):
    assert region.on(f"{GROUP}-a", "systemctl is-enabled pgautofailover; systemctl is-active pgautofailover").split() == [
        "enabled", "active"]
    if not region.on(f"{GROUP}-a", "command -v systemd-analyze", check=False):
        pytest.skip("systemd-analyze is not installed")
    said = region.on(f"{GROUP}-a", "systemd-analyze verify /etc/systemd/system/pgautofailover.service 2>&1; echo $?")
    assert said == "0"


def test_shared_memory_survives_the_end_of_the_last_session(region):
    """Debian's logind has RemoveIPC=yes; nobody has a session for some seconds."""
    listing = ("vm run-command invoke -g ha-demo-paris -n ha-demo-paris-a --command-id RunShellScript "
               "--query 'value[0].message' -o tsv --scripts 'ls /dev/shm; echo sessions: $(pgrep -c -u ha-admin -x sshd)'")
    def without_session():
        said = region.sh(f"az {listing}").stdout
        assert "PostgreSQL." in said
        return "sessions: 0" in said
    quiet = now() + 3  # logind of these machines waits for a second
    wait_for(lambda: without_session() and now() > quiet, 20, "seconds without a session", interval=0.5)
    assert region.on(f"{GROUP}-app", "psql -X -A -t service=appdb -c 'SELECT 1'") == "1"


def test_postgresql_belongs_to_somebody_who_cannot_become_root(region):
    for name in ("monitor", "a", "b"):
        owners_are_no_administrators(region, f"{GROUP}-{name}")
    program = "psql -X -A -t -d appdb -c \"COPY (SELECT 1) TO PROGRAM 'sudo -n id > /tmp/id 2>&1; true'\""
    region.on(f"{GROUP}-a", f"cd /; sudo -u postgres {program}")
    assert "uid=0" not in region.on(f"{GROUP}-a", "sudo cat /tmp/id")


def test_the_administrator_types_what_he_is_used_to(region):
    """Relative, with a tilde, from elsewhere, by the environment, as root; and no secret reaches the log of sudo."""
    monitor, node = f"{GROUP}-monitor", f"{GROUP}-a"
    for command in ("pg_autoctl show state --pgdata monitor", "pg_autoctl show state --pgdata ./monitor",
                    "pg_autoctl show state -D ~/monitor", "cd /tmp; pg_autoctl show state --pgdata ~ha-admin/monitor",
                    "PGDATA=monitor pg_autoctl show state", "sudo pg_autoctl show state --pgdata monitor",
                    "pg_autoctl show state --pgdata /var/lib/postgresql/monitor",
                    "sudo -u postgres pg_autoctl show state --pgdata /var/lib/postgresql/monitor"):
        assert "paris-a" in region.on(monitor, command), command
    for command in ("status", "config check", "show file", "show uri", "show events", "perform switchover --formation nosuch || true"):
        assert "sudo:" not in region.on(node, f"pg_autoctl {command} --pgdata ha 2>&1"), command
    assert region.on(node, "pg_autoctl config get postgresql.port --pgdata ha") == "5432"
    unit = region.on(node, "pg_autoctl -q show systemd --pgdata ha")
    assert "User = postgres\n" in unit and '"PGDATA=/var/lib/postgresql/ha"' in unit
    region.on(node, "echo 'Defaults logfile=/var/log/sudo.log' | sudo tee /etc/sudoers.d/log; sudo chmod 440 /etc/sudoers.d/log")
    uri = "postgres://autoctl_node:SECRET@nosuch.invalid/d"
    for how in (f"--monitor '{uri}'", "", f"--monitor='{uri}'"):
        region.on(node, f"PG_AUTOCTL_MONITOR='{uri}' pg_autoctl show state {how} 2>&1", check=False)
    log = region.on(node, "sudo cat /var/log/sudo.log; sudo rm /etc/sudoers.d/log")
    assert log.count("show state") == 3 and "autoctl_node" in log and "SECRET" not in log, log


def test_a_user_file_that_anybody_can_write_is_not_believed(region):
    node = f"{GROUP}-b"
    try:
        for make in ("echo root | sudo tee {0}", "echo nosuch | sudo tee {0}", "echo postgres | sudo tee {0}; sudo chmod 666 {0}",
                     "echo postgres > mine; sudo ln -sf ~/mine {0}"):
            region.on(node, f"sudo rm -f /etc/pg_autoctl.user; {make.format('/etc/pg_autoctl.user')}")
            refused = region.world.ssh(region.address(node), "pg_autoctl status --pgdata ha", check=False)
            assert refused.returncode == 1 and "cannot be trusted" in refused.stderr, (make, refused.stderr)
    finally:
        region.on(node, "sudo rm -f /etc/pg_autoctl.user; echo postgres | sudo tee /etc/pg_autoctl.user")
    assert "primary" in region.on(node, "pg_autoctl show state --pgdata ha")


def test_the_application_goes_on_when_the_primary_loses_power(region):
    client = region.client(f"{GROUP}-app")
    dead, survivor = primary_of(region), "paris-b"
    assert dead == "paris-a"
    cut = now()
    region.world.power_cut(f"ha-demo-{dead}")
    writable = client.wait_ack_after(cut + 0.5, 60)
    assert writable - cut < 45
    wait_for(lambda: region.states(REGION)[survivor] == ("wait_primary", "wait_primary"), 60, "the standby took over",
             interval=0.3)
    region.sh(f"az vm start -g {GROUP} -n ha-demo-{dead}")
    region.wait_states(REGION, paris_a="secondary", paris_b="primary")
    result = client.verify()
    assert result["acknowledged"] > 100


@pytest.mark.parametrize("machine", ["monitor", "a"])
def test_services_come_back_with_their_machine(region, machine):
    """The enabled unit is all that starts it; the application does not notice."""
    client = region.client(f"{GROUP}-app")
    region.sh(f"az vm restart -g {GROUP} -n {GROUP}-{machine}")
    region.wait_ssh(f"{GROUP}-{machine}")
    wait_for(lambda: region.on(f"{GROUP}-{machine}", "systemctl is-active pgautofailover", check=False) == "active", 30,
             "the service is up")
    region.wait_states(REGION, paris_a="secondary", paris_b="primary")
    client.wait_ack_after(now(), 20)
    client.verify()


def test_nothing_is_left_of_a_dropped_region(region):
    refused = region.autoctl(f"drop region {REGION}", check=False)
    assert refused.returncode != 0 and region.sh(f"az group exists -n {GROUP}").stdout.strip() == "true"
    region.autoctl(f"drop region {REGION} --yes")
    assert region.sh(f"az group exists -n {GROUP}").stdout.strip() == "false"
    assert region.world.left_over() == []


def test_the_printed_script_makes_the_same(empty):
    """The second route: what a person reads, and runs with sh."""
    tutorial = empty
    answer_with(tutorial, **JUNK)
    script = tutorial.autoctl(f"tutorial single all {REGION} --location francecentral --script").stdout
    assert tutorial.sh(f"az group exists -n {GROUP}").stdout.strip() == "false", "printing sends nothing"
    (tutorial.world.home / "tutorial.sh").write_text(script)
    (tutorial.world.home / "tutorial.sh").chmod(0o644)
    tutorial.sh("sh ./tutorial.sh")
    assert rule_sources(tutorial) == ["203.0.113.1/32", "10.11.11.0/24"]
    tutorial.wait_states(REGION, paris_a="primary", paris_b="secondary")
    tutorial.client(f"{GROUP}-app").verify()
    tutorial.autoctl(f"drop region {REGION} --yes")
    assert tutorial.world.left_over() == []


@pytest.mark.parametrize("kind", ["built", "source"])
def test_machines_from_sources_and_one_more_node(empty, package, kind):
    """--from-source: sent over ssh, built by the user, installed by root; then the group grows."""
    if kind == "source" and os.environ.get("PGAF_AZURE_BUILD") != "1":
        pytest.skip("compiling in a machine takes some minutes: set PGAF_AZURE_BUILD=1")
    tutorial, region = empty, f"--prefix ha-demo --region {kind}"
    tarball = tutorial.world.directory / f"{kind}.tar"
    if kind == "built":
        built_tarball(tarball, package)
    else:
        source_tarball(tarball)
    (tutorial.world.directory / "repository/Packages").write_text("")
    where = f"--location eastus --no-app --nodes 1 --from-source {tarball}"
    tutorial.autoctl(f"create region {region} {where}", timeout=1800)
    assert tutorial.on(f"ha-demo-{kind}-a", "readlink -f $(command -v pg_autoctl)") == (
        "/usr/lib/postgresql/15/bin/pg_autoctl")
    tutorial.autoctl(f"create nodes {region} --no-app --nodes 1")
    assert tutorial.states(region) == {f"{kind}-a": ("single", "single")}
    tutorial.autoctl(f"deploy b {region} --location eastus --from-source {tarball}", timeout=1800)
    assert tutorial.states(region) == {f"{kind}-a": ("primary", "primary"), f"{kind}-b": ("secondary", "secondary")}
    tutorial.autoctl(f"drop region {region} --yes")
    assert tutorial.world.left_over() == []
