"""CPU of one request on one side: the kernel's programs by the kernel's own statistics (some 45 ns a run are theirs),
and all of the agent's (and the server's) processes, user and system time, over the requests that they counted."""

import os
import time

import loads
import steady
from agent import Agent, KernelStatistics, kernel_seconds_of, losses_of, program_runs_of
from programs import Nginx, Redis

SECONDS = int(os.environ.get("LIMPID_BENCH_SECONDS", "30")) // 3 or 1
ROUNDS = int(os.environ.get("LIMPID_BENCH_PAIRS", "9")) // 3 or 1
# What was captured is worked off, and spans are sent and stored, after the load has ended.
WORK_OFF_SECONDS = 1
STEADY_RATE = 20_000


def measure(binary):
    with KernelStatistics():
        for sample, what in [("none", "metrics only"), ("auto", "spans sampled")]:
            with Agent(binary, sample) as agent:
                for name, load, goal in LOADS:
                    rounds = [one(agent, load, 1.0) for _ in range(ROUNDS)]
                    yield row(f"CPU per request and side, {what}: {name}", goal, rounds)
        for name, load, _ in LOADS:
            with Agent(binary, "all", server=True) as agent:
                yield row(f"the same, every span sent and stored, with the server: {name}", "≤ 5 µs", [one(agent, load, 0.15)])


def row(what, goal, rounds):
    rounds.sort(key=lambda found: found["total"])
    middle = rounds[len(rounds) // 2]
    spread = f" [{rounds[0]['total']:.2f}, {rounds[-1]['total']:.2f}]" if len(rounds) > 1 else ""
    how = f"kernel {middle['kernel']:.2f} in {middle['runs']:.1f} runs + user space {middle['user']:.2f}; {middle['rate']:,.0f}/s"
    return (what, f"{middle['total']:.2f} µs{spread}{middle['lost']}", goal, how)


def nginx_load(share):
    with Nginx() as server:
        loads.wrk(1)
        yield server.service, ["GET"]
        loads.wrk(max(SECONDS, 3), share)
        yield


def redis_load(share):
    with Redis() as server:
        loads.fill_redis(3)
        requests, took = loads.redis(50_000)
        yield server.service, ["GET"]
        loads.redis(int(requests / took * SECONDS * share), share)
        yield


def steady_load(server, operation, load):
    """A load that holds a rate: of a smaller share the rate is smaller."""

    def steps(share):
        with server() as running:
            load(STEADY_RATE, 1)
            yield running.service, [operation]
            load(int(STEADY_RATE * share), max(SECONDS, 3))
            yield

    return steps


LOADS = [
    ("nginx, small file, keep-alive", nginx_load, "≤ 0.8 µs"),
    ("Redis GET", redis_load, "≤ 0.8 µs"),
    ("MySQL SELECT at 20,000/s", steady_load(steady.MariaDb, "SELECT", steady.sysbench), "≤ 1.0 µs"),
    ("DNS at 20,000/s, one socket", steady_load(steady.Bind, "A", steady.dnsperf), "≤ 1.0 µs"),
    ("DNS at 20,000/s, each from a new socket", steady_load(steady.Bind, "A", steady.ask_dns), "≤ 1.0 µs"),
]


def requests(agent, service, operations):
    client = agent.settled_requests(loads.CLIENT, "client", operations)
    return client + agent.settled_requests(service, "server", operations)


def figures(status):
    return kernel_seconds_of(status), program_runs_of(status), losses_of(status)


def one(agent, load, share):
    steps = load(share)
    service, operations = next(steps)
    # To ask for the metrics costs too: it is done before the first and after the last look at the times.
    counted = requests(agent, service, operations)
    # To ask for the status costs as well.
    before, cpu_before = figures(agent.status()), agent.cpu_seconds()
    began = time.monotonic()
    next(steps)
    took = time.monotonic() - began
    time.sleep(WORK_OFF_SECONDS)
    cpu_after, after = agent.cpu_seconds(), figures(agent.status())
    sides = max(requests(agent, service, operations) - counted, 1)
    steps.close()
    kernel, user = (after[0] - before[0]) / sides * 1e6, (cpu_after - cpu_before) / sides * 1e6
    lost = {cause: count - before[2].get(cause, 0) for cause, count in after[2].items()}
    lost = ", ".join(f"{count} {cause}" for cause, count in lost.items() if count and cause in REPORTED)
    return {
        "kernel": kernel,
        "user": user,
        "total": kernel + user,
        "runs": (after[1] - before[1]) / sides,
        "rate": sides / 2 / took,
        "lost": f"; {lost}" if lost else "",
    }


REPORTED = ["ring_full", "span_queue_full", "export_failed", "times_lost", "spans_dropped"]
