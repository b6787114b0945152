"""Goal: the commands make the tutorial's region and nodes, go on after every failure, and hide none.

Method: our binary against the stand-in for az, which keeps a subscription and fails as it is told, and a stub for ssh.
"""
import json
import os
import re
import stat
import subprocess

import pytest
from azure_commands import GROUP, REGION, WHERE, Azure, Services
from harness import wait_for

PASSWORD = re.compile(r"[0-9a-f]{48}")
NETWORK = [f"group create {GROUP}", f"network vnet create {GROUP}-net", f"network nsg create {GROUP}-nsg",
           f"network nsg rule create {GROUP}-ssh-and-pg", f"network vnet subnet create {GROUP}-subnet"]
ONCE = NETWORK[:3]


@pytest.fixture
def azure(tmp_path):
    return Azure(tmp_path)


def test_a_region_is_made_and_made_again_without_harm(azure):
    for path in (azure.home / ".ssh").iterdir():
        path.unlink()
    done = azure.region("--monitor", "--app", "--nodes", "2", PG_AUTOCTL_DEBUG="1", AZURE_CORE_OUTPUT="table")
    assert azure.machines() == dict.fromkeys(["monitor", "a", "b", "app"], "Succeeded")
    assert azure.calls()[:5] == NETWORK
    assert azure.sources() == ["203.0.113.7/32", "10.11.11.0/24"]
    assert re.search(rf"INFO .*/az network vnet create --resource-group {GROUP} --name {GROUP}-net", done.stderr)
    key = azure.home / ".ssh/id_rsa"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_bytes()
    azure.forget_calls()
    azure.run("create", "region", *REGION, "--app", "--allow-from", "198.51.100.0/24")
    assert [call for call in azure.calls() if "run-command" not in call] == [NETWORK[3]]
    assert len(azure.calls()) == 5
    assert azure.sources() == ["198.51.100.0/24", "10.11.11.0/24"]
    assert key.read_bytes() == before


STEPS = [*[call.rsplit(" ", 1) for call in NETWORK], ["vm create", f"{GROUP}-a"], ["vm create", f"{GROUP}-monitor"],
         ["vm run-command invoke", f"{GROUP}-b"]]


@pytest.mark.parametrize("call,resource,how", [
    *[(*step, "1") for step in STEPS], *[(*step, "after-1") for step in STEPS[::2]], *[(*step, "kill-9") for step in STEPS[1::3]],
])
def test_a_failure_at_each_step_is_explained_and_the_next_run_goes_on(azure, call, resource, how):
    failed = azure.region(fail=f"{call}:{resource}:{how}:(OperationNotAllowed) Told to fail.", status=None)
    assert resource in failed.stderr and " ERROR " in failed.stderr
    assert "killed" in failed.stderr or "signal 9" in failed.stderr or "Told to fail." in failed.stderr
    assert re.search(r"ERROR HINT: +\S+", failed.stderr)
    is_machine = call.startswith("vm ")
    assert ("b" in azure.machines()) == is_machine, "what comes after the network waits for it"
    azure.region()
    assert azure.machines() == dict.fromkeys(["monitor", "a", "b"], "Succeeded")
    calls = azure.calls()
    for once in ONCE:
        assert calls.count(once) <= 1 + (once == f"{call} {resource}" and not how.startswith("after")), once
    assert azure.sources() == ["203.0.113.7/32", "10.11.11.0/24"]


@pytest.mark.parametrize("how", ["partial-1", "failed-1"])
def test_a_machine_that_was_half_made_is_made_again(azure, how):
    failed = azure.region(fail=f"vm create:{GROUP}-b:{how}:DeploymentFailed(OperationNotAllowed) exceeding approved "
                               "Total Regional Cores quota", status=None)
    assert f'"{GROUP}-b"' in failed.stderr and "exceeding approved" in failed.stderr and "--size" in failed.stderr
    assert azure.machines().get("b") in (None, "Failed")
    assert f"vm run-command invoke {GROUP}-a" in azure.calls(), "the others are finished"
    assert f"vm run-command invoke {GROUP}-b" not in azure.calls()
    azure.region()
    assert azure.machines()["b"] == "Succeeded"


