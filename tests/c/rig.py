"""Real programs between helio and a server: nginx, tinyproxy and microsocks, and what they need.

Each is started with the settings that its test writes down, in a folder of its own, on loopback, on a port that is
free at that moment; and it is gone when its block ends.
"""

import contextlib
import functools
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse

from fake_server import begin_and_stay
from harness import PATIENCE, free_port

USER = "a-user"

shared = contextlib.ExitStack()  # what several tests use; run.py closes it


def find(program):
    """Debian keeps servers where only root looks."""
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def needs(*programs):
    """For setUpClass: without them, the class is skipped with this reason."""
    for program in programs:
        if not find(program):
            raise unittest.SkipTest(f"{program} is not here (apt-get install {program})")


# Programs --------------------------------------------------------------------------------------


class Program:
    """A program that listens on `port`: ready when the block begins, gone when it ends."""

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        self.folder = pathlib.Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="helio-")))
        self.output = self.folder / "output"
        self.port = free_port()
        self.process = None
        self.stack.callback(self.stop)
        try:
            self.start()
        except BaseException:
            self.stack.close()
            raise
        return self

    def __exit__(self, *_):
        self.stack.close()

    def start(self):
        # If the tests are killed, the system ends it.
        guard = [find("setpriv"), "--pdeathsig", "TERM", "--"] if find("setpriv") else []
        command = [*guard, *self.command()]
        with open(self.output, "ab") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", self.port), PATIENCE).close()
                return
            time.sleep(0.005)
        raise AssertionError(f"{' '.join(command)} does not start:\n{self.output.read_text()}")

    def stop(self, number=signal.SIGTERM):
        """It has ended, and its connections with it."""
        if self.process is None:
            return
        self.process.send_signal(number)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def restart(self):
        self.stop()
        self.start()


class Nginx(Program):
    """nginx before a server of this machine. What the test gives goes into its `location`, `server` or `http`."""

    def __init__(self, upstream, location="", server="", http="", listen="", certificate="localhost", tls=True):
        self.upstream, self.location, self.server, self.http = upstream, location, server, http
        self.listen, self.certificate, self.tls = listen, certificate, tls

    @property
    def base_url(self):
        return f"http{'s' if self.tls else ''}://localhost:{self.port}/v1"

    def command(self):
        keys, folder = certificates(), self.folder
        words = f"{'ssl' if self.tls else ''} {self.listen}"
        # The name may have an IPv6 address, too, and it may be the first.
        listen = "\n".join(f"listen {address}:{self.port} {words};" for address in loopbacks(self.port))
        temporary = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        paths = "".join(f"{name}_temp_path {folder}/{name};\n" for name in temporary)
        settings = f"""
            daemon off;
            master_process off;
            pid {folder}/pid;
            error_log {folder}/error.log warn;
            events {{}}
            http {{
              log_format evidence '{{"uri":"$uri","status":$status,"protocol":"$server_protocol",'
                '"encoding":"$sent_http_content_encoding"}}';
              access_log {folder}/access.log evidence;
              {paths}
              client_max_body_size 64m;
              ssl_protocols TLSv1.2 TLSv1.3;
              {self.http}
              server {{
                {listen}
                ssl_certificate {keys}/{self.certificate}.pem;
                ssl_certificate_key {keys}/server.key;
                {self.server}
                location / {{
                  proxy_pass http://127.0.0.1:{self.upstream};
                  proxy_buffering off;
                  {self.location}
                }}
              }}
            }}
        """
        (folder / "nginx.conf").write_text(settings)
        return [find("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf")]

    @property
    def requests(self):
        """What it has answered so far; an entry stands there soon after its answer is out."""
        return [json.loads(line) for line in (self.folder / "access.log").read_text().splitlines()]


class Tinyproxy(Program):
    """An HTTP proxy that wants a password and allows CONNECT to these ports."""

    password = "pass.word-0123"  # it allows few other characters

    def __init__(self, *ports):
        self.ports = ports

    def command(self):
        settings = [
            f"Port {self.port}",
            "Listen 127.0.0.1",
            "Timeout 600",
            f"BasicAuth {USER} {self.password}",
            *(f"ConnectPort {port}" for port in self.ports),
            f'LogFile "{self.folder}/log"',
            "LogLevel Connect",
        ]
        (self.folder / "tinyproxy.conf").write_text("\n".join(settings) + "\n")
        return [find("tinyproxy"), "-d", "-c", str(self.folder / "tinyproxy.conf")]

    @property
    def tunnels(self):
        """The targets it was asked for, as they were named."""
        lines = (self.folder / "log").read_text().splitlines()
        return [line.partition(": CONNECT ")[2].split()[0] for line in lines if ": CONNECT " in line]


class Microsocks(Program):
    """A SOCKS5 proxy that wants a password."""

    password = "pa%ss/wo:rd@0123 ä"

    def command(self):
        return [find("microsocks"), "-i", "127.0.0.1", "-p", str(self.port), "-u", USER, "-P", self.password]

    @property
    def tunnels(self):
        lines = self.output.read_text().splitlines()
        return [line.partition(" connected to ")[2] for line in lines if " connected to " in line]


