"""Virtual machines, their addresses, disks and scripts."""
import ipaddress
import os
import pathlib
import re
import secrets
import shutil
import subprocess
import tempfile
import time

import az_machines
from az_network import put_vnet
from az_state import AzError, deployment_failed, find, group_of, identifier, refuse

VM = "Microsoft.Compute/virtualMachines"
ALIASES = ["CentOS85Gen2", "Debian11", "FlatcarLinuxFreeGen2", "OpenSuseLeap154Gen2", "RHELRaw8LVMGen2",
           "SuseSles15SP3", "Ubuntu2204", "Ubuntu2404", "Win2022Datacenter"]
RESERVED = {"administrator", "admin", "user", "user1", "test", "user2", "test1", "user3", "admin1", "1", "123", "a",
            "actuser", "adm", "admin2", "aspnet", "backup", "console", "guest", "owner", "root", "server", "sql",
            "support", "sys", "test2", "test3", "user4", "user5"}
OUTPUT_MAX = 4096


def check_image(image):
    if image is None:
        raise AzError(2, "the following arguments are required: --image")
    if re.fullmatch(r"[\w.-]+:[\w.-]+:[\w.-]+:(latest|[\d.]+)", image):
        return
    if image.lower() not in [alias.lower() for alias in ALIASES]:
        raise AzError(1, f'Invalid image "{image}". Use a valid image URN, custom image name, custom image id, VHD blob '
                         f"URI, or pick an image from {ALIASES}.\nSee vm create -h for more information on specifying "
                         "an image.")


def generated_key():
    """As az does it: ~/.ssh/id_rsa.pub, else a new pair, without a lock."""
    directory = pathlib.Path(os.environ["HOME"]) / ".ssh"
    public = directory / "id_rsa.pub"
    if public.exists():
        return public.read_text().strip()
    time.sleep(float(os.environ.get("FAKE_AZ_KEY_DELAY", "0")))
    directory.mkdir(mode=0o700, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        made = pathlib.Path(scratch) / "id_rsa"
        if (directory / "id_rsa").exists():
            made.with_suffix(".pub").write_text(subprocess.run(
                ["ssh-keygen", "-y", "-f", directory / "id_rsa"], check=True, capture_output=True, text=True).stdout)
        else:
            subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", made], check=True)
            shutil.copyfile(made, directory / "id_rsa")
            (directory / "id_rsa").chmod(0o600)
        key = made.with_suffix(".pub").read_text().strip()
        public.write_text(key + "\n")
        return key


def keys_of(options):
    if "ssh_key_values" in options:
        keys = []
        for value in options["ssh_key_values"]:
            path = pathlib.Path(value).expanduser()
            key = path.read_text().strip() if path.is_file() else value
            if not re.match(r"(ssh-rsa|ssh-ed25519|ecdsa-sha2-\S+) AAAA\S+", key):
                raise AzError(1, "An RSA key file or key value must be supplied to SSH Key Value. You can use "
                                 "--generate-ssh-keys to let CLI generate one for you")
            keys.append(key)
        return keys
    public = pathlib.Path(os.environ["HOME"]) / ".ssh" / "id_rsa.pub"
    if options.get("generate_ssh_keys"):
        return [generated_key()]
    if public.exists():
        return [public.read_text().strip()]
    raise AzError(1, "An RSA key file or key value must be supplied to SSH Key Value. You can use --generate-ssh-keys "
                     "to let CLI generate one for you")


def check_names(options):
    name, user = options["name"], options.get("admin_username", "azureuser")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}[A-Za-z0-9]|[A-Za-z0-9]", name):
        raise AzError(1, f"Linux VM name '{name}' may only contain letters, numbers and '-', and at most 64 of them.")
    if user.lower() in RESERVED:
        raise AzError(1, f"This user name '{user}' meets the general requirements, but is specifically disallowed for "
                         "this image. Please try a different value.")
    size = options.get("size")
    if size is not None and not re.fullmatch(r"(Standard|Basic)_\w+", size):
        raise deployment_failed("InvalidParameter", f"The value {size} provided for the VM size is not valid.")
    if options.get("public_ip_sku") == "Basic":
        raise deployment_failed("IPv4BasicSkuPublicIpCountLimitReached",
                                "Cannot create more than 0 IPv4 Basic SKU public IP addresses for this subscription in "
                                "this region.")
    return name, user


