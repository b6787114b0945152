"""Faults that a test asks for, one a line in FAKE_AZ_FAIL, or in a file: FAKE_AZ_FAIL=@FILE.

    CALL:RESOURCE:HOW:TEXT[:xTIMES]

CALL is "vm create", or * for all; RESOURCE the name that the call gives, or *. HOW is one of
    N            fails with exit status N, nothing is done
    after-N      fails with exit status N after the work was done
    partial-N    vm create: fails, its network card and address stay
    failed-N     vm create: fails, the machine is there in provisioningState "Failed"
    delay-S      goes on after S seconds; the faults after it are looked at
    kill-N       az ends by signal N, nothing is done; after-kill-N: the work was done
    script-N     run-command: exit status 0, the script failed with N, having printed TEXT
    output       run-command without machines: exit status 0, the script printed TEXT
TEXT is what az says: "(CODE) text" gives its three lines, "DeploymentFailed(CODE) text" its JSON. "\\n" is a new line.
With :xTIMES the fault is spent after so many calls.
"""
import os
import re
import time

from az_state import refuse_text


def lines_of(text):
    if text.startswith("@"):
        try:
            with open(text[1:], encoding="utf-8") as file:
                text = file.read()
        except FileNotFoundError:
            return []
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def parse(line):
    parts = line.split(":", 3)
    if len(parts) < 3:
        raise SystemExit(f"FAKE_AZ_FAIL: cannot read {line!r}")
    call, resource, how = (part.strip() for part in parts[:3])
    text, times = (parts[3] if len(parts) == 4 else ""), None
    limited = re.search(r":x(\d+)\s*$", f":{text}")
    if limited:
        text, times = f":{text}"[1:limited.start()], int(limited.group(1))
    known = re.fullmatch(r"(?:after-)?(?:kill-)?(\d+)|(?:partial|failed|script)-(\d+)|delay-([\d.]+)|output", how)
    if not known:
        raise SystemExit(f"FAKE_AZ_FAIL: unknown way to fail: {how!r}")
    return call, resource, how, text.replace("\\n", "\n"), times


class Fault:
    """The faults that one call meets."""

    def __init__(self, sub, call, resource):
        self.how = self.text = None
        faults = [(line, *parse(line)) for line in lines_of(os.environ.get("FAKE_AZ_FAIL", ""))]
        for line, for_call, for_resource, how, text, times in faults:
            if for_call not in ("*", call) or for_resource.lower() not in ("*", (resource or "").lower()):
                continue
            if times is not None and not self.spend(sub, line, times):
                continue
            if how.startswith("delay-"):
                time.sleep(float(how.removeprefix("delay-")))
                continue
            self.how, self.text = how, text
            return

    @staticmethod
    def spend(sub, line, times):
        with sub.locked() as state:
            used = state["faults"].get(line, 0)
            if used >= times:
                return False
            state["faults"][line] = used + 1
            return True

    def number(self):
        return int(self.how.rsplit("-", 1)[-1])

    def strike(self):
        raise refuse_text(self.number(), self.text or "(InternalServerError) An error occurred.")

    def before(self):
        if self.how and re.fullmatch(r"kill-\d+", self.how):
            os.kill(os.getpid(), self.number())
        if self.how and self.how.isdigit():
            self.strike()

    def after(self):
        if self.how and self.how.startswith("after-kill-"):
            os.kill(os.getpid(), self.number())
        if self.how and self.how.startswith("after-"):
            self.strike()

    def partial(self):
        return bool(self.how) and self.how.startswith("partial-")

    def failed(self):
        return bool(self.how) and self.how.startswith("failed-")

    def script(self):
        """("fails", status, text) or ("prints", 0, text) or nothing."""
        if self.how and self.how.startswith("script-"):
            return "fails", self.number(), self.text
        return ("prints", 0, self.text) if self.how == "output" else None