@pytest.mark.parametrize("call,resource,said", [
    ("network vnet create", f"{GROUP}-net", "(AnotherOperationInProgress) Another operation is in progress."),
    ("vm create", f"{GROUP}-a", "(RetryableError) A retryable error occurred."),
    ("vm run-command invoke", f"{GROUP}-a", "(Conflict) Run command extension execution is in progress."),
])
def test_what_is_transient_is_tried_again(azure, call, resource, said):
    done = azure.region(fail=f"{call}:{resource}:1:{said}:x2")
    assert done.stderr.count("retrying in") == 2
    assert azure.calls().count(f"{call} {resource}") == 3


def test_retries_end(azure):
    failed = azure.region(fail=f"vm create:{GROUP}-a:1:(TooManyRequests) Slow down.", status=None)
    assert 2 < azure.calls().count(f"vm create {GROUP}-a") < 12
    assert "Slow down." in failed.stderr


def test_a_script_that_fails_in_a_machine_is_a_failure(azure):
    failed = azure.region(fail=f"vm run-command invoke:{GROUP}-a:script-100:E: Unable to locate package", status=None)
    assert f'"{GROUP}-a": the script in the machine failed' in failed.stderr
    assert "E: Unable to locate package" in failed.stderr


def test_az_that_is_missing_or_logged_out_is_explained(azure):
    missing = azure.region("--az", "/nonexistent/az", status=3)
    assert "Install the Azure CLI" in missing.stderr
    logged_out = azure.region(FAKE_AZ_LOGGED_OUT="1", status=3)
    assert "Please run 'az login'" in logged_out.stderr and "HINT:  Log in with: az login" in logged_out.stderr
    assert azure.state() is None


def test_a_name_that_is_taken_elsewhere_and_a_group_on_its_way_out_are_explained(azure):
    azure.az("group", "create", "--name", GROUP, "--location", "eastus")
    taken = azure.region(status=3)
    assert "exists in another location" in taken.stderr and "It is in eastus" in taken.stderr
    here = ("create", "region", *REGION, "--location", "eastus", "--allow-from", "203.0.113.7")
    azure.run(*here, "--nodes", "0", "--no-monitor")
    state = json.loads((azure.directory / "state.json").read_text())
    state["groups"][GROUP]["state"] = "Deleting"
    (azure.directory / "state.json").write_text(json.dumps(state))
    leaving = azure.run(*here, status=3)
    assert "is being deleted" in leaving.stderr and "az group wait" in leaving.stderr


@pytest.mark.parametrize("words", [
    ["create", "region"], ["create", "region", *WHERE, "--nodes", "27"], ["create", "region", *REGION, "--script"],
    ["create", "region", *REGION, "--location", "x", "--allow-from", "0.0.0.0/0", "--yes"],
    ["create", "region", *REGION, "--location", "x", "--allow-from", "203.0.0.0/15"],
    ["create", "region", *WHERE, "--from-source", "/nonexistent.tar"], ["create", "region", *WHERE, "--cidr", "300"],
    ["create", "region", *WHERE, "--package", "a b"], ["create", "nodes", *REGION, "--auth", "md5"],
    ["deploy", "nobody", *REGION], ["deploy", *REGION], ["ssh", *REGION], ["create", "region", "--region", "Paris"],
    ["create", "region", *WHERE, "--dry-run", "--script"], ["frob"],
])
def test_bad_arguments_end_with_status_1_and_nothing_is_asked(azure, words):
    assert azure.run(*words, status=1).stderr
    assert azure.looks() == [] and azure.ssh() == []