def place(group, options):
    """The subnet and the security group; az makes what does not exist: a typo costs money."""
    name = options["name"]
    vnet_name, subnet_name = options.get("vnet_name", f"{name}VNET"), options.get("subnet", f"{name}Subnet")
    nsg_name = options.get("nsg", f"{name}NSG")
    if vnet_name.lower() not in group["vnets"]:
        vnet = put_vnet(group, vnet_name, ["10.0.0.0/16"])
        vnet["subnets"][subnet_name.lower()] = {"name": subnet_name, "prefix": "10.0.0.0/24", "nsg": None}
    vnet = group["vnets"][vnet_name.lower()]
    subnet = find(vnet | {"name": group["name"]}, "subnets", subnet_name, "Microsoft.Network/virtualNetworks/subnets")
    if nsg_name and nsg_name.lower() not in group["nsgs"]:
        group["nsgs"][nsg_name.lower()] = {"name": nsg_name, "rules": {"default-allow-ssh": {
            "name": "default-allow-ssh", "access": "Allow", "direction": "Inbound", "priority": 1000,
            "protocol": "Tcp", "sourceAddressPrefix": "*", "sourceAddressPrefixes": [],
            "destinationAddressPrefix": "*", "destinationAddressPrefixes": [], "sourcePortRange": "*",
            "sourcePortRanges": [], "destinationPortRange": "22", "destinationPortRanges": []}}}
    return vnet, subnet, (group["nsgs"][nsg_name.lower()]["name"] if nsg_name else None)


def free_address(group, subnet):
    taken = {nic["private"] for nic in group["nics"].values()}
    for address in list(ipaddress.ip_network(subnet["prefix"]).hosts())[3:]:  # Azure keeps the first ones
        if str(address) not in taken:
            return str(address)
    raise deployment_failed("SubnetIsFull", f"Subnet {subnet['name']} does not have enough capacity.")


def public_address(state):
    state["public"] += 1
    return f"203.0.113.{state['public']}"


def make_network_card(state, group, options):
    """Network card and public address; those of a failed attempt are used again."""
    name = options["name"]
    nic_name, ip_name = f"{name}VMNic", options.get("public_ip_address", f"{name}PublicIP")
    vnet, subnet, nsg = place(group, options)
    if ip_name and ip_name.lower() not in group["ips"]:
        dynamic = options.get("public_ip_sku") != "Standard" or os.environ.get("FAKE_AZ_ADDRESSES") == "dynamic"
        group["ips"][ip_name.lower()] = {"name": ip_name, "address": public_address(state),
                                         "method": "Dynamic" if dynamic else "Static"}
    if nic_name.lower() not in group["nics"]:
        group["nics"][nic_name.lower()] = {"name": nic_name, "vnet": vnet["name"], "subnet": subnet["name"], "nsg": nsg,
                                           "private": free_address(group, subnet), "ip": ip_name}
    return group["nics"][nic_name.lower()]


def repeated(machine, user, keys):
    if machine["user"] != user or machine["keys"] != keys:
        raise deployment_failed("PropertyChangeNotAllowed", "Changing property 'osProfile' is not allowed.")


def vm_create(sub, options):
    fault = options["fault"]
    check_image(options.get("image"))
    name, user = check_names(options)
    with sub.locked() as state:
        group_of(state, options["resource_group"], status=2)
    keys = keys_of(options)
    with sub.locked() as state:
        group = group_of(state, options["resource_group"], status=2, writing=True)
        machine = group["vms"].get(name.lower())
        if machine:
            repeated(machine, user, keys)
        nic = make_network_card(state, group, options)
        if not machine and not fault.partial():
            machine = group["vms"][name.lower()] = {
                "name": name, "group": group["name"], "user": user, "keys": keys, "nic": nic["name"],
                "image": options["image"], "size": options.get("size", "Standard_DS1_v2"),
                "private": nic["private"], "power": "starting", "state": "Creating"}
            disk = f"{name}_disk1_{secrets.token_hex(16)}"
            group["disks"][disk.lower()] = {"name": disk}
            machine["disk"] = disk
    if fault.partial() or fault.failed():
        if fault.failed():
            set_power(sub, options, "stopped", "Failed")
        fault.strike()
    boot(sub, options)
    with sub.locked() as state:
        group = group_of(state, options["resource_group"])
        return created(group, group["vms"][name.lower()])


