"""What is behind the virtual machines: nothing ("none"), or network namespaces with a real sshd ("namespaces"), which
the service in ../vm/cloud.py makes for us."""
import json
import os
import socket

from az_state import AzError


def real():
    kind = os.environ.get("FAKE_AZ_MACHINES", "none")
    if kind not in ("none", "namespaces"):
        raise SystemExit(f"FAKE_AZ_MACHINES: unknown kind {kind!r}")
    return kind == "namespaces"


def ask(action, **request):
    if not real():
        return None
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(os.path.join(os.environ["FAKE_AZ_WORLD"], "cloud.sock"))
        sock.sendall((json.dumps({"do": action, **request}) + "\n").encode())
        answer = json.loads(sock.makefile().readline() or '{"error": "the service ended"}')
    if "error" in answer:
        raise AzError(1, f"(InternalExecutionError) {answer['error']}")
    return answer["result"]


def start(machine):
    """Makes the machine if there is none of the name, and boots it; returns when it has its addresses."""
    ask("start", machine=machine)


def stop(name):
    """An orderly shutdown; the disk stays."""
    ask("stop", name=name)


def destroy(name):
    """Nothing of the machine stays."""
    ask("destroy", name=name)


def run_script(name, script):
    """Runs the script as root in the machine: (exit status, stdout, stderr)."""
    return ask("run_script", name=name, script=script)


def apply_rules(group):
    """The rules of the group's security groups, for the machines that exist."""
    for machine in group["vms"].values() if real() else []:
        if machine["power"] == "running":
            ask("apply_rules", name=machine["name"], rules=rules_for(group, machine))


def rules_for(group, machine):
    """Inbound rules in the order of their priorities; a machine has up to two security groups, its own and its
    subnet's: a packet must pass both."""
    nic = group["nics"][machine["nic"].lower()]
    vnet = group["vnets"][nic["vnet"].lower()]
    subnet = vnet["subnets"][nic["subnet"].lower()]
    filters = []
    for name in sorted({(nic["nsg"] or "").lower(), (subnet["nsg"] or "").lower()} - {""}):
        rules = sorted(group["nsgs"][name]["rules"].values(), key=lambda rule: rule["priority"])
        filters.append([{"allow": rule["access"] == "Allow",
                         "sources": rule["sourceAddressPrefixes"] or [rule["sourceAddressPrefix"]],
                         "ports": rule["destinationPortRanges"] or [rule["destinationPortRange"]]}
                        for rule in rules if rule["direction"] == "Inbound" and rule["protocol"] in ("Tcp", "*")])
    return {"vnet": vnet["prefixes"], "filters": filters}
