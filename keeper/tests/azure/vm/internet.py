"""The rest of the Internet: services that tell callers their address, over HTTPS, on 203.0.113.2.

internet.py DIRECTORY makes a certificate authority and serves. What is answered stands in DIRECTORY/internet.json:
{name of a service: text, or a status as a number}; all others answer with our address, 203.0.113.1.
"""
import http.server
import json
import os
import pathlib
import ssl
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from linux import run  # noqa: E402

SERVICES = ["api.ipify.org", "ipv4.icanhazip.com", "checkip.amazonaws.com", "ifconfig.me"]
ADDRESS, OURS = "203.0.113.2", "203.0.113.1"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


def make_certificate(directory):
    """One authority of the world's own, which is all that is trusted there."""
    names = ",".join(f"DNS:{name}" for name in SERVICES)
    ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    run("openssl", "req", "-x509", *ec, "-days", "2", "-subj", "/CN=world", "-keyout", directory / "ca.key", "-out",
        directory / "ca.crt", "-addext", "basicConstraints=critical,CA:TRUE")
    run("openssl", "req", *ec, "-subj", "/CN=services", "-keyout", directory / "web.key", "-out", directory / "web.csr")
    (directory / "web.ext").write_text(f"subjectAltName={names}\n")
    run("openssl", "x509", "-req", "-in", directory / "web.csr", "-CA", directory / "ca.crt", "-CAkey",
        directory / "ca.key", "-CAcreateserial", "-days", "2", "-extfile", directory / "web.ext", "-out",
        directory / "web.crt")


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            told = json.loads((self.server.directory / "internet.json").read_text())
        except OSError:
            told = {}
        answer = told.get(self.headers.get("Host", ""), OURS)
        status, text = (answer, "upstream connect error") if isinstance(answer, int) else (200, answer)
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


def main():
    directory = pathlib.Path(sys.argv[1])
    make_certificate(directory)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "web.crt", directory / "web.key")
    server = http.server.ThreadingHTTPServer((ADDRESS, 443), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.directory = directory
    # In the world's own mounts: names, and whom its programs trust.
    (directory / "world-hosts").write_text("127.0.0.1 localhost\n" + "".join(f"{ADDRESS} {n}\n" for n in SERVICES))
    run("mount", "--bind", directory / "world-hosts", "/etc/hosts")
    run("mount", "--bind", directory / "ca.crt", BUNDLE)
    (directory / "internet.ready").touch()
    server.serve_forever()


main()