def boot(sub, options):
    """Starts what is not running; outside the lock, since machines start in parallel."""
    with sub.locked() as state:
        group = group_of(state, options["resource_group"], writing=True)
        machine = find(group, "vms", options["name"], VM)
        ip = group["ips"].get((group["nics"][machine["nic"].lower()]["ip"] or "").lower())
        if ip and not ip["address"]:
            ip["address"] = public_address(state)
        wanted = {**machine, "public": ip and ip["address"], "rules": az_machines.rules_for(group, machine),
                  "prefix": group["vnets"][group["nics"][machine["nic"].lower()]["vnet"].lower()]["subnets"][
                      group["nics"][machine["nic"].lower()]["subnet"].lower()]["prefix"]}
    try:
        az_machines.start(wanted)
    except Exception:
        set_power(sub, options, "stopped", "Failed")
        raise
    set_power(sub, options, "running", "Succeeded")


def set_power(sub, options, power, provisioning=None):
    with sub.locked() as state:
        machine = find(group_of(state, options["resource_group"]), "vms", options["name"], VM)
        machine["power"] = power
        machine["state"] = provisioning or machine["state"]


def addresses(group, machine):
    nic = group["nics"][machine["nic"].lower()]
    ip = group["ips"].get((nic["ip"] or "").lower())
    return nic["private"], ip


def created(group, machine):
    private, ip = addresses(group, machine)
    return {"fqdns": "", "id": identifier(group["name"], VM, machine["name"]), "location": group["location"],
            "macAddress": "00-0D-3A-00-00-01", "powerState": "VM running", "privateIpAddress": private,
            "publicIpAddress": ip["address"] if ip else "", "resourceGroup": group["name"], "zones": ""}


def shown(group, machine, details):
    private, ip = addresses(group, machine)
    answer = {"hardwareProfile": {"vmSize": machine["size"]}, "id": identifier(group["name"], VM, machine["name"]),
              "location": group["location"], "name": machine["name"],
              "osProfile": {"adminUsername": machine["user"], "computerName": machine["name"]},
              "provisioningState": machine["state"], "resourceGroup": group["name"], "type": VM}
    if details:
        answer |= {"fqdns": "", "macAddresses": "00-0D-3A-00-00-01", "powerState": f"VM {machine['power']}",
                   "privateIps": private, "publicIps": (ip and ip["address"]) or ""}
    return answer


def vm_list(sub, options):
    with sub.locked() as state:
        only = options.get("resource_group")
        groups = [group_of(state, only)] if only else state["groups"].values()
        return [shown(group, vm, options.get("show_details")) for group in groups for vm in group["vms"].values()]


def vm_show(sub, options):
    with sub.locked() as state:
        group = group_of(state, options["resource_group"])
        return shown(group, find(group, "vms", options["name"], VM), options.get("show_details"))


def vm_list_ip_addresses(sub, options):
    """Lists the whole subscription and filters: a group that is not there is no error."""
    only, name = options.get("resource_group"), options.get("name")
    found = []
    with sub.locked() as state:
        for key, group in state["groups"].items():
            for vm_key, machine in sorted(group["vms"].items()):
                if (only and key != only.lower()) or (name and vm_key != name.lower()):
                    continue
                private, ip = addresses(group, machine)
                public = [{"id": identifier(group["name"], "Microsoft.Network/publicIPAddresses", ip["name"]),
                           "ipAddress": ip["address"], "ipAllocationMethod": ip["method"], "name": ip["name"],
                           "resourceGroup": group["name"], "zone": None}] if ip else []
                found.append({"virtualMachine": {
                    "name": machine["name"], "resourceGroup": group["name"],
                    "network": {"privateIpAddresses": [private], "publicIpAddresses": public}}})
    return found


