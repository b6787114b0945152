"""What is behind the virtual machines: nothing ("none"), or network namespaces with a real sshd (see ../vm)."""
import importlib.util
import os
import pathlib


def backend():
    """The module of the machines, or None."""
    kind = os.environ.get("FAKE_AZ_MACHINES", "none")
    if kind == "none":
        return None
    if kind != "namespaces":
        raise SystemExit(f"FAKE_AZ_MACHINES: unknown kind {kind!r}")
    path = pathlib.Path(__file__).resolve().parent.parent / "vm" / "machine.py"
    spec = importlib.util.spec_from_file_location("machine", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def start(machine):
    """Makes the machine if there is none of the name, and boots it; returns when it has its addresses."""
    if backend():
        backend().start(machine)


def stop(name):
    """An orderly shutdown; the disk stays."""
    if backend():
        backend().stop(name)


def destroy(name):
    """Nothing of the machine stays."""
    if backend():
        backend().destroy(name)


def apply_rules(group):
    """The rules of the group's security groups, for the machines that exist."""
    if not backend():
        return
    for machine in group["vms"].values():
        if machine["power"] == "running":
            backend().apply_rules(machine["name"], rules_for(group, machine))


def rules_for(group, machine):
    """(allowed, source prefix, ports) in the order of their priorities; a machine has up to two security groups,
    its own and its subnet's: a packet must pass both."""
    nic = group["nics"][machine["nic"].lower()]
    vnet = group["vnets"][nic["vnet"].lower()]
    subnet = vnet["subnets"][nic["subnet"].lower()]
    filters = []
    for name in {(nic["nsg"] or "").lower(), (subnet["nsg"] or "").lower()} - {""}:
        rules = sorted(group["nsgs"][name]["rules"].values(), key=lambda rule: rule["priority"])
        filters.append([{"allow": rule["access"] == "Allow",
                         "sources": rule["sourceAddressPrefixes"] or [rule["sourceAddressPrefix"]],
                         "ports": rule["destinationPortRanges"] or [rule["destinationPortRange"]]}
                        for rule in rules if rule["direction"] == "Inbound" and rule["protocol"] in ("Tcp", "*")])
    return {"vnet": vnet["prefixes"], "filters": filters}


def run_script(name, script):
    """Runs the script as root in the machine: (exit status, stdout, stderr)."""
    return backend().run_script(name, script)
