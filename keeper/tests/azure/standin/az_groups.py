"""Accounts, resource groups, and the list of what they hold."""
import os
import re
import subprocess
import sys
import time

import az_machines
from az_state import SUBSCRIPTION, AzError, group_of, identifier, refuse

LOCATIONS = {"francecentral", "francesouth", "eastus", "eastus2", "westus", "westeurope", "northeurope", "uksouth",
             "germanywestcentral", "swedencentral", "centralus", "southeastasia"}
# kind in the state file, type in Azure
TYPES = {
    "disks": "Microsoft.Compute/disks",
    "vms": "Microsoft.Compute/virtualMachines",
    "nics": "Microsoft.Network/networkInterfaces",
    "nsgs": "Microsoft.Network/networkSecurityGroups",
    "ips": "Microsoft.Network/publicIPAddresses",
    "vnets": "Microsoft.Network/virtualNetworks",
}


def account_show(sub, options):
    return {"environmentName": "AzureCloud", "homeTenantId": "tenant", "id": SUBSCRIPTION, "isDefault": True,
            "managedByTenants": [], "name": "a subscription", "state": "Enabled", "tenantId": "tenant",
            "user": {"name": "someone@example.com", "type": "user"}}


def described(group):
    return {"id": f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{group['name']}", "location": group["location"],
            "managedBy": None, "name": group["name"], "properties": {"provisioningState": group["state"]},
            "tags": group["tags"], "type": "Microsoft.Resources/resourceGroups"}


def location_of(text):
    location = text.replace(" ", "").lower()
    if location not in LOCATIONS:
        raise refuse("LocationNotAvailableForResourceGroup",
                     f"The provided location '{text}' is not available for resource group. "
                     f"List of available regions is '{','.join(sorted(LOCATIONS))}'.")
    return location


def group_create(sub, options):
    name, location = options["name"], location_of(options["location"])
    if not re.fullmatch(r"[\w.()-]{1,90}", name) or name.endswith("."):
        raise refuse("InvalidResourceGroup", f"The provided resource group name '{name}' has these invalid characters.")
    with sub.locked() as state:
        group = state["groups"].get(name.lower())
        if group is not None:
            group_of(state, name, writing=True)
            if group["location"] != location:
                raise refuse("InvalidResourceGroupLocation",
                             f"Invalid resource group location '{location}'. The Resource group already exists in "
                             f"location '{group['location']}'.")
        else:
            tags = dict(tag.partition("=")[::2] for tag in options.get("tags", [])) or None
            group = {"name": name, "location": location, "state": "Succeeded", "tags": tags,
                     **{kind: {} for kind in TYPES}}
            state["groups"][name.lower()] = group
        return described(group)


def group_exists(sub, options):
    with sub.locked() as state:
        return options["name"].lower() in state["groups"]


def group_show(sub, options):
    with sub.locked() as state:
        return described(group_of(state, options["name"]))


def group_list(sub, options):
    with sub.locked() as state:
        return [described(group) for group in state["groups"].values()]


def remove(sub, name):
    with sub.locked() as state:
        machines = list(state["groups"][name.lower()]["vms"].values())
    for machine in machines:
        az_machines.destroy(machine["name"])
    time.sleep(float(os.environ.get("FAKE_AZ_DELETE_DELAY", "0")))
    with sub.locked() as state:
        del state["groups"][name.lower()]


def group_delete(sub, options):
    name = options["name"]
    if not options.get("yes"):
        if not sys.stdin.isatty():
            sys.stderr.write("WARNING: Unable to prompt for confirmation as no tty available. Use --yes.\n")
            raise AzError(1, "Operation cancelled.")
        sys.stdout.write("Are you sure you want to perform this operation? (y/n): ")
        sys.stdout.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise AzError(1, "Operation cancelled.")
    with sub.locked() as state:
        group = group_of(state, name)
        deleting, group["state"] = group["state"] == "Deleting", "Deleting"
    if not deleting and options.get("no_wait"):
        subprocess.Popen([sys.executable, "-c", f"import sys; sys.path.insert(0, {os.path.dirname(__file__)!r})\n"
                          f"import az_groups, az_state\naz_groups.remove(az_state.Subscription(), {name!r})"],
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                         start_new_session=True)
    elif deleting and not options.get("no_wait"):
        group_wait(sub, {"name": name, "deleted": True})
    elif not deleting:
        remove(sub, name)


def group_wait(sub, options):
    wanted = [key for key in ("deleted", "created", "exists") if options.get(key)]
    if len(wanted) != 1:
        raise AzError(1, "incorrect usage: --created | --updated | --deleted | --exists | --custom JMESPATH")
    deadline = time.monotonic() + float(options.get("timeout", 3600))
    while group_exists(sub, options) == (wanted[0] == "deleted"):
        if time.monotonic() > deadline:
            raise AzError(1, "Wait operation timed-out after 3600 seconds")
        time.sleep(0.05)


def resource(group, kind, entry):
    # Compute gives the group of some of its ids in capitals.
    shown = group["name"].upper() if kind == "disks" else group["name"]
    return {"changedTime": "2025-01-01T00:00:00+00:00", "createdTime": "2025-01-01T00:00:00+00:00",
            "extendedLocation": None, "id": identifier(shown, TYPES[kind], entry["name"]), "identity": None,
            "kind": None, "location": group["location"], "managedBy": None, "name": entry["name"], "plan": None,
            "properties": None, "provisioningState": entry.get("state", "Succeeded"), "resourceGroup": shown,
            "sku": None, "tags": None, "type": TYPES[kind]}


def resource_list(sub, options):
    with sub.locked() as state:
        only = options.get("resource_group")
        groups = [group_of(state, only)] if only else state["groups"].values()
        found = [resource(group, kind, entry) for group in groups for kind in TYPES for entry in group[kind].values()]
    return sorted(found, key=lambda entry: (entry["type"], entry["name"]))