def vm_get_instance_view(sub, options):
    with sub.locked() as state:
        group = group_of(state, options["resource_group"])
        machine = find(group, "vms", options["name"], VM)
        answer = shown(group, machine, False)
        kind = "succeeded" if machine["state"] == "Succeeded" else machine["state"].lower()
        statuses = [{"code": f"ProvisioningState/{kind}", "displayStatus": f"Provisioning {kind}", "level": "Info"},
                    {"code": f"PowerState/{machine['power']}", "displayStatus": f"VM {machine['power']}",
                     "level": "Info"}]
        return answer | {"instanceView": {"statuses": statuses}}


def vm_stop(sub, options, power="stopped"):
    with sub.locked() as state:
        machine = find(group_of(state, options["resource_group"], writing=True), "vms", options["name"], VM)
    az_machines.stop(machine["name"])
    set_power(sub, options, power)


def vm_deallocate(sub, options):
    vm_stop(sub, options, "deallocated")
    with sub.locked() as state:
        group = group_of(state, options["resource_group"])
        _, ip = addresses(group, group["vms"][options["name"].lower()])
        if ip and ip["method"] == "Dynamic":
            ip["address"] = None


def vm_start(sub, options):
    boot(sub, options)


def vm_restart(sub, options):
    vm_stop(sub, options)
    boot(sub, options)


def vm_delete(sub, options):
    """Its network card, address and disk stay."""
    if not options.get("yes"):
        raise AzError(1, "Operation cancelled.")
    with sub.locked() as state:
        machine = find(group_of(state, options["resource_group"], writing=True), "vms", options["name"], VM)
    az_machines.destroy(machine["name"])
    with sub.locked() as state:
        del group_of(state, options["resource_group"])["vms"][options["name"].lower()]


def script_of(values):
    """Lines are joined; one that starts with @ is a file's name."""
    lines = []
    for value in values:
        if value.startswith("@"):
            try:
                value = pathlib.Path(value[1:]).read_text()
            except OSError as error:
                raise AzError(1, f"{error}") from None
        lines.append(value)
    return "\n".join(lines) + "\n"


def pretended(script, fault):
    """Without machines: what the final echo lines would print, or what the fault says."""
    told = fault.script()
    if told:
        return told[1], told[2], ""
    echoed = []
    for line in reversed(script.rstrip("\n").splitlines()):
        if "/etc/ssh/ssh_host_" in line:
            echoed.insert(0, re.search(r'echo "(\S+) ', line).group(1) + " ssh-ed25519 AAAAC3NzaC1lZDI1NTE5")
            continue
        found = re.fullmatch(r"\s*echo\s+(['\"]?)([\w .:=-]+)\1\s*", line)
        if not found:
            break
        echoed.insert(0, found.group(2))
    return 0, "".join(line + "\n" for line in echoed), ""


def claim(sub, options):
    with sub.locked() as state:
        machine = find(group_of(state, options["resource_group"], writing=True), "vms", options["name"], VM)
        if machine["power"] != "running":
            raise refuse("OperationNotAllowed",
                         "The operation requires the VM to be running (or set to run).")
        if machine.get("running") and os.path.exists(f"/proc/{machine['running']}"):
            raise refuse("Conflict", "Run command extension execution is in progress. Please wait for completion before "
                                     "invoking a run command.")
        machine["running"] = os.getpid()
        return machine["name"]


def vm_run_command(sub, options):
    if options["command_id"] != "RunShellScript":
        raise refuse("NotFound", f"The run command document '{options['command_id']}' was not found.", 3)
    script, fault = script_of(options.get("scripts", [])), options["fault"]
    name = claim(sub, options)
    try:
        if az_machines.real() and not fault.script():
            status, out, err = az_machines.run_script(name, script)
        else:
            status, out, err = pretended(script, fault)
    finally:
        with sub.locked() as state:
            machine = group_of(state, options["resource_group"])["vms"].get(name.lower(), {})
            machine.pop("running", None)
            machine.setdefault("scripts", []).append(script)
    head = "Enable succeeded: " if status == 0 else \
        f"Enable failed: failed to execute command: command terminated with exit status={status}"
    message = f"{head}\n[stdout]\n{tail(out)}\n[stderr]\n{tail(err)}"
    return {"value": [{"code": "ProvisioningState/succeeded", "displayStatus": "Provisioning succeeded",
                       "level": "Info", "message": message, "time": None}]}


def tail(text):
    return text.encode()[-OUTPUT_MAX:].decode(errors="replace")
