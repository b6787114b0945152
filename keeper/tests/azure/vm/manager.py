"""Process 1 of a machine: reaps, keeps sshd up, runs units, watches logins, and ends in order at SIGTERM."""
import asyncio
import json
import os
import pathlib
import signal
import socket
import struct

import commands
from logind import Logind
from service import Service, write_log
from units import WANTS, Unit, UnitError, path_of

SOCKET = "/run/systemd/private"
SSHD_LATE_S = 0.3  # a new machine's sshd refuses at first


class Manager:
    def __init__(self):
        self.units, self.services = {}, {}
        self.children = {}
        self.logind = Logind()
        self.shutting_down = False
        self.loop = None

    def main(self, ready):
        asyncio.run(self.run(ready))

    # Children

    def reap(self):
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            waiting = self.children.pop(pid, None)
            if waiting and not waiting.done():
                waiting.set_result(status)

    async def wait_for_child(self, pid):
        future = self.loop.create_future()
        self.children[pid] = future
        return await future

    async def keep_sshd(self):
        """Started late, and started again when it ends."""
        while not self.shutting_down:
            await asyncio.sleep(SSHD_LATE_S)
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                for signo in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
                    signal.signal(signo, signal.SIG_DFL)
                os.setsid()
                os.closerange(3, 1024)
                os.execv("/usr/sbin/sshd", ["/usr/sbin/sshd", "-D", "-e"])
            await self.wait_for_child(pid)

    # Units

    def unit(self, name):
        """As loaded: a changed file is read again at daemon-reload only."""
        if name not in self.units:
            path = path_of(name)
            if path is None:
                raise UnitError(f"Unit {name} could not be found.")
            self.units[name] = Unit(name, path)
        return self.units[name]

    def service(self, name):
        unit = self.unit(name)
        if name not in self.services:
            self.services[name] = Service(unit, self.wait_for_child)
        self.services[name].unit = unit
        return self.services[name]

    def forget_files(self):
        self.units = {}

    async def boot(self):
        for link in sorted(pathlib.Path("/etc/systemd/system", WANTS).glob("*.service")):
            try:
                error = await self.service(link.name).start()
            except (UnitError, KeyError, OSError) as problem:
                error = str(problem)
            if error:
                write_log(link.name, error)
                print(f"boot: {link.name}: {error}", flush=True)

    async def shut_down(self):
        if self.shutting_down:
            return
        self.shutting_down = True
        await asyncio.gather(*(service.stop() for service in self.services.values()))
        os._exit(0)  # the kernel ends the rest

    # Requests

    async def answer(self, reader, writer):
        peer = writer.get_extra_info("socket")
        _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        try:
            request = json.loads(await reader.readline())
            status, out, err = await commands.run(self, request["program"], request["argv"], uid)
        except (UnitError, KeyError, ValueError, OSError) as error:
            status, out, err = 1, "", f"{error}\n"
        writer.write((json.dumps({"status": status, "out": out, "err": err}) + "\n").encode())
        writer.close()

    async def run(self, ready):
        self.loop = asyncio.get_running_loop()
        self.loop.add_signal_handler(signal.SIGCHLD, self.reap)
        self.loop.add_signal_handler(signal.SIGTERM, lambda: asyncio.ensure_future(self.shut_down()))
        server = await asyncio.start_unix_server(self.answer, SOCKET)
        os.chmod(SOCKET, 0o666)
        ready()
        tasks = [asyncio.ensure_future(task) for task in (self.boot(), self.keep_sshd(), self.logind.watch())]
        await asyncio.gather(server.serve_forever(), *tasks)
