"""The stand-in for az behaves as the real one was seen to: what our commands meet in the other tests is true."""
import json
import os
import pathlib
import signal
import subprocess
import time

import pytest

AZ = pathlib.Path(__file__).resolve().parent / "standin" / "az"
GROUP = "ha-demo-paris"
URN = "Debian:debian-12:12:latest"
ADDRESSES = ('[] [] . { name: virtualMachine.name, "public address": '
             'virtualMachine.network.publicIpAddresses[0].ipAddress, "private address": '
             'virtualMachine.network.privateIpAddresses[0] }')


class Az:
    def __init__(self, directory):
        self.directory = directory
        self.home = directory / "home"
        (self.home / ".ssh").mkdir(parents=True)
        self.env = {"PATH": "/usr/bin:/bin", "HOME": str(self.home), "FAKE_AZ_STATE": str(directory / "state.json"),
                    "FAKE_AZ_LOG": str(directory / "az.log")}

    def start(self, *argv, fail="", **env):
        return subprocess.Popen([AZ, *argv], env={**self.env, "FAKE_AZ_FAIL": fail, **env}, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self, *argv, **options):
        process = self.start(*argv, **options)
        out, err = process.communicate(timeout=20)
        return subprocess.CompletedProcess(argv, process.returncode, out, err)

    def __call__(self, *argv, **options):
        done = self.run(*argv, **options)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout else None

    def refused(self, status, text, *argv, **options):
        done = self.run(*argv, **options)
        assert (done.returncode, done.stdout) == (status, ""), done
        assert text in done.stderr, done.stderr
        return done.stderr

    def key(self, name="id_rsa"):
        path = self.home / ".ssh" / f"{name}.pub"
        path.write_text(f"ssh-rsa AAAA{name} someone\n")
        return str(path)

    def vm(self, name, *more, **options):
        return self("vm", "create", "-g", GROUP, "-n", f"{GROUP}-{name}", "--image", URN, "--vnet-name", "net",
                    "--subnet", "subnet", "--nsg", "nsg", "--public-ip-address", f"{GROUP}-{name}-ip",
                    "--public-ip-sku", "Standard", "--size", "Standard_B2s", "--admin-username", "ha-admin",
                    "--generate-ssh-keys", *more, **options)

    def rule(self, name="r", priority="100", sources=("203.0.113.1/32", "10.11.11.0/24")):
        return ("network", "nsg", "rule", "create", "-g", GROUP, "--nsg-name", "nsg", "--name", name, "--access",
                "allow", "--protocol", "Tcp", "--direction", "Inbound", "--priority", priority,
                "--source-address-prefixes", *sources, "--source-port-range", "*", "--destination-address-prefix", "*",
                "--destination-port-ranges", "22", "5432")


@pytest.fixture
def az(tmp_path):
    return Az(tmp_path)


@pytest.fixture
def region(az):
    """Group, network, security group and subnet."""
    az("group", "create", "--name", GROUP, "--location", "francecentral")
    az("network", "vnet", "create", "-g", GROUP, "-n", "net", "--address-prefix", "10.11.0.0/16")
    az("network", "nsg", "create", "-g", GROUP, "-n", "nsg")
    az(*az.rule())
    az("network", "vnet", "subnet", "create", "-g", GROUP, "--vnet-name", "net", "--name", "subnet",
       "--address-prefixes", "10.11.11.0/24", "--network-security-group", "nsg")
    az.key()
    return az


@pytest.mark.parametrize("argv, text", [
    (("creat", "x"), "ERROR: 'creat' is misspelled or not recognized by the system."),
    (("group", "create", "--name", "x"), "ERROR: the following arguments are required: --location/-l"),
    (("group", "show", "-n", "x", "--nosuch"), "ERROR: unrecognized arguments: --nosuch"),
    (("group", "show", "-n"), "argument --name/--resource-group/-g/-n: expected one argument"),
    (("account", "show", "-o", "xml"), "'xml' is not a valid value for '--output'. Allowed values: "),
    (("account", "show", "--query", "[?"), "argument --query: invalid jmespath_type value: '[?'"),
    (("account", "show", "--query", "length(@)"), "argument --query: invalid jmespath_type value"),
    (("vm", "create", "-g", "x", "-n", "y", "--s", "z"), "ambiguous option: --s could match"),
])
def test_bad_usage_is_status_2(az, argv, text):
    az.refused(2, text, *argv)