class TlsAround(Program):
    """TLS before a proxy, by nginx: a proxy that is spoken to in TLS."""

    module = pathlib.Path("/usr/lib/nginx/modules/ngx_stream_module.so")

    def __init__(self, proxy, certificate="localhost"):
        self.proxy, self.password, self.certificate = proxy, proxy.password, certificate

    def command(self):
        keys, folder = certificates(), self.folder
        settings = f"""
            load_module {self.module};
            daemon off;
            master_process off;
            pid {folder}/pid;
            error_log {folder}/error.log warn;
            events {{}}
            stream {{
              log_format client $ssl_client_verify;
              access_log {folder}/access.log client;
              server {{
                listen 127.0.0.1:{self.port} ssl;
                ssl_verify_client optional;
                ssl_client_certificate {keys}/root.pem;
                ssl_protocols TLSv1.2 TLSv1.3;
                ssl_certificate {keys}/{self.certificate}.pem;
                ssl_certificate_key {keys}/server.key;
                proxy_pass 127.0.0.1:{self.proxy.port};
                proxy_timeout 600s;
              }}
            }}
        """
        (folder / "nginx.conf").write_text(settings)
        return [find("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf")]

    @property
    def clients(self):
        """Whose certificates it was shown, once their connections have ended: NONE, SUCCESS or FAILED."""
        return (self.folder / "access.log").read_text().split()


half_an_answer = begin_and_stay("half an ans")


class HalfAnAnswer(Program):
    """A server of such answers in a process of its own, to be killed."""

    source = (
        "import sys; sys.path[:0] = sys.argv[2:]\n"
        "import fake_server, rig, signal\n"
        "with fake_server.FakeServer(rig.half_an_answer, int(sys.argv[1])): signal.pause()\n"
    )

    def command(self):
        return [sys.executable, "-Bc", self.source, str(self.port), *sys.path]


def loopbacks(port):
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", port))
        return ["127.0.0.1", "[::1]"]
    return ["127.0.0.1"]


def login(scheme, proxy, password=None):
    """The URL of a proxy with user and password, the right one unless another is given."""
    return f"{scheme}://{USER}:{urllib.parse.quote(password or proxy.password, safe='')}@127.0.0.1:{proxy.port}"


# Certificates ----------------------------------------------------------------------------------

SETTINGS = """
[ca]
default_ca = here
[here]
dir = .
new_certs_dir = .
database = index
serial = serial
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[req]
distinguished_name = any
x509_extensions = usual
[usual]
subjectAltName = DNS:localhost,IP:127.0.0.1
basicConstraints = critical,CA:TRUE
[root]
basicConstraints = critical,CA:TRUE
keyUsage = keyCertSign
[localhost]
subjectAltName = DNS:localhost,IP:127.0.0.1
[elsewhere]
subjectAltName = DNS:elsewhere.test
[client]
extendedKeyUsage = clientAuth
"""


@functools.cache
def certificates():
    """A folder with two roots (root.pem, other-root.pem), the leaves below, and keys."""
    folder = pathlib.Path(shared.enter_context(tempfile.TemporaryDirectory(prefix="helio-")))

    def openssl(*arguments):
        done = subprocess.run([find("openssl"), *arguments], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, f"openssl {' '.join(arguments)}:\n{done.stderr}"

    def new(name, extensions, key="server"):
        subject = ["-subj", f"/CN={name}", "-config", "settings", "-extensions", extensions, "-days", "2"]
        openssl("req", "-new", "-x509", "-key", f"{key}.key", "-out", f"{name}.pem", *subject)

    def leaf(name, extensions, begins="20000101000000Z", ends="20991231000000Z", root="root"):
        openssl(
            "req", "-new", "-key", "server.key", "-subj", f"/CN={name}", "-config", "settings", "-out", "asked"
        )
        issuer = ["-cert", f"{root}.pem", "-keyfile", f"{root}.key", "-extensions", extensions]
        openssl("ca", "-batch", "-notext", "-config", "settings", *issuer, "-in", "asked", "-out", f"{name}.pem",
                "-startdate", begins, "-enddate", ends)  # fmt: skip

    (folder / "settings").write_text(SETTINGS)
    (folder / "index").touch()
    (folder / "serial").write_text("1000\n")
    for key in ("root", "other-root", "server"):
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", f"{key}.key")
    new("root", "root", "root")
    new("other-root", "root", "other-root")
    new("self-signed", "localhost")
    new("self-signed-the-usual-way", "usual")
    leaf("localhost", "localhost")
    leaf("wrong-name", "elsewhere")
    leaf("expired", "localhost", ends="20010101000000Z")
    leaf("not-yet-valid", "localhost", begins="20980101000000Z")
    leaf("unknown-issuer", "localhost", root="other-root")
    leaf("client", "client")
    leaf("unknown-client", "client", root="other-root")
    return folder
