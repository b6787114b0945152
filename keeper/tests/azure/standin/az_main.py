"""From the argument list to a service call and its printed answer."""
import json
import os
import sys
import time

import az_args
import az_compute
import az_faults
import az_groups
import az_network
import az_output
from az_state import AzError, Subscription, write_line

# Source: what az 2.45 and 2.74 were seen to accept, and for "subnet list" Microsoft's reference of az. No others.
HANDLERS = {
    "version": lambda sub, options: {"azure-cli": "2.74.0", "azure-cli-core": "2.74.0",
                                     "azure-cli-telemetry": "1.1.0", "extensions": {}},
    "account show": az_groups.account_show,
    "group create": az_groups.group_create,
    "group exists": az_groups.group_exists,
    "group show": az_groups.group_show,
    "group list": az_groups.group_list,
    "group delete": az_groups.group_delete,
    "group wait": az_groups.group_wait,
    "resource list": az_groups.resource_list,
    "network vnet create": az_network.vnet_create,
    "network vnet subnet create": az_network.subnet_create,
    "network vnet subnet list": az_network.subnet_list,
    "network nsg create": az_network.nsg_create,
    "network nsg rule create": az_network.rule_create,
    "vm create": az_compute.vm_create,
    "vm list": az_compute.vm_list,
    "vm show": az_compute.vm_show,
    "vm list-ip-addresses": az_compute.vm_list_ip_addresses,
    "vm get-instance-view": az_compute.vm_get_instance_view,
    "vm run-command invoke": az_compute.vm_run_command,
    "vm deallocate": az_compute.vm_deallocate,
    "vm stop": az_compute.vm_stop,
    "vm start": az_compute.vm_start,
    "vm restart": az_compute.vm_restart,
    "vm delete": az_compute.vm_delete,
}
OFFLINE = {"version"}


def warn(options, text):
    """On stderr, with exit status 0: what takes stderr for a failure is caught."""
    if not options.get("only_show_errors"):
        sys.stderr.write(f"WARNING: {text}\n")


def perform(sub, call, options, fault):
    if call not in OFFLINE and os.environ.get("FAKE_AZ_LOGGED_OUT"):
        raise AzError(1, "Please run 'az login' to setup account.")
    fault.before()
    if call.startswith("network "):  # az 2.74 prints these whatever was asked for
        sys.stderr.write("/opt/az/lib/python3/site-packages/azure/cli/core/aaz/_command.py:1: FutureWarning: "
                         "functools.partial will be a method descriptor in future Python versions\n")
    if call == "vm create":
        if not options.get("size"):
            warn(options, "The default value of '--size' will be changed to 'Standard_D2s_v5' from "
                          "'Standard_DS1_v2' in a future release.")
        if not options.get("public_ip_sku"):
            warn(options, "The default public IP address will be changed to Standard in a future release.")
    answer = HANDLERS[call](sub, {**options, "fault": fault})
    fault.after()
    return answer


def run(argv, sub):
    call, options = az_args.parse(argv, HANDLERS)
    query = options.pop("query", None)
    search = az_output.compile_query(query) if query is not None else None
    time.sleep(float(os.environ.get("FAKE_AZ_DELAY", "0")))
    fault = az_faults.Fault(sub, call, az_args.resource_of(call, options))
    answer = perform(sub, call, options, fault)
    if search:
        answer = search(answer)
    return az_output.render(answer, options.get("output"))


def main(argv):
    sub = Subscription()
    status, started = 0, time.time()
    log = os.environ.get("FAKE_AZ_LOG")
    if log:
        write_line(log, json.dumps({"event": "start", "pid": os.getpid(), "argv": argv, "at": started}))
    try:
        sys.stdout.write(run(argv, sub))
        sys.stdout.flush()
    except AzError as error:
        sys.stderr.write(error.text())
        status = error.status
    except BrokenPipeError:
        status = 1
    finally:
        if log:
            write_line(log, json.dumps({"event": "end", "pid": os.getpid(), "argv": argv, "status": status,
                                        "at": time.time()}))
    return status