def test_a_missing_group_is_status_3_and_for_vm_create_2(az):
    az.key()
    stderr = az.refused(3, "", "group", "show", "-n", "x")
    assert stderr == ("ERROR: (ResourceGroupNotFound) Resource group 'x' could not be found.\n"
                      "Code: ResourceGroupNotFound\nMessage: Resource group 'x' could not be found.\n")
    az.refused(3, "ResourceGroupNotFound", "vm", "list", "-g", "x")
    az.refused(3, "ResourceGroupNotFound", "resource", "list", "--resource-group", "x")
    az.refused(3, "ResourceGroupNotFound", "group", "delete", "-n", "x", "--yes")
    az.refused(2, "ResourceGroupNotFound", "vm", "create", "-g", "x", "-n", "y", "--image", URN)
    assert az("vm", "list-ip-addresses", "-g", "x") == []
    assert az("resource", "list", "--query", "[?resourceGroup=='x']") == []
    assert az("group", "exists", "-n", "x") is False


def test_not_logged_in(az):
    az.refused(1, "ERROR: Please run 'az login' to setup account.", "account", "show", FAKE_AZ_LOGGED_OUT="1")
    assert az("version", FAKE_AZ_LOGGED_OUT="1")["azure-cli"]


def test_the_log_has_every_call_with_its_status(az):
    az("group", "exists", "-n", "x")
    az.refused(2, "misspelled", "nosuch")
    entries = [json.loads(line) for line in (az.directory / "az.log").read_text().splitlines()]
    assert [(e["argv"], e["status"]) for e in entries if e["event"] == "end"] == [
        (["group", "exists", "-n", "x"], 0), (["nosuch"], 2)]


def test_groups_are_created_again_in_the_same_place_only(region):
    region("group", "create", "-n", GROUP.upper(), "-l", "France Central")
    region.refused(1, "InvalidResourceGroupLocation", "group", "create", "-n", GROUP, "-l", "eastus")
    region.refused(1, "LocationNotAvailableForResourceGroup", "group", "create", "-n", "y", "-l", "atlantis")
    region.refused(1, "Operation cancelled.", "group", "delete", "-n", GROUP)
    assert region("group", "exists", "-n", GROUP) is True


def test_a_second_vnet_create_removes_subnets_or_is_refused(region):
    again = ("network", "vnet", "create", "-g", GROUP, "-n", "NET", "--address-prefixes", "10.11.0.0/16")
    assert region(*again)["newVNet"]["subnets"] == []
    region("network", "vnet", "subnet", "create", "-g", GROUP, "--vnet-name", "net", "-n", "subnet",
           "--address-prefixes", "10.11.11.0/24")
    region.vm("a")
    region.refused(1, "(InUseSubnetCannotBeDeleted)", *again)


def test_a_second_nsg_create_drops_the_rules(region):
    assert region("network", "nsg", "create", "-g", GROUP, "-n", "nsg")["NewNSG"]["securityRules"] == []


def test_rules_are_checked(region):
    rule = region(*region.rule())
    assert (rule["sourceAddressPrefixes"], rule["destinationPortRanges"]) == (
        ["203.0.113.1/32", "10.11.11.0/24"], ["22", "5432"])
    assert region(*region.rule(sources=["203.0.113.1"]))["sourceAddressPrefix"] == "203.0.113.1"
    region.refused(1, "(SecurityRuleConflict)", *region.rule(name="other"))
    region.refused(1, "(SecurityRuleInvalidAddressPrefix)", *region.rule(sources=["<html>"]))
    region.refused(1, "(SecurityRuleInvalidPriority)", *region.rule(priority="99"))
    region.refused(2, "is not a valid value for '--access'. Allowed values: Allow, Deny.", *region.rule(),
                   "--access", "nope")
    region.refused(3, "(ResourceNotFound)", "network", "nsg", "rule", "create", "-g", GROUP, "--nsg-name", "x", "-n",
                   "r", "--priority", "100")


