"""The service behind the stand-in for az: makes and ends machines for whoever asks on DIRECTORY/cloud.sock.

A request is one line of JSON, {"do": ..., ...}; the answer {"result": ...} or {"error": ...}.
"""
import json
import os
import pathlib
import socketserver
import sys
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import machine  # noqa: E402


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        request = json.loads(self.rfile.readline())
        action = request.pop("do")
        try:
            answer = {"result": getattr(self.server.machines, action)(**request)}
        except Exception as error:  # whatever it is, the caller must hear it
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        self.wfile.write((json.dumps(answer) + "\n").encode())


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 64


def main():
    directory = pathlib.Path(sys.argv[1])
    path = directory / "cloud.sock"
    with Server(str(directory / "cloud.new"), Handler) as server:
        server.machines = machine.Machines(directory)
        os.chmod(directory / "cloud.new", 0o666)
        os.rename(directory / "cloud.new", path)
        server.serve_forever()


main()