def test_our_address_is_found_although_services_talk_junk(azure):
    with Services({"/down": (503, "upstream connect error"), "/page": (200, "<html>203.0.113.8</html>"),
                   "/private": (200, "192.168.1.4"), "/good": (200, "203.0.113.8\n"), "/late": (200, "203.0.113.9")}) as urls:
        done = azure.run("create", "region", *REGION, "--location", "eastus", "--nodes", "0", "--no-monitor",
                         PG_AUTOCTL_ADDRESS_SERVICES=urls, http_proxy="http://127.0.0.1:9")
    assert "203.0.113.8" in done.stderr
    assert azure.sources() == ["203.0.113.8/32", "10.11.11.0/24"]


def test_without_an_address_nothing_is_made(azure):
    with Services({"/page": (200, "<html>*</html>")}) as urls:
        failed = azure.run("create", "region", *REGION, "--location", "x", status=None,
                           PG_AUTOCTL_ADDRESS_SERVICES=urls)
    assert "could not find out our own public address" in failed.stderr and "--allow-from" in failed.stderr
    assert azure.state() is None


def test_the_nodes_are_made_and_no_password_is_in_an_argument_or_a_log(azure):
    azure.region("--app")
    done = azure.nodes(PG_AUTOCTL_DEBUG="1")
    assert "paris-a | primary | primary" in done.stdout and "paris-b | secondary | secondary" in done.stdout
    ssh = azure.ssh()
    made = [call["machine"] for call in ssh if "pg_autoctl create" in call["input"]]
    assert made == [f"{GROUP}-{name}" for name in ("monitor", "a", "b")]
    secrets = dict(re.findall(r"export (\w+)='(\w+)'", (azure.kept / "secrets").read_text()))
    assert stat.S_IMODE((azure.kept / "secrets").stat().st_mode) == 0o600
    assert all(PASSWORD.fullmatch(value) for value in secrets.values()) and len(set(secrets.values())) == 3
    for text in (done.stdout, done.stderr, *(json.dumps(call["argv"]) for call in ssh), azure.az_log.read_text()):
        assert not PASSWORD.search(text), text
    told = {name: [call["input"] for call in ssh if call["machine"] == f"{GROUP}-{name}"] for name in ("monitor", "app")}
    assert secrets["PG_AUTOCTL_NODE_PASSWORD"] in told["monitor"][0]
    assert not any(secrets["PG_AUTOCTL_NODE_PASSWORD"] in text for text in told["app"])
    assert any(secrets["PG_AUTOCTL_APP_PASSWORD"] in text for text in told["app"])


def test_trust_sends_no_password(azure):
    azure.region()
    azure.nodes("--auth", "trust")
    assert not (azure.kept / "secrets").exists()
    assert any("--auth trust" in call["input"] for call in azure.ssh())


@pytest.mark.parametrize("machine,what,status,said", [
    ("monitor", "create monitor", 255, "ssh: Connection refused"), ("a", "create postgres", 5, "ERROR port is in use"),
    ("b", "create postgres", 5, "ERROR no space left"), ("b", "create postgres", 255, "Permission denied (publickey)."),
    ("app", "pg_service.conf", 255, "ssh: Connection timed out"), ("a", "ALTER ROLE", 3, "psql: error: no")])
def test_nodes_go_on_after_a_failure_in_each_machine(azure, machine, what, status, said):
    azure.region("--app")
    failed = azure.nodes(ssh_fail=f"{GROUP}-{machine}:{what}:{status}:{said}", status=3)
    assert f'"{GROUP}-{machine}"' in failed.stderr and said in failed.stderr and "HINT" in failed.stderr
    tried = [call for call in azure.ssh() if call["status"] == status]
    assert (1 < len(tried) < 12) if status == 255 else len(tried) == 1
    before = (azure.kept / "secrets").read_text()
    assert "paris-b | secondary" in azure.nodes().stdout
    assert (azure.kept / "secrets").read_text() == before


