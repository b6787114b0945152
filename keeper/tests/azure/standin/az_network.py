"""Virtual networks, subnets, network security groups and their rules."""
import ipaddress
import re

import az_machines
from az_state import AzError, find, group_of, identifier, refuse

VNET = "Microsoft.Network/virtualNetworks"
NSG = "Microsoft.Network/networkSecurityGroups"
SERVICE_TAGS = {"virtualnetwork", "internet", "azureloadbalancer"}
DEFAULT_RULES = {"AllowVnetInBound": 65000, "AllowAzureLoadBalancerInBound": 65001, "DenyAllInBound": 65500,
                 "AllowVnetOutBound": 65000, "AllowInternetOutBound": 65001, "DenyAllOutBound": 65500}


def network_of(text, code):
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        raise refuse(code, f"The address prefix {text} is not formatted correctly.") from None


def in_use(group, vnet, subnet=None):
    return [nic["name"] for nic in group["nics"].values()
            if nic["vnet"].lower() == vnet.lower() and subnet in (None, nic["subnet"].lower())]


def shown_vnet(group, vnet):
    return {"addressSpace": {"addressPrefixes": vnet["prefixes"]}, "enableDdosProtection": False,
            "id": identifier(group["name"], VNET, vnet["name"]), "location": group["location"], "name": vnet["name"],
            "provisioningState": "Succeeded", "resourceGroup": group["name"],
            "subnets": [shown_subnet(group, vnet, subnet) for subnet in vnet["subnets"].values()], "type": VNET}


def put_vnet(group, name, prefixes):
    """A PUT without subnets: the service replaces what is there, unless machines are in it."""
    old = group["vnets"].get(name.lower())
    for key, subnet in (old or {"subnets": {}})["subnets"].items():
        users = in_use(group, name, key)
        if users:
            raise refuse("InUseSubnetCannotBeDeleted",
                         f"Subnet {subnet['name']} is in use by {identifier(group['name'], 'Microsoft.Network/networkInterfaces', users[0])} "
                         "and cannot be deleted. In order to delete the subnet, delete all the resources within the subnet.")
    group["vnets"][name.lower()] = {"name": name, "prefixes": prefixes, "subnets": {}}
    return group["vnets"][name.lower()]


def vnet_create(sub, options):
    prefixes = options.get("address_prefixes", ["10.0.0.0/16"])
    for prefix in prefixes:
        network_of(prefix, "InvalidAddressPrefixFormat")
    with sub.locked() as state:
        group = group_of(state, options["resource_group"], writing=True)
        return {"newVNet": shown_vnet(group, put_vnet(group, options["name"], prefixes))}


def shown_subnet(group, vnet, subnet):
    nsg = subnet["nsg"]
    return {"addressPrefix": subnet["prefix"],
            "id": f"{identifier(group['name'], VNET, vnet['name'])}/subnets/{subnet['name']}", "name": subnet["name"],
            "networkSecurityGroup": nsg and {"id": identifier(group["name"], NSG, nsg), "resourceGroup": group["name"]},
            "provisioningState": "Succeeded", "resourceGroup": group["name"], "type": f"{VNET}/subnets"}


def subnet_create(sub, options):
    if len(options.get("address_prefixes", [])) != 1:
        raise AzError(2, "usage error: the stand-in wants one --address-prefixes")
    prefix, name = options["address_prefixes"][0], options["name"]
    network = network_of(prefix, "InvalidAddressPrefixFormat")
    with sub.locked() as state:
        group = group_of(state, options["resource_group"], writing=True)
        vnet = find(group, "vnets", options["vnet_name"], VNET)
        nsg = options.get("network_security_group")
        if nsg:
            nsg = find(group, "nsgs", nsg, NSG)["name"]
        if not any(network.subnet_of(ipaddress.ip_network(outer)) for outer in vnet["prefixes"]):
            raise refuse("NetcfgInvalidSubnet", f"Subnet '{name}' is not valid in virtual network '{vnet['name']}'.")
        for key, other in vnet["subnets"].items():
            if key != name.lower() and network.overlaps(ipaddress.ip_network(other["prefix"])):
                raise refuse("NetcfgSubnetRangesOverlap",
                             f"Subnet '{name}' is not valid because its IP address range overlaps with that of an "
                             f"existing subnet in virtual network '{vnet['name']}'.")
        old = vnet["subnets"].get(name.lower())
        if old and old["prefix"] != prefix and in_use(group, vnet["name"], name.lower()):
            raise refuse("InUsePrefixCannotBeDeleted", f"IpPrefix {old['prefix']} on Subnet {name} has active allocations.")
        vnet["subnets"][name.lower()] = {"name": name, "prefix": prefix, "nsg": nsg}
        az_machines.apply_rules(group)
        return shown_subnet(group, vnet, vnet["subnets"][name.lower()])


