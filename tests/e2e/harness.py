"""What all tests share: programs that end with the test, free ports, waiting with a deadline, and Limpid itself.

Nothing here knows how Limpid works: it is started as a user starts it and asked over its public addresses. Everything
that was started is ended when its scope closes, also after a failure, a Ctrl-C or a SIGTERM; if the tests themselves are
killed, the kernel ends the programs (PR_SET_PDEATHSIG).
"""

import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

# Taken out of the environment: names that begin so are options of the program itself.
SETTINGS = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("LIMPID_")}
if "LIMPID_E2E_FRONT_END" in SETTINGS:
    os.environ["LIMPID_FRONT_END"] = SETTINGS["LIMPID_E2E_FRONT_END"]
BINARY = os.path.abspath(SETTINGS["LIMPID_BINARY"])
CACHE = SETTINGS.get("LIMPID_CACHE", os.path.expanduser("~/.cache/limpid"))
HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(os.path.dirname(HERE))
os.environ["PATH"] += ":/usr/sbin:/sbin:/usr/local/go/bin"
LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1
# Everything is given this long; a loaded machine may need all of it.
DEADLINE_SECONDS = 40
OPENED = []


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port(host="127.0.0.1"):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


def await_true(condition, what, seconds=DEADLINE_SECONDS, every=0.05):
    """Polls until `condition()` is true, and returns what it returned."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain for {what}")
        time.sleep(every)


def listens(host, port):
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
        return True
    return False


def run(argv, check=True, service=None, **options):
    """A program that ends by itself; its output is in the answer and, when it fails, in the error."""
    environment = dict(options.pop("env", os.environ))
    if service:
        environment["OTEL_SERVICE_NAME"] = service
    options.setdefault("timeout", 120)
    done = subprocess.run(argv, env=environment, text=True, capture_output=True, preexec_fn=die_with_parent, **options)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, argv))} ended with {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done


def small_disk(scope, size):
    """A disk of its own that is soon full; where it is."""
    disk = scope.path("disk")
    os.mkdir(disk)
    run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", disk])
    scope.finally_do(lambda: run(["umount", "-l", disk], check=False))
    return disk


def fill(disk):
    """Until nothing more fits; removing `filler` makes room again."""
    filler = os.open(f"{disk}/filler", os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(filler, b"x" * 4096)
    except OSError:
        pass
    finally:
        os.close(filler)


def fetch(url, token=None, timeout=20):
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    # No proxy of the environment stands between the test and the machine.
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=timeout) as response:
        return response.read().decode()


class Program:
    """One running program, its output in a file."""

    def __init__(self, scope, name, argv, service=None, env=None, cwd=None):
        self.name, self.log = name, os.path.join(scope.folder, f"{name}-{len(scope.programs)}.log")
        environment = dict(env or os.environ)
        if service:
            environment["OTEL_SERVICE_NAME"] = service
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=cwd,
                start_new_session=True, preexec_fn=die_with_parent,
            )
        scope.programs.append(self)

    @property
    def pid(self):
        return self.process.pid

    def output(self):
        with open(self.log, errors="replace") as log:
            return log.read()

    def signal_group(self, number):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def stop(self, seconds=15):
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(seconds)
        # What it has left behind in its group, and itself when it did not hear.
        self.signal_group(signal.SIGKILL)
        return self.process.wait(10)

    def wait(self, seconds=60):
        return self.process.wait(seconds)


class Scope:
    """A folder and the programs that live in it."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="limpid-e2e.")
        os.chmod(self.folder, 0o755)
        self.programs, self.limpids, self.endings = [], [], []
        OPENED.append(self)

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def start(self, name, argv, **options):
        return Program(self, name, argv, **options)

    def finally_do(self, ending):
        self.endings.append(ending)

    def close(self):
        if self not in OPENED:
            return
        OPENED.remove(self)
        for program in reversed(self.programs):
            program.stop()
        for ending in reversed(self.endings):
            ending()
        shutil.rmtree(self.folder, ignore_errors=True)

    def say(self, limit=8):
        """The last words of everything, for somebody who looks for a cause."""
        for program in self.programs:
            lines = program.output().splitlines()[-limit:]
            state = program.process.poll()
            print(f"  --- {program.name} ({'runs' if state is None else f'ended with {state}'})")
            print("\n".join(f"      {line[:300]}" for line in lines))
        for limpid in self.limpids:
            print("  --- status")
            for line in limpid.short_status():
                print(f"      {line[:2000]}")


