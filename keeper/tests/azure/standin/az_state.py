"""What the subscription holds: one JSON file, changed under a lock, since calls run in parallel."""
import contextlib
import fcntl
import json
import os
import re

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"


class AzError(Exception):
    """What az says on stderr, and its exit status."""

    def __init__(self, status, message, code=None, footer="", raw=False):
        super().__init__(message)
        self.status, self.message, self.code, self.footer, self.raw = status, message, code, footer, raw

    def text(self):
        if self.raw:
            return self.message + "\n"
        if self.code:
            return f"ERROR: ({self.code}) {self.message}\nCode: {self.code}\nMessage: {self.message}\n"
        return f"ERROR: {self.message}\n{self.footer}"


def refuse(code, message, status=1):
    return AzError(status, message, code)


def deployment_failed(code, message):
    """vm create is a deployment: what went wrong is in its details."""
    details = {"status": "Failed", "error": {
        "code": "DeploymentFailed",
        "target": f"/subscriptions/{SUBSCRIPTION}/resourceGroups/x/providers/Microsoft.Resources/deployments/vm_deploy",
        "message": "At least one resource deployment operation failed. Please list deployment operations for details. "
                   "Please see https://aka.ms/arm-deployment-operations for usage details.",
        "details": [{"code": code, "message": message}]}}
    return AzError(1, json.dumps(details))


def refuse_text(status, text):
    """An error from a fault's text: "(CODE) text", "DeploymentFailed(CODE) text", or anything."""
    deployed = re.match(r"DeploymentFailed\((\w+)\)\s*(.*)", text)
    if deployed:
        error = deployment_failed(*deployed.groups())
        error.status = status
        return error
    coded = re.match(r"\((\w+)\)\s*(.*)", text)
    return AzError(status, coded.group(2), coded.group(1)) if coded else AzError(status, text)


def write_line(path, line):
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, (line + "\n").encode())
    finally:
        os.close(descriptor)


class Subscription:
    def __init__(self):
        self.path = os.environ.get("FAKE_AZ_STATE")
        if not self.path:
            raise SystemExit("FAKE_AZ_STATE is not set: this is a stand-in for az, for tests")

    @contextlib.contextmanager
    def locked(self):
        """The state; what is changed in it is kept unless an exception ends the block."""
        with open(f"{self.path}.lock", "a", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                with open(self.path, encoding="utf-8") as file:
                    state = json.load(file)
            except FileNotFoundError:
                state = {"groups": {}, "public": 3, "faults": {}}
            yield state
            with open(f"{self.path}.new", "w", encoding="utf-8") as file:
                json.dump(state, file, indent=1)
            os.replace(f"{self.path}.new", self.path)


def group_of(state, name, status=3, writing=False):
    """Azure compares names without case."""
    group = state["groups"].get(name.lower())
    if group is None:
        raise refuse("ResourceGroupNotFound", f"Resource group '{name}' could not be found.", status)
    if writing and group["state"] == "Deleting":
        raise refuse("ResourceGroupBeingDeleted",
                     f"The resource group '{group['name']}' is in deprovisioning state and cannot perform this operation.")
    return group


def find(group, kind, name, type_name):
    found = group[kind].get(name.lower())
    if found is None:
        raise refuse("ResourceNotFound",
                     f"The Resource '{type_name}/{name}' under resource group '{group['name']}' was not found. "
                     "For more details please go to https://aka.ms/ARMResourceNotFoundFix", 3)
    return found


def identifier(group, type_name, name):
    return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}/providers/{type_name}/{name}"
