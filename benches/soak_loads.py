"""The load of the soak: a mix of protocols at fixed rates, about 20 times the small demo's, and churn of processes. Beside it
a day of a made-up cluster, told by OTLP in the time that the soak takes."""

import os
import re
import subprocess
import tempfile
import threading
import time
import urllib.error
from concurrent.futures import ThreadPoolExecutor

import loads
import ports
import steady
import topology
from agent import BenchError

DAY_SECONDS = 86_400
SERVICES, CALLS = 100, 200
SHORT_LIVED_RATE = 100
ASIDE_SECONDS = 60


def paced(kind, port, rate, seconds):
    output, _ = loads.run(["python3", "-B", os.path.join(steady.HERE, "paced.py"), kind, str(port), str(rate), str(seconds)],
                          limit_seconds=seconds + ASIDE_SECONDS)
    return int(output.split()[-1])


def pgbench(rate, seconds):
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write("\\set n random(1, 1000)\nSELECT :n + 1 AS result;\n")
        script.flush()
        command = ["pgbench", "-h", "127.0.0.1", "-p", str(ports.POSTGRES), "-U", "postgres", "-n", "-c", "4", "-R", str(rate)]
        output, _ = loads.run([*command, "-T", str(seconds), "-f", script.name, "postgres"], limit_seconds=seconds + ASIDE_SECONDS)
    return int(steady.found(r"actually processed: (\d+)", output, "pgbench"))


def short_lived(rate, seconds):
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "short_lived")
        subprocess.run(["cc", "-O2", "-o", program, os.path.join(steady.HERE, "short_lived.c")], check=True, timeout=60)
        output, _ = loads.run([program, str(ports.NGINX), str(rate), str(seconds)], limit_seconds=seconds + ASIDE_SECONDS)
    return int(re.search(r"started (\d+)", output)[1])


def steadily(load):
    """The same with its count alone, and as long as it takes."""
    return lambda rate, seconds: load(rate, seconds, limit_seconds=seconds + ASIDE_SECONDS)[0]


# What, questions a second, the load.
MIX = [
    ("HTTP", 800, lambda rate, seconds: paced("http", ports.NGINX, rate, seconds)),
    ("Redis", 800, lambda rate, seconds: paced("redis", ports.REDIS, rate, seconds)),
    ("PostgreSQL", 800, pgbench),
    ("MySQL", 800, steadily(steady.sysbench)),
    ("DNS", 400, steadily(steady.dnsperf)),
    ("DNS, a socket each", 400, steadily(steady.ask_dns)),
    ("short-lived processes", SHORT_LIVED_RATE, short_lived),
]


class Mix:
    """Runs for so long from `with` on; `counts` waits for its end."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.pool = ThreadPoolExecutor(len(MIX) + 1)
        self.over = threading.Event()

    def __enter__(self):
        self.running = {what: self.pool.submit(load, rate, self.seconds) for what, rate, load in MIX}
        self.day = self.pool.submit(self.tell_of_a_day)
        return self

    def __exit__(self, *_):
        self.over.set()
        for process in list(loads.RUNNING):
            process.kill()
        self.pool.shutdown(wait=True)

    def tell_of_a_day(self):
        """Minute after minute of the day that ends now, each as soon as it would be over if the day took this long."""
        cluster = topology.Cluster(SERVICES, CALLS)
        began, pace = time.monotonic(), self.seconds / DAY_SECONDS
        first = int(time.time()) // 60 * 60 - DAY_SECONDS
        for second in range(60, DAY_SECONDS + 1, 60):
            if self.over.wait(max(0, began + second * pace - time.monotonic())):
                break
            try:
                cluster.post(ports.OTLP, cluster.points_of(first, [first + second]))
            except urllib.error.URLError as error:
                raise BenchError(f"the server took no metrics: {error}") from error

    def check(self):
        """A part that has failed fails the whole."""
        for running in [*self.running.values(), self.day]:
            if running.done():
                running.result()

    def counts(self):
        self.day.result()
        return {what: running.result() for what, running in self.running.items()}