def close_everything():
    for scope in list(OPENED):
        scope.close()


SERIES = re.compile(r'^(\w+)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
REQUESTS = "limpid_request_duration_seconds_count"


def matches(have, labels):
    """Whether a series has these labels; a value that begins with ~ is a pattern."""
    equal = lambda name, value: re.fullmatch(value[1:], have.get(name, "")) if value.startswith("~") else have.get(name, "") == value
    return all(equal(name, value) for name, value in labels.items())


class Limpid:
    """`limpid up`, `limpid agent` or `limpid server` as a user starts it."""

    def __init__(self, scope, role="up", *flags, prefix=(), agent_address=None, wait=True):
        self.scope, self.role = scope, role
        self.url = self.agent_url = self.token = None
        self.data = scope.path(f"data-{len(scope.limpids)}")
        given = set(flags[::2])
        arguments = list(flags)
        if role in ("up", "server"):
            arguments += self.server_flags(role, given, flags)
        if role in ("up", "agent"):
            address = agent_address or f"127.0.0.1:{free_port()}"
            self.agent_url = f"http://{address}"
            arguments += ["--agent-listen", address]
            if role == "agent" and "--spool" not in given:
                # Its own: what one test leaves behind is not another's.
                arguments += ["--spool", scope.path(f"spool-{len(scope.limpids)}")]
            for flag, value in (("--interval-seconds", "1"), ("--sample", "all")):
                arguments += [] if flag in given else [flag, value]
        self.argv = [*prefix, BINARY, role, *arguments]
        scope.limpids.append(self)
        self.start(wait)

    def server_flags(self, role, given, flags):
        listen = flags[flags.index("--listen") + 1] if "--listen" in given else f"127.0.0.1:{free_port()}"
        self.url = f"http://{listen}"
        arguments = [] if "--listen" in given else ["--listen", listen]
        place = "--data" if role == "up" else "--store"
        if place in given:
            self.data = flags[flags.index(place) + 1]
        else:
            arguments += [place, self.data]
        for flag in ("--otlp-listen", "--otlp-http-listen"):
            arguments += [] if flag in given else [flag, "off"]
        return arguments

    def start(self, wait=True):
        self.program = self.scope.start(f"limpid-{self.role}", self.argv)
        if wait:
            # The kernel verifies the programs meanwhile, which a busy machine makes long.
            await_true(self.is_ready, f"limpid {self.role} to be ready", seconds=90)

    def is_ready(self):
        if self.program.process.poll() is not None:
            raise AssertionError(f"limpid {self.role} ended with {self.program.process.returncode}: {self.program.output()[-1000:]}")
        urls = [url for url in (self.url, self.agent_url) if url]
        return all(self.answers(f"{url}/-/ready") for url in urls)

    def answers(self, url):
        try:
            fetch(url, self.token, timeout=5)
            return True
        except (OSError, urllib.error.URLError):
            return False

    def children(self):
        """Role and pid of what the supervisor has started."""
        found = {}
        with open(f"/proc/{self.program.pid}/task/{self.program.pid}/children") as children:
            for pid in children.read().split():
                with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as line:
                    arguments = line.read().split(b"\0")
                    # Between fork and exec it is not yet what it will be.
                    if len(arguments) > 1 and arguments[1] in (b"agent", b"server"):
                        found[arguments[1].decode()] = int(pid)
        return found

    def api(self, path, **parameters):
        query = f"?{urllib.parse.urlencode(parameters)}" if parameters else ""
        return json.loads(fetch(f"{self.url}{path}{query}", self.token))

    def promql(self, expression):
        """`{labels: value}` of an instant query."""
        answer = self.api("/api/v1/query", query=expression)
        return {tuple(sorted(one["metric"].items())): float(one["value"][1]) for one in answer["data"]["result"]}

    def series(self, name):
        """All series of one name at the agent's own endpoint."""
        found = []
        for line in fetch(f"{self.agent_url}/metrics").splitlines():
            match = SERIES.match(line)
            if match and match[1] == name:
                found.append((dict(LABEL.findall(match[2] or "")), float(match[3])))
        return found

    def count(self, **labels):
        """Requests in the agent's metrics with these labels."""
        return int(sum(value for have, value in self.series(REQUESTS) if matches(have, labels)))

    def stored(self, **labels):
        """The same, asked of the server."""
        operator = lambda value: ("=~", value[1:]) if value.startswith("~") else ("=", value)
        selector = ",".join(f"{name}{operator(value)[0]}{json.dumps(operator(value)[1])}" for name, value in labels.items())
        return int(sum(self.promql(f"sum({REQUESTS}{{{selector}}})").values()))

    def losses(self):
        return {labels["cause"]: int(value) for labels, value in self.series("limpid_losses_total") if value}

    def short_status(self):
        if self.agent_url:
            try:
                yield f"agent's losses: {self.losses()}"
            except Exception as error:
                yield f"agent: {error}"
        if self.url:
            try:
                status = self.api("/api/status")
                for agent in status.get("agents", []):
                    # Told above; the programs of collectors only when one does not run.
                    agent.pop("losses", None)
                    for collector in agent.get("collectors", []):
                        collector["programs"] = [one for one in collector["programs"] if one["state"] == "failed"]
                yield json.dumps(status)
            except Exception as error:
                yield f"server: {error}"


class Case(unittest.TestCase):
    """A test case with one scope, closed after its last test."""

    @classmethod
    def setUpClass(cls):
        cls.scope = Scope()
        cls.addClassCleanup(cls.scope.close)
        cls.prepare()

    @classmethod
    def prepare(cls):
        pass

    def own_scope(self):
        scope = Scope()
        self.addCleanup(scope.close)
        return scope

    def same(self, limpid, want, **labels):
        """The agent's metrics and the server's reach exactly `want` requests and stay there."""
        self.reaches(limpid.count, want, f"the agent's metrics {labels}", labels)
        if limpid.url:
            self.reaches(limpid.stored, want, f"the server's PromQL {labels}", labels)

    def reaches(self, ask, want, what, labels):
        with contextlib.suppress(AssertionError):
            await_true(lambda: ask(**labels) >= want, what, seconds=15, every=0.2)
        # Too many is as wrong as too few, and cannot be waited for.
        time.sleep(0.3)
        seen = ask(**labels)
        self.assertEqual(seen, want, f"{what}: requests seen and requests sent differ. {self.nearby(labels)}")

    def nearby(self, labels):
        """What the agent has counted for these services under other labels: where the missing ones may be."""
        wanted = set(list(labels[name] for name in ("service", "peer") if name in labels)[-1:])
        shown = ("service", "peer", "protocol", "operation", "resource", "code", "status", "side")
        near = [" ".join([f"{value:.0f}", *(f"{name}={have.get(name)}"[:90] for name in shown)])
                for limpid in self.scope.limpids if limpid.agent_url and limpid.program.process.poll() is None
                for have, value in limpid.series(REQUESTS)
                if wanted & {have.get("service"), have.get("peer")}]
        return "Counted nearby:\n    " + "\n    ".join(sorted(near)[:12])

    def both_sides(self, limpid, want, client, server, **labels):
        self.same(limpid, want, service=client, side="client", **labels)
        self.same(limpid, want, service=server, side="server", **labels)