def test_a_new_machine_that_refuses_for_a_moment_is_waited_for(azure):
    azure.region()
    done = azure.nodes(ssh_fail=f"{GROUP}-b:sh -s:255:ssh: Connection refused:x3")
    assert done.stderr.count("retrying in") == 3


def test_nodes_want_their_machines(azure):
    assert "there is no resource group" in azure.nodes(status=3).stderr
    azure.region("--nodes", "1")
    failed = azure.nodes(status=3)
    assert f'there is no machine "{GROUP}-b"' in failed.stderr and "create region" in failed.stderr
    azure.az("vm", "deallocate", "-g", GROUP, "-n", f"{GROUP}-monitor")
    state = json.loads((azure.directory / "state.json").read_text())
    state["groups"][GROUP]["ips"][f"{GROUP}-monitor-ip"]["address"] = None
    (azure.directory / "state.json").write_text(json.dumps(state))
    failed = azure.nodes("--nodes", "1", status=3)
    assert "has no public address" in failed.stderr and "az vm start" in failed.stderr


def test_one_more_node_is_deployed_and_the_application_hears_of_it(azure):
    azure.region("--app")
    azure.nodes()
    azure.forget_calls()
    azure.run("deploy", "c", *REGION, "--allow-from", "203.0.113.7", status=None,
              ssh_fail=f"{GROUP}-c:create postgres:255:no route")
    azure.forget_calls()
    azure.run("deploy", f"{GROUP}-c", *REGION, "--allow-from", "203.0.113.7",
              ssh_fail="")
    assert azure.machines()["c"] == "Succeeded"
    assert f"vm create {GROUP}-c" not in azure.calls(), "it was there already"
    app = [call["command"] for call in azure.ssh() if call["machine"] == f"{GROUP}-app"]
    assert app == ["sh -s 10.11.11.5,10.11.11.6,10.11.11.8"] or len(app[0].split(",")) == 3
    assert azure.run("deploy", "d", "--region", "nyc", status=3).stderr.count("there is no resource group") == 1


def test_ctrl_c_says_what_there_is_and_the_next_run_goes_on(azure):
    process = azure.start("create", "region", *WHERE, fail=f"vm create:{GROUP}-b:delay-60:")
    started = lambda: any(f"{GROUP}-b" in argv for argv in azure.looks() if argv[:2] == ["vm", "create"])  # noqa: E731
    wait_for(lambda: started() and {"a", "monitor"} <= azure.machines().keys(), 30, "the machines are being made")
    status, _, err = azure.interrupt(process)
    assert status == 130, err
    assert "interrupted" in err and f'Machine "{GROUP}-a": Succeeded' in err
    assert "goes on with what is missing" in err and "drop region --prefix ha-demo --region paris" in err
    left = subprocess.run(["pgrep", "-f", str(azure.directory)], capture_output=True, text=True, check=False).stdout
    assert not [pid for pid in left.split() if int(pid) != os.getpid() and is_az(pid)]
    azure.region()
    assert azure.machines()["b"] == "Succeeded"