def subnet_list(sub, options):
    with sub.locked() as state:
        group = group_of(state, options["resource_group"])
        vnet = find(group, "vnets", options["vnet_name"], VNET)
        return [shown_subnet(group, vnet, subnet) for subnet in vnet["subnets"].values()]


def shown_rule(group, nsg, rule):
    shown = {key: value for key, value in rule.items() if key != "name"}
    return {**shown, "id": f"{identifier(group['name'], NSG, nsg['name'])}/securityRules/{rule['name']}",
            "name": rule["name"], "provisioningState": "Succeeded", "resourceGroup": group["name"],
            "type": f"{NSG}/securityRules"}


def shown_nsg(group, nsg):
    defaults = [{"name": name, "priority": priority} for name, priority in DEFAULT_RULES.items()]
    return {"defaultSecurityRules": defaults, "id": identifier(group["name"], NSG, nsg["name"]),
            "location": group["location"], "name": nsg["name"], "provisioningState": "Succeeded",
            "resourceGroup": group["name"],
            "securityRules": [shown_rule(group, nsg, rule) for rule in nsg["rules"].values()], "type": NSG}


def nsg_create(sub, options):
    """A PUT as well: rules that were there are gone."""
    with sub.locked() as state:
        group = group_of(state, options["resource_group"], writing=True)
        name = options["name"]
        group["nsgs"][name.lower()] = {"name": name, "rules": {}}
        az_machines.apply_rules(group)
        return {"NewNSG": shown_nsg(group, group["nsgs"][name.lower()])}


def check_prefix(text):
    if text == "*" or text.lower() in SERVICE_TAGS:
        return
    try:
        ipaddress.ip_network(text)
    except ValueError:
        raise refuse("SecurityRuleInvalidAddressPrefix",
                     f"Security rule has invalid Address prefix. Value provided: {text}") from None


def check_port(text):
    bounds = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
    if text != "*" and not (bounds and all(int(bound) <= 65535 for bound in bounds.groups() if bound)):
        raise refuse("SecurityRuleInvalidPortRange", f"Security rule has invalid Port range. Value provided: {text}")


def one_or_more(name, plural, values):
    """One value has another name than several."""
    return {name: values[0], plural: []} if len(values) == 1 else {name: None, plural: values}


def rule_create(sub, options):
    try:
        priority = int(options["priority"])
    except ValueError:
        raise AzError(2, f"argument --priority: invalid int value: '{options['priority']}'") from None
    sources = options.get("source_address_prefixes", ["*"])
    targets = options.get("destination_address_prefixes", ["*"])
    source_ports = options.get("source_port_ranges", ["*"])
    ports = options.get("destination_port_ranges", ["80"])
    with sub.locked() as state:
        group = group_of(state, options["resource_group"], writing=True)
        nsg = find(group, "nsgs", options["nsg_name"], NSG)
        for prefix in sources + targets:
            check_prefix(prefix)
        for port in source_ports + ports:
            check_port(port)
        if not 100 <= priority <= 4096:
            raise refuse("SecurityRuleInvalidPriority",
                         f"Security rule has invalid Priority. Value provided: {priority}. Allowed range 100-4096.")
        name, direction = options["name"], options.get("direction", "Inbound")
        for key, other in nsg["rules"].items():
            if key != name.lower() and (other["priority"], other["direction"]) == (priority, direction):
                raise refuse("SecurityRuleConflict",
                             f"Security rule {other['name']} conflicts with rule {name}. Rules cannot have the same "
                             "Priority and Direction.")
        rule = {"name": name, "access": options.get("access", "Allow"), "direction": direction, "priority": priority,
                "protocol": options.get("protocol", "*"),
                **one_or_more("sourceAddressPrefix", "sourceAddressPrefixes", sources),
                **one_or_more("destinationAddressPrefix", "destinationAddressPrefixes", targets),
                **one_or_more("sourcePortRange", "sourcePortRanges", source_ports),
                **one_or_more("destinationPortRange", "destinationPortRanges", ports)}
        nsg["rules"][name.lower()] = rule
        az_machines.apply_rules(group)
        return shown_rule(group, nsg, rule)
