"""The runtimes that are watched: servers, clients, and what the clients receive, again and again."""

import hashlib
import os
import random
import select
import subprocess
import sys
import threading
import time

from harness import await_true, die_with_parent, free_port, listens
from servers import NginxTls

PROGRAMS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs")
# Around the sizes of a TLS record and of what libraries read at once.
SIZES = [0, 1, 100, 4096, 16_383, 16_384, 16_385, 70_000, 200_000]
# A round takes a fraction of a second. What takes this long on a busy machine hangs.
HANGS_SECONDS = 60
# The agent is to start as fast as it does where there is a processor to spare.
LOAD = ["nice", "-n", "5"]


def make_files(folder, seed):
    """Bodies of these sizes, the same for the same seed, as text that every client can pass on."""
    chosen = random.Random(seed)
    os.mkdir(folder)
    for size in SIZES:
        with open(f"{folder}/{size}", "wb") as file:
            file.write(bytes(chosen.choices(b"abcdefghijklmnopqrstuvwxyz0123456789\n", k=size)))
    os.chmod(folder, 0o755)


def start_nginx(scope, files, certificate, key, name="nginx", env=None):
    server = NginxTls(scope, name, certificate, key, f"root {files};", before=LOAD, env=env)
    return server.program, server.port


class Fault(Exception):
    """A watched program behaved otherwise than an unwatched one."""


class Rounds:
    """A client that is started for each round: its exit code and all of its output. `keep`: of the output only lines that
    begin so, where the rest are times."""

    def __init__(self, argv, given=b"", keep=None):
        self.argv, self.given, self.keep = argv, given, keep

    def next(self):
        begun = subprocess.Popen(LOAD + self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 preexec_fn=die_with_parent)
        try:
            output, errors = begun.communicate(self.given, timeout=HANGS_SECONDS)
        except subprocess.TimeoutExpired:
            begun.kill()
            raise Fault(f"{self.argv[0]} hangs") from None
        time.sleep(0.3)
        if self.keep:
            output = b"\n".join(line for line in output.splitlines() if line.startswith(self.keep))
        return f"exit {begun.returncode}, {len(output)} bytes {hashlib.sha256(output).hexdigest()}, errors {errors[-500:]!r}"

    def close(self):
        pass


class Stream:
    """A client that goes on for ever and says a line per round."""

    def __init__(self, argv):
        self.begun = subprocess.Popen(LOAD + argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0,
                                      preexec_fn=die_with_parent)

    def next(self):
        line = b""
        while not line.endswith(b"\n"):
            if not select.select([self.begun.stdout], [], [], HANGS_SECONDS)[0]:
                raise Fault(f"{self.begun.args[0]} hangs")
            more = self.begun.stdout.read(65536)
            if not more:
                raise Fault(f"{self.begun.args[0]} ended with {self.begun.wait()}: {line.decode()}")
            line += more
        # A slow reader finds several rounds at once.
        lines = set(line.decode().splitlines())
        return lines.pop() if len(lines) == 1 else f"rounds differ: {sorted(lines)}"

    def close(self):
        self.begun.kill()
        self.begun.wait()


class Load(threading.Thread):
    """Rounds of one client, each compared with the first, which nobody watched."""

    def __init__(self, name, client):
        super().__init__(daemon=True, name=name)
        self.client, self.rounds, self.fault, self.ends = client, 0, None, threading.Event()
        self.unwatched = client.next()
        if client.next() != self.unwatched:
            raise AssertionError(f"{name}: two unwatched rounds differ: {self.unwatched}")
        # Each file once as it came and once as an echo.
        if isinstance(client, Stream) and not self.unwatched.startswith(f"{2 * sum(SIZES)} "):
            raise AssertionError(f"{name}: not all is received: {self.unwatched}")

    def run(self):
        try:
            while not self.ends.is_set():
                said = self.client.next()
                if said != self.unwatched:
                    raise Fault(f"differs from unwatched\n    watched   {said}\n    unwatched {self.unwatched}")
                self.rounds += 1
        except (Fault, OSError) as fault:
            if not self.ends.is_set():
                self.fault = str(fault)

    def stop(self):
        self.ends.set()
        self.join(HANGS_SECONDS + 10)
        self.client.close()
        return not self.is_alive()


class Runtimes:
    """All servers and all loads. `servers`: name and program of what must live on."""

    def __init__(self, scope, go, certificate, key, seed):
        self.scope, self.files, self.go = scope, scope.path("files"), go
        self.certificate, self.key, self.servers = certificate, key, {}
        make_files(self.files, seed)
        self.nginx = start_nginx(scope, self.files, certificate, key)
        self.servers["nginx"] = self.nginx[0]
        ports = {name: self.serve(name, argv) for name, argv in self.own_servers().items()}
        self.loads = [Load(name, client) for name, client in self.clients(ports).items()]

    def own_servers(self):
        last = ["PORT", self.certificate, self.key, self.files]
        return {
            "go": [self.go, "serve", "127.0.0.1:PORT", *last[1:]],
            "node": ["node", f"{PROGRAMS}/harm.js", "serve", *last],
            "asyncio": [sys.executable, f"{PROGRAMS}/harm.py", "serve", *last],
            "redis": ["redis-server", "--port", "0", "--tls-port", "PORT", "--bind", "127.0.0.1", "--tls-cert-file", self.certificate,
                      "--tls-key-file", self.key, "--tls-auth-clients", "no", "--tls-ca-cert-file", self.certificate,
                      "--save", "", "--dir", self.scope.folder],
        }

    def serve(self, name, argv):
        port = free_port()
        self.servers[name] = self.scope.start(name, LOAD + [part.replace("PORT", str(port)) for part in argv])
        await_true(lambda: listens("127.0.0.1", port), f"{name} to listen")
        return port

    def clients(self, ports):
        web = f"https://127.0.0.1:{self.nginx[1]}"
        urls = [f"{web}/{size}" for size in SIZES] * 3
        commands = b"".join(b"SET key%d %b\nGET key%d\nINCRBY n 0\nSTRLEN key%d\n" % (i, b"v" * (i * 97), i, i) for i in range(200))
        ab = (b"Document Length", b"Complete", b"Failed", b"Non-2xx", b"HTML transferred", b"Total transferred")
        go = [self.go, "ask", f"https://127.0.0.1:{ports['go']}", self.files, "0"]
        return {
            "nginx and curl": Rounds(["curl", "-sSk", *urls]),
            "nginx and ab": Rounds(["ab", "-q", "-k", "-n", "100", "-c", "3", f"{web}/4096"], keep=ab),
            "GnuTLS (wget)": Rounds(["wget", "-nv", "-o", "/dev/null", "--no-check-certificate", "-O", "-", *urls]),
            "Go": Stream(go),
            "Node.js": Stream(["node", f"{PROGRAMS}/harm.js", "ask", f"https://127.0.0.1:{ports['node']}", self.files, "0"]),
            "asyncio": Stream([sys.executable, f"{PROGRAMS}/harm.py", "ask", str(ports["asyncio"]), self.files, "0"]),
            "Redis": Rounds(["redis-cli", "-p", str(ports["redis"]), "--tls", "--insecure"], given=commands),
        }