def is_az(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return b"standin/az" in file.read()
    except OSError:
        return False


def test_two_commands_do_not_work_on_one_region(azure):
    process = azure.start("create", "region", *WHERE, fail="group create:*:delay-60:")
    wait_for(lambda: any(argv[:2] == ["group", "create"] for argv in azure.looks()), 20, "the first one is at work")
    assert "another pg_autoctl is at work" in azure.region(status=3).stderr
    assert azure.interrupt(process)[0] == 130
    azure.region("--nodes", "0")


def test_a_step_has_a_limit(azure):
    failed = azure.region("--timeout", "2", fail="network nsg create:*:delay-30:", status=12)
    assert "timed out" in failed.stderr and "The limit is 2 s" in failed.stderr


def test_drop_asks_for_the_name_and_forgets_what_was_kept(azure):
    azure.region("--nodes", "1")
    azure.nodes("--nodes", "1")
    refused = azure.run("drop", "region", *REGION, stdin="ha-demo\n", status=3)
    assert f"{GROUP}-a" in refused.stdout and "disk1" in refused.stdout.lower() and "--yes" in refused.stderr
    assert azure.run("drop", "region", *REGION, status=3).stderr  # the end of the input
    assert azure.machines() and azure.kept.exists()
    assert f"{GROUP}-a" in azure.run("drop", "region", *REGION, "--dry-run").stdout
    assert azure.machines()
    azure.run("drop", "region", *REGION, stdin=f"{GROUP}\n")
    assert azure.state() is None and not azure.kept.exists()
    again = azure.run("drop", "region", *REGION, "--yes")
    assert "nothing is left to drop" in again.stderr


def test_a_group_that_cannot_be_deleted_is_explained(azure):
    azure.region("--nodes", "0")
    failed = azure.run("drop", "region", *REGION, "--yes", status=3, fail="group delete:*:1:(ScopeLocked) The scope is locked.")
    assert "ScopeLocked" in failed.stderr and azure.machines() and azure.kept.exists()


def test_what_there_is_is_shown(azure):
    assert "there is no resource group" in azure.run("ls", *REGION, status=3).stderr
    azure.region("--nodes", "1")
    azure.nodes("--nodes", "1")
    listed = azure.run("ls", "--prefix", "ha-demo", *REGION)
    assert re.search(rf"^{GROUP}-net +Microsoft.Network/virtualNetworks +francecentral$", listed.stdout, re.MULTILINE)
    assert f"resource list --output table" in listed.stderr
    assert any(row["name"] == f"{GROUP}-a" for row in json.loads(azure.run("ls", *REGION, "--json").stdout))
    ips = azure.run("show", "ips", "--name", "paris")
    assert re.search(rf"^{GROUP}-a +203\.0\.113\.\d+ +10\.11\.11\.\d+$", ips.stdout, re.MULTILINE)
    assert "paris-a | single | single" in azure.run("show", "state", *REGION).stdout
    assert json.loads(azure.run("show", "state", *REGION, "--json").stdout)[0]["nodename"] == "paris-a"
    broken = azure.run("show", "state", *REGION, status=3, ssh_fail="*:show state:6:ERROR the monitor is away")
    assert "the monitor is away" in broken.stderr


def test_ssh_passes_words_and_the_exit_status_on(azure):
    azure.region("--nodes", "1", "--no-monitor")
    assert azure.run("ssh", "a", *REGION, "--", "pg_autoctl", "-q", "version").stdout == "pg_autoctl -q version\n"
    assert azure.run("ssh", f"{GROUP}-a", *REGION).stdout == "a shell\n"
    azure.run("ssh", "a", *REGION, "--", "false", status=7, ssh_fail="*:false:7:no")
    assert f'there is no machine "{GROUP}-x"' in azure.run("ssh", "x", *REGION, status=3).stderr


def test_show_state_is_watched_until_ctrl_c(azure):
    azure.region("--nodes", "1")
    azure.nodes("--nodes", "1")
    before = len(azure.ssh())
    process = azure.start("show", "state", *REGION, "--watch")
    # Whoever asks for the third has shown the second.
    wait_for(lambda: len(azure.ssh()) >= before + 3, 20, "two tables")
    status, out, _ = azure.interrupt(process)
    assert status == 0 and out.count("paris-a | single") >= 2


def comparable(azure):
    """The subscription without what differs by chance."""
    state = azure.state()
    vms = {name: {"image": vm["image"], "size": vm["size"], "user": vm["user"], "scripts": vm["scripts"]}
           for name, vm in state["vms"].items()}
    return vms, state["vnets"], state["nsgs"], sorted(state["ips"]), state["location"]


def test_the_tutorial_in_one_command_and_as_a_script_make_the_same(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one, two = Azure(tmp_path / "one"), Azure(tmp_path / "two")
    one.run("tutorial", "single", "all", "--allow-from", "203.0.113.7")
    assert one.machines() == dict.fromkeys(["monitor", "a", "b", "app"], "Succeeded")
    listed = two.run("tutorial", "single", "all", "--dry-run").stdout
    script = two.run("tutorial", "single", "all", "--allow-from", "203.0.113.7", "--script").stdout
    assert two.looks() == [] and two.ssh() == [] and not (two.home / ".local").exists(), "printing sends nothing"
    assert "creating the monitor" in listed and not PASSWORD.search(listed + script)
    for shell in ("sh",):
        ran = subprocess.run([shell], input=script, env=two.env, cwd=two.home, capture_output=True, text=True, timeout=90)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    assert comparable(two) == comparable(one)

    def told(azure):
        return {(call["machine"], PASSWORD.sub("X", call["input"]).replace("'", "")) for call in azure.ssh()
                if call["input"]}
    assert told(two) == told(one)
    assert stat.S_IMODE((two.kept / "secrets").stat().st_mode) == 0o600
    again = subprocess.run(["sh"], input=script, env=two.env, cwd=two.home, capture_output=True, text=True, timeout=60)
    assert again.returncode == 1 and "exists already" in again.stderr


@pytest.mark.parametrize("answer,good", [
    ("203.0.113.8\n", True), ("10.0.0.1", False), ("192.168.1.4", False), ("172.31.0.1", False), ("172.2.0.1", True),
    ("100.64.0.1", False), ("100.128.0.1", True), ("<html>", False), ("", False), ("1.2.3.4.5", False), ("*", False),
    ("224.0.0.1", False), ("127.0.0.1", False)])
def test_a_script_believes_no_junk_either(azure, answer, good):
    """Its own way to ask for our address, with a curl that says what the test wants."""
    script = azure.run("create", "region", *REGION, "--location", "eastus", "--nodes", "0", "--no-monitor", "--script").stdout
    tools = azure.directory / "tools"
    tools.mkdir()
    (tools / "curl").write_text(f"#!/bin/sh\nprintf %s '{answer.strip()}'\n")
    (tools / "curl").chmod(0o755)
    ran = subprocess.run(["sh"], input=script, cwd=azure.home, capture_output=True, text=True, timeout=60,
                         env={**azure.env, "PATH": f"{tools}:{azure.env['PATH']}"})
    assert (ran.returncode == 0) == good, ran.stderr
    assert good == (azure.state() is not None)
    if good:
        assert azure.sources() == [f"{answer.strip()}/32", "10.11.11.0/24"]
    else:
        assert "could not find out our own public address" in ran.stderr


def test_a_script_stops_at_the_machine_that_failed_and_names_it(azure):
    script = azure.run("create", "region", *WHERE, "--script").stdout
    ran = subprocess.run(["sh"], input=script, cwd=azure.home, capture_output=True, text=True, timeout=60,
                         env={**azure.env, "FAKE_AZ_FAIL": f"vm create:{GROUP}-b:1:(SkuNotAvailable) Not here."})
    assert ran.returncode == 1 and f"failed: {GROUP}-b" in ran.stderr
    assert f"vm run-command invoke {GROUP}-a" not in azure.calls()


def test_a_source_tarball_or_a_package_file_is_sent_and_installed(azure):
    tarball, package = azure.directory / "it's ours.tar.gz", azure.directory / "ours.deb"
    tarball.write_text("a tarball")
    package.write_text("a package")
    azure.region("--nodes", "1", "--from-source", str(tarball), "--pg-version", "16", "--app")
    sent = {call["machine"] for call in azure.ssh() if call["input"] == "a tarball"}
    assert sent == {f"{GROUP}-monitor", f"{GROUP}-a"}
    assert any("PG_CONFIG=/usr/lib/postgresql/16/bin/pg_config" in call["input"] for call in azure.ssh())
    azure.forget_calls()
    azure.region("--nodes", "1", "--package", str(package))
    assert {call["input"] for call in azure.ssh() if call["command"].startswith("cat")} == {"a package"}
