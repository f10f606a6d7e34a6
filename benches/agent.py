"""The agent under measurement (alone, or with a server), and what it says of itself."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import ports

AGENT_PORT = ports.AGENT
SERVER_PORT = ports.SERVER
OTLP_PORT = ports.OTLP
TICKS = os.sysconf("SC_CLK_TCK")
SAMPLE = re.compile(r'^limpid_request_duration_seconds_count\{(.*)\} (\S+)$')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class BenchError(Exception):
    """Why a figure could not be measured."""


def fetch(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return answer.read().decode()


def wait_until(ready, what, seconds=20):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if ready():
                return
        except (OSError, urllib.error.URLError):
            pass
        time.sleep(0.05)
    raise BenchError(f"{what} is not ready after {seconds} s")


def programs_of(status):
    return [program for collector in status["collectors"] for program in collector["programs"]]


def kernel_seconds_of(status):
    """Run time of its programs; counted while kernel.bpf_stats_enabled is 1."""
    return sum(program["run_time_ns"] for program in programs_of(status)) / 1e9


def program_runs_of(status):
    return sum(program["run_count"] for program in programs_of(status))


def losses_of(status):
    return {loss["cause"]: loss["count"] for loss in status["losses"]}


class Agent:
    """`limpid agent`, or with `server` the whole of `limpid up`, with `more` options. An agent without a server makes no
    spans, so one that shall make some has a server of its own besides, whose cost is not the agent's."""

    def __init__(self, binary, sample="auto", server=False, more=()):
        self.folder = tempfile.mkdtemp(prefix="limpid-bench.")
        os.chmod(self.folder, 0o755)
        self.log_path = os.path.join(self.folder, "log")
        self.apart = None
        flags = ["--agent-listen", f"127.0.0.1:{AGENT_PORT}", "--sample", sample]
        if server:
            flags += ["--listen", f"127.0.0.1:{SERVER_PORT}", "--otlp-listen", "off", "--data", os.path.join(self.folder, "data")]
            flags += ["--otlp-http-listen", f"127.0.0.1:{OTLP_PORT}", *more]
        elif sample != "none":
            self.apart = self.start(binary, "server", "--listen", f"127.0.0.1:{SERVER_PORT}", "--otlp-listen",
                                    f"127.0.0.1:{OTLP_PORT}", "--otlp-http-listen", "off", "--store", os.path.join(self.folder, "store"))
            flags += ["--server", f"http://127.0.0.1:{OTLP_PORT}", "--spool-size", "off"]
        self.process = self.start(binary, "up" if server else "agent", *flags)

    def start(self, *command):
        # Only what is given here configures it: the bench's own variables begin with LIMPID_ too.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LIMPID_")}
        with open(self.log_path, "a") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment)

    def __enter__(self):
        try:
            wait_until(self.is_ready, "the agent")
        except BenchError as error:
            self.stop()
            raise error
        return self

    def __exit__(self, *_):
        self.stop()

    def is_ready(self):
        if self.process.poll() is not None:
            with open(self.log_path) as log:
                raise BenchError(f"the agent ended: {log.read().strip()[-300:]}")
        return fetch(AGENT_PORT, "/-/ready") is not None

    def stop(self):
        for process in filter(None, [self.process, self.apart]):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(15)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def pids(self):
        """The agent (or the supervisor) and its children."""
        found, waiting = [], [self.process.pid]
        while waiting:
            pid = waiting.pop()
            found.append(pid)
            with open(f"/proc/{pid}/task/{pid}/children") as children:
                waiting += [int(child) for child in children.read().split()]
        return found

    def cpu_seconds(self):
        """User and system time of all its processes."""
        total = 0
        for pid in self.pids():
            with open(f"/proc/{pid}/stat") as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICKS

    def pss_mib(self):
        """Of the agent's process: the one that has the metrics' port."""
        return json.loads(fetch(AGENT_PORT, "/status"))["memory_bytes"] / 2**20

    def status(self):
        return json.loads(fetch(AGENT_PORT, "/status"))

    def losses(self):
        return losses_of(self.status())

    def requests(self, service, side, operations=None, status=None):
        """How many requests the metrics have counted for a service on one side: all, or those of a status."""
        total = 0
        for line in fetch(AGENT_PORT, "/metrics").splitlines():
            match = SAMPLE.match(line)
            if not match:
                continue
            labels = dict(LABEL.findall(match[1]))
            if labels["service"] != service or labels["side"] != side:
                continue
            if status is not None and labels["status"] != status:
                continue
            if operations is None or labels["operation"] in operations:
                total += int(float(match[2]))
        return total

    def settled_requests(self, service, side, operations=None):
        """The same, once no more come in: halves of an exchange may wait for a second or two in the kernel."""
        last, since = -1, time.monotonic()
        while time.monotonic() - since < 3:
            now = self.requests(service, side, operations)
            if now != last:
                last, since = now, time.monotonic()
            time.sleep(0.25)
        return last


class KernelStatistics:
    """Run times of BPF programs are counted inside of this. Each run costs some 45 ns more then, which are in them."""

    PATH = "/proc/sys/kernel/bpf_stats_enabled"

    def __enter__(self):
        with open(self.PATH) as setting:
            self.before = setting.read()
        self.write("1")

    def __exit__(self, *_):
        self.write(self.before)

    def write(self, value):
        with open(self.PATH, "w") as setting:
            setting.write(value)