def test_subnets_are_inside_their_network_and_do_not_overlap(region):
    subnet = ("network", "vnet", "subnet", "create", "-g", GROUP, "--vnet-name", "net", "-n", "other")
    region.refused(1, "(NetcfgInvalidSubnet)", *subnet, "--address-prefixes", "10.12.0.0/24")
    region.refused(1, "(NetcfgSubnetRangesOverlap)", *subnet, "--address-prefixes", "10.11.11.128/25")
    region.refused(3, "(ResourceNotFound)", *subnet, "--address-prefixes", "10.11.12.0/24", "--nsg", "nosuch")


def test_machines_get_addresses_and_their_list(region):
    assert region.vm("a")["privateIpAddress"] == "10.11.11.4"
    region.vm("b", "--output", "none")
    shown = region.run("vm", "list-ip-addresses", "-g", GROUP, "--query", ADDRESSES, "-o", "table").stdout
    assert shown == ("Name             Public address    Private address\n"
                     "---------------  ----------------  -----------------\n"
                     "ha-demo-paris-a  203.0.113.4       10.11.11.4\n"
                     "ha-demo-paris-b  203.0.113.5       10.11.11.5\n")
    one = region.run("vm", "list-ip-addresses", "-g", GROUP, "-n", f"{GROUP}-b", "-o", "tsv", "--query",
                     "[] [] .virtualMachine.network.publicIpAddresses[0].ipAddress").stdout
    assert one == "203.0.113.5\n"


def test_lists_leave_out_columns_of_nulls_and_disks_of_the_capital_group(region):
    region.vm("a")
    query = f"[?resourceGroup=='{GROUP}'].{{ name: name, flavor: kind, resourceType: type, region: location }}"
    shown = region.run("resource", "list", "--output", "table", "--query", query).stdout.splitlines()
    assert shown[0].split() == ["Name", "ResourceType", "Region"]
    assert [line.split()[0] for line in shown[2:]] == [f"{GROUP}-a", f"{GROUP}-aVMNic", "nsg", f"{GROUP}-a-ip", "net"]
    everything = region("resource", "list", "--resource-group", GROUP)
    assert [entry["resourceGroup"] for entry in everything if entry["type"].endswith("disks")] == [GROUP.upper()]
    none = "[?resourceGroup=='nosuch'].{ name: name }"
    assert region.run("resource", "list", "--query", none, "-o", "table").stdout == "\n"
    assert region.run("resource", "list", "--query", none, "-o", "tsv").stdout == ""


def test_warnings_come_with_success(region):
    done = region.run("vm", "create", "-g", GROUP, "-n", "x", "--image", URN, "--vnet-name", "net", "--subnet", "subnet")
    assert done.returncode == 0 and "WARNING" in done.stderr
    assert "FutureWarning" in region.run("network", "nsg", "create", "-g", GROUP, "-n", "n2", "--only-show-errors").stderr


@pytest.mark.parametrize("options, status, text", [
    (("--image", "debian"), 1, 'Invalid image "debian"'),
    (("--image", URN, "--admin-username", "admin"), 1, "specifically disallowed"),
    (("--image", URN, "--public-ip-sku", "Basic"), 1, "IPv4BasicSkuPublicIpCountLimitReached"),
    (("--image", URN, "--size", "Huge"), 1, '"DeploymentFailed"'),
    (("--image", URN, "--ssh-key-values", "/nosuch"), 1, "An RSA key file or key value must be supplied"),
    (("--image", URN, "--vnet-name", "net", "--subnet", "nosuch"), 3, "(ResourceNotFound)"),
])
def test_machines_that_cannot_be(region, options, status, text):
    region.refused(status, text, "vm", "create", "-g", GROUP, "-n", "x", *options)


