"""Encrypted requests: how many of them are seen, and what that costs those who encrypt. Probes run in the watched programs
themselves, so what a program uses is measured with the agent and without it, in turns; the agent's own time is added."""

import os
import re
import resource
import shutil
import statistics
import subprocess
import time

import loads
import ports
from agent import TICKS, Agent, BenchError
from overhead import PAIRS, SETTLE_SECONDS
from programs import Server

E2E = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "e2e")
CLIENTS = 20
STEADY_RATE = 5_000
SECONDS = max(int(os.environ.get("LIMPID_BENCH_SECONDS", "30")) // 5, 2)
NGINX = """
worker_processes 1; daemon off; pid {folder}/pid; env OTEL_SERVICE_NAME; events {{ worker_connections 4096; }}
http {{
    access_log off; keepalive_requests 1000000000; ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
    client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3; uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
    server {{ listen 127.0.0.1:{port} ssl http2; location / {{ return 200 "fine\\n"; }} }}
}}
"""


class Shop(Server):
    """HTTPS of one runtime."""

    port = ports.TLS

    def __init__(self, runtime):
        self.runtime, self.service = runtime, f"bench-tls-{runtime}"

    def command(self):
        cert, key = (os.path.join(self.folder, name) for name in ("cert.pem", "key.pem"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-keyout", key, "-out", cert], check=True, capture_output=True)
        return getattr(self, self.runtime)(cert, key)

    def nginx(self, _cert, _key):
        config = os.path.join(self.folder, "nginx.conf")
        with open(config, "w") as file:
            file.write(NGINX.format(folder=self.folder, port=self.port))
        return ["nginx", "-p", self.folder, "-c", config, "-e", os.path.join(self.folder, "error.log")]

    def node(self, cert, key):
        return ["node", f"{E2E}/programs/tls_shop.js", "serve", str(self.port), cert, key]

    def go(self, cert, key):
        program = os.path.join(self.folder, "shop")
        go = shutil.which("go", path=os.environ["PATH"] + ":/usr/local/go/bin")
        built = subprocess.run([go, "build", "-o", program, f"{E2E}/programs/tls_shop.go"], capture_output=True, text=True,
                               env=os.environ | {"GO111MODULE": "off", "CGO_ENABLED": "0"})
        if built.returncode:
            raise BenchError(f"the Go server cannot be built: {built.stderr.strip()[-200:]}")
        return [program, "serve", str(self.port), cert, key]

    def cpu_seconds(self):
        """Of its process and the children of that, such as workers."""
        total, waiting = 0, [self.process.pid]
        while waiting:
            pid = waiting.pop()
            with open(f"/proc/{pid}/task/{pid}/children") as children:
                waiting += [int(child) for child in children.read().split()]
            with open(f"/proc/{pid}/stat") as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICKS


def h2load(requests, *options):
    """Requests, all of which were answered, and the seconds that they took; h2load ends when all are."""
    requests = requests // CLIENTS * CLIENTS
    output, _ = loads.run(["h2load", "-n", str(requests), "-c", str(CLIENTS), *options, f"https://127.0.0.1:{ports.TLS}/bench"])
    match = re.search(r"finished in ([\d.]+)(ms|s|m).*?(\d+) succeeded", output, re.S)
    if not match or int(match[3]) != requests:
        raise BenchError(f"h2load failed: {output.strip()[-200:]}")
    return requests, float(match[1]) * {"ms": 0.001, "s": 1, "m": 60}[match[2]]


# What serves, what it is called, and the options of the load generator.
HTTP1, HTTP2 = ["--h1"], ["-m", "10"]
LOADS = [("nginx", "nginx, HTTP/1.1", HTTP1), ("nginx", "nginx, HTTP/2, 10 streams", HTTP2), ("go", "Go, HTTP/1.1", HTTP1), ("node", "Node.js, HTTP/1.1", HTTP1)]


def measure(binary):
    for runtime, what, options in LOADS:
        with Agent(binary) as agent, Shop(runtime) as shop:
            requests = int(rate_of(options) * SECONDS)
            yield seen(agent, shop, f"{what}, at {STEADY_RATE:,}/s", "100 %", STEADY_RATE * SECONDS, [*options, "--rps", str(STEADY_RATE // CLIENTS)])
            yield seen(agent, shop, f"{what}, at saturation", "≥ 99.9 %, the rest counted", requests, options)
        with Shop(runtime) as shop:
            yield from overhead(binary, shop, what, options, requests)


def rate_of(options):
    requests, seconds = h2load(4_000, *options)
    return requests / seconds


def seen(agent, shop, what, goal, requests, options):
    both = lambda: [agent.settled_requests(service, side, ["GET"]) for service, side in ((loads.CLIENT, "client"), (shop.service, "server"))]
    before, lost = both(), agent.losses()
    sent, seconds = h2load(requests, *options)
    client, server = (after - was for after, was in zip(both(), before))
    lost = {cause: count - lost.get(cause, 0) for cause, count in agent.losses().items()}
    lost = "".join(f"; {count} {cause}" for cause, count in lost.items() if count)
    measured = f"client {100 * client / sent:.2f} % ({client - sent:+d}), server {100 * server / sent:.2f} % ({server - sent:+d}) of {sent}{lost}"
    return (f"seen / sent over TLS: {what}", measured, goal, f"{sent / seconds:,.0f}/s; h2load's own count")


def overhead(binary, shop, what, options, requests):
    rates, costs, agents = [], [], []
    for number in range(PAIRS):
        found = {}
        for watched in [True, False] if number % 2 else [False, True]:
            found[watched] = one(binary if watched else "", shop, options, requests)
        (rate, used, agent), (alone, used_alone, _) = found[True], found[False]
        rates.append(rate / alone)
        costs.append((used - used_alone + agent) / 2 * 1e6)
        agents.append(agent / 2 * 1e6)
    spread = lambda values: f"{statistics.median(values):.3f} [{min(values):.3f}, {max(values):.3f}]"
    how = f"{PAIRS} interleaved pairs"
    yield (f"{what} over TLS, with / without", spread(rates), "≥ 0.92", f"{how}; {alone:,.0f}/s without in the last")
    yield (f"CPU per request and side, TLS: {what}", f"{statistics.median(costs):.2f} µs [{min(costs):.2f}, {max(costs):.2f}]", "≤ 3 µs",
           f"{how}; client and server use so much more, and {statistics.median(agents):.2f} of it is the agent's own")


def one(binary, shop, options, requests):
    """Requests a second; seconds of CPU for a request, of client and server together and of the agent."""
    if not binary:
        return (*loaded(shop, options, requests), 0)
    with Agent(binary) as agent:
        time.sleep(SETTLE_SECONDS)
        before = agent.cpu_seconds()
        rate, used = loaded(shop, options, requests)
        return rate, used, (agent.cpu_seconds() - before) / requests


def loaded(shop, options, requests):
    def used():
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return shop.cpu_seconds() + children.ru_utime + children.ru_stime

    before = used()
    requests, seconds = h2load(requests, *options)
    return requests / seconds, (used() - before) / requests
