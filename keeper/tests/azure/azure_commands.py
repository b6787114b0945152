"""What the tests of `pg_autoctl do azure` share: our program, the stand-in for az, and a stub for ssh."""
import http.server
import json
import os
import pathlib
import signal
import subprocess
import threading

HERE = pathlib.Path(__file__).resolve().parent
BINARY = os.path.abspath(os.environ.get("PG_AUTOCTL", "build/cmake/pg_autoctl"))
GROUP = "ha-demo-paris"
REGION = ("--region", "paris")
WHERE = (*REGION, "--location", "francecentral", "--allow-from", "203.0.113.7/32")


class Azure:
    key = None  # made by the first that needs one; the others have it already

    def __init__(self, directory):
        self.directory = directory
        self.home = directory / "home"
        (self.home / ".ssh").mkdir(parents=True, mode=0o700)
        if Azure.key is None:
            made = self.home / ".ssh/id_rsa"
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", made], check=True, timeout=20)
            Azure.key = made.read_bytes(), made.with_suffix(".pub").read_bytes()
        self.put_key()
        self.az_log, self.ssh_log = directory / "az.log", directory / "ssh.log"
        self.kept = self.home / ".local/share/pg_autoctl/azure" / GROUP
        self.env = {"PATH": f"{HERE / 'standin'}:{HERE / 'stub'}:/usr/bin:/bin", "HOME": str(self.home),
                    "FAKE_AZ_STATE": str(directory / "state.json"), "FAKE_AZ_LOG": str(self.az_log),
                    "STUB_SSH_LOG": str(self.ssh_log), "PG_AUTOCTL_AZURE_RETRY_MS": "5", "LC_ALL": "C.UTF-8",
                    "PG_AUTOCTL_ADDRESS_SERVICES": "http://127.0.0.1:9/"}

    def put_key(self):
        for name, content in zip(("id_rsa", "id_rsa.pub"), Azure.key):
            path = self.home / ".ssh" / name
            path.write_bytes(content)
            path.chmod(0o600)

    def start(self, *words, fail="", ssh_fail="", **env):
        return subprocess.Popen([BINARY, "do", "azure", *words], cwd=self.home, stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
                                env={**self.env, "FAKE_AZ_FAIL": fail, "STUB_SSH_FAIL": ssh_fail, **env})

    def run(self, *words, status=0, stdin="", **options):
        """status None: any but 0."""
        process = self.start(*words, **options)
        out, err = process.communicate(stdin, timeout=60)
        done = subprocess.CompletedProcess(words, process.returncode, out, err)
        good = done.returncode != 0 if status is None else done.returncode == status
        assert good, f"{words}: {done.returncode}\n{out}\n{err}"
        return done

    def region(self, *more, **options):
        return self.run("create", "region", *WHERE, *more, **options)

    def nodes(self, *more, **options):
        return self.run("create", "nodes", *REGION, *more, **options)

    def calls(self):
        """What az was called with, "vm create ha-demo-paris-a", in the order of their ends; only those that change."""
        calls = []
        for line in self.lines(self.az_log):
            if line["event"] != "end":
                continue
            words = [word for word in line["argv"] if not word.startswith("-")]
            call = " ".join(line["argv"][:next(i for i, w in enumerate(line["argv"]) if w.startswith("-"))])
            if call in ("group show", "resource list", "vm list-ip-addresses", "group exists"):
                continue
            name = line["argv"][line["argv"].index("--name") + 1] if "--name" in line["argv"] else words[-1]
            calls.append(f"{call} {name}")
        return calls

    def looks(self):
        return [line["argv"] for line in self.lines(self.az_log) if line["event"] == "start"]

    @staticmethod
    def lines(path):
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def ssh(self):
        return self.lines(self.ssh_log)

    def forget_calls(self):
        for path in (self.az_log, self.ssh_log):
            path.unlink(missing_ok=True)

    def state(self):
        path = self.directory / "state.json"
        return json.loads(path.read_text())["groups"].get(GROUP) if path.exists() else None

    def machines(self):
        state = self.state()
        return {} if state is None else {name.removeprefix(f"{GROUP}-"): vm["state"] for name, vm in state["vms"].items()}

    def sources(self):
        rules = self.state()["nsgs"][f"{GROUP}-nsg"]["rules"]
        assert list(rules) == [f"{GROUP}-ssh-and-pg"]
        return rules[f"{GROUP}-ssh-and-pg"]["sourceAddressPrefixes"]

    def az(self, *words):
        return subprocess.run([HERE / "standin/az", *words], env=self.env, check=True, capture_output=True, text=True,
                              timeout=20).stdout

    def interrupt(self, process):
        """Ctrl-C, as a terminal sends it: to everybody in the foreground, which our children are not."""
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=30)
        return process.returncode, out, err


class Services:
    """A web server that says what a test wants it to."""

    def __init__(self, answers):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                status, text = answers[self.path]
                self.send_response(status)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.urls = " ".join(f"http://127.0.0.1:{self.server.server_port}{path}" for path in answers)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self.urls

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