def test_a_typo_in_the_network_makes_one(region):
    region("vm", "create", "-g", GROUP, "-n", "x", "--image", URN, "--vnet-name", "nte", "--nsg", "nsgg")
    names = [entry["name"] for entry in region("resource", "list", "-g", GROUP)]
    assert "nte" in names and "nsgg" in names


def test_vm_create_again_is_the_same_machine_unless_it_differs(region):
    first = region.vm("a")
    assert region.vm("A") | {"id": ""} == first | {"id": ""}
    details = json.loads(region.refused(1, "PropertyChangeNotAllowed", "vm", "create", "-g", GROUP, "-n", f"{GROUP}-a",
                                        "--image", URN, "--vnet-name", "net", "--subnet", "subnet",
                                        "--admin-username", "other", "--only-show-errors").removeprefix("ERROR: "))
    assert details["error"]["details"][0]["code"] == "PropertyChangeNotAllowed"


def test_what_a_failed_vm_create_leaves(region):
    region.refused(1, "OperationNotAllowed", "vm", "create", "-g", GROUP, "-n", "x", "--image", URN, "--vnet-name",
                   "net", "--subnet", "subnet", fail="vm create:x:partial-1:(OperationNotAllowed) no cores")
    kinds = {entry["type"].split("/")[-1] for entry in region("resource", "list", "-g", GROUP)}
    assert "networkInterfaces" in kinds and "publicIPAddresses" in kinds and "virtualMachines" not in kinds
    region.refused(1, "Boom", "vm", "create", "-g", GROUP, "-n", "y", "--image", URN, "--vnet-name", "net",
                   "--subnet", "subnet", fail="vm create:y:failed-1:(Boom) b")
    assert region("vm", "show", "-g", GROUP, "-n", "y")["provisioningState"] == "Failed"


def test_generated_keys_race(az):
    """Three at once with no key yet: each makes its own pair, and only one stays."""
    az("group", "create", "--name", GROUP, "--location", "eastus")
    creates = [az.start("vm", "create", "-g", GROUP, "-n", name, "--image", URN, "--vnet-name", "v", "--subnet", "s",
                        "--generate-ssh-keys", FAKE_AZ_KEY_DELAY="0.7") for name in ("x", "y", "z")]
    assert [process.wait(timeout=20) for process in creates] == [0, 0, 0]
    for process in creates:
        process.communicate()
    machines = json.loads((az.directory / "state.json").read_text())["groups"][GROUP]["vms"].values()
    keys = {key for machine in machines for key in machine["keys"]}
    assert (az.home / ".ssh/id_rsa.pub").read_text().strip() in keys
    assert len(keys) > 1


def test_dynamic_addresses_are_null_while_deallocated(region):
    region.vm("a", FAKE_AZ_ADDRESSES="dynamic")
    region.vm("b")
    for name in ("a", "b"):
        region("vm", "deallocate", "-g", GROUP, "-n", f"{GROUP}-{name}")
    assert [row["public address"] for row in region("vm", "list-ip-addresses", "-g", GROUP, "--query", ADDRESSES)] == [
        None, "203.0.113.5"]
    region("vm", "start", "-g", GROUP, "-n", f"{GROUP}-a")
    assert region("vm", "list", "-g", GROUP, "-d")[0]["publicIps"] == "203.0.113.6"
    statuses = region("vm", "get-instance-view", "-g", GROUP, "-n", f"{GROUP}-a", "--query", "instanceView.statuses")
    assert [status["code"] for status in statuses] == ["ProvisioningState/succeeded", "PowerState/running"]
    region.refused(3, "(ResourceNotFound)", "vm", "start", "-g", GROUP, "-n", "nosuch")


def invoke(*scripts):
    return ("vm", "run-command", "invoke", "-g", GROUP, "-n", f"{GROUP}-a", "--command-id", "RunShellScript",
            "--scripts", *scripts)


def test_run_command_ends_with_0_when_the_script_fails(region):
    region.vm("a")
    message = region(*invoke("set -e", "echo DONE"))["value"][0]["message"]
    assert message == "Enable succeeded: \n[stdout]\nDONE\n\n[stderr]\n"
    told = region(*invoke("false"), fail="vm run-command invoke:*:script-7:half done")["value"][0]["message"]
    assert "Enable failed: failed to execute command: command terminated with exit status=7" in told
    assert "[stdout]\nhalf done" in told
    long = region(*invoke("x"), fail="vm run-command invoke:*:output:" + "x" * 5000)["value"][0]["message"]
    assert long.count("x") == 4096
    region.refused(2, "--scripts", *invoke(), "-x", "--scripts")
    region("vm", "deallocate", "-g", GROUP, "-n", f"{GROUP}-a")
    region.refused(1, "(OperationNotAllowed)", *invoke("true"))


def test_two_run_commands_at_a_time_conflict(region):
    """The first one is stopped by hand while it holds the machine."""
    region.vm("a")
    state = region.directory / "state.json"
    changed = json.loads(state.read_text())
    changed["groups"][GROUP]["vms"][f"{GROUP}-a"]["running"] = os.getpid()
    state.write_text(json.dumps(changed))
    region.refused(1, "(Conflict) Run command extension execution is in progress", *invoke("true"))


def test_a_group_in_deletion_refuses(region):
    region("group", "delete", "-n", GROUP, "--yes", "--no-wait", FAKE_AZ_DELETE_DELAY="0.7")
    assert region("group", "show", "-n", GROUP)["properties"]["provisioningState"] == "Deleting"
    region.refused(1, "(ResourceGroupBeingDeleted)", "network", "nsg", "create", "-g", GROUP, "-n", "n")
    region.refused(1, "(ResourceGroupBeingDeleted)", "group", "create", "-n", GROUP, "-l", "francecentral")
    region("group", "wait", "-n", GROUP, "--deleted")
    assert region("group", "exists", "-n", GROUP) is False


def test_faults_before_and_after_the_work_and_a_limit(az):
    create = ("group", "create", "-n", "x", "-l", "eastus")
    az.refused(1, "(Throttled) slow down", *create, fail="group create:x:1:(Throttled) slow down")
    assert az("group", "exists", "-n", "x") is False
    fault = "group create:X:after-4:(Lost) the answer: lost:x1"
    az.refused(4, "Message: the answer: lost\n", *create, fail=fault)
    assert az("group", "exists", "-n", "x") is True
    az(*create, fail=fault)
    killed = az.run(*create, fail="*:*:kill-9:")
    assert killed.returncode == -signal.SIGKILL and killed.stdout == ""
    json.loads(az.refused(1, "DeploymentFailed", *create, fail="*:*:1:DeploymentFailed(Q) quota")
               .removeprefix("ERROR: "))


def test_faults_in_a_file_and_delays(az):
    faults = az.directory / "faults"
    az("group", "exists", "-n", "x", fail=f"@{faults}")
    faults.write_text("# comment\ngroup exists:*:delay-0.2:\ngroup exists:*:9:no\n")
    started = time.monotonic()
    az.refused(9, "ERROR: no", "group", "exists", "-n", "x", fail=f"@{faults}")
    assert time.monotonic() - started > 0.2


def test_calls_in_parallel_lose_nothing(region):
    creates = [region.start("vm", "create", "-g", GROUP, "-n", f"m{at}", "--image", URN, "--vnet-name", "net",
                            "--subnet", "subnet") for at in range(6)]
    assert [process.wait(timeout=30) for process in creates] == [0] * 6
    for process in creates:
        process.communicate()
    addresses = [row["private address"] for row in region("vm", "list-ip-addresses", "--query", ADDRESSES)]
    assert sorted(addresses) == [f"10.11.11.{at}" for at in range(4, 10)]
