"""Throughput with the agent and without it: interleaved pairs, the median of their ratios, and the spread."""

import os
import statistics
import subprocess
import tempfile
import time

import loads
from agent import Agent, BenchError
from programs import Nginx, Redis

PAIRS = int(os.environ.get("LIMPID_BENCH_PAIRS", "9"))
SECONDS = int(os.environ.get("LIMPID_BENCH_SECONDS", "30")) / 7.5
# With another binary here, it is what runs in place of "without": two versions are compared.
AGAINST = os.environ.get("LIMPID_BENCH_AGAINST", "")
SETTLE_SECONDS = 2
SAMPLE = os.environ.get("LIMPID_BENCH_SAMPLE", "auto")

FILES = """
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(void)
{
    char byte = 0;
    struct timespec began, ended;
    int zero = open("/dev/zero", O_RDONLY), null = open("/dev/null", O_WRONLY);
    if (zero < 0 || null < 0)
        return 1;
    clock_gettime(CLOCK_MONOTONIC, &began);
    for (int i = 0; i < 1000000; i++)
        if (read(zero, &byte, 1) != 1 || write(null, &byte, 1) != 1)
            return 1;
    clock_gettime(CLOCK_MONOTONIC, &ended);
    printf("%.9f\\n", (ended.tv_sec - began.tv_sec) + (ended.tv_nsec - began.tv_nsec) / 1e9);
    return 0;
}
"""


def pairs(binary, rate):
    """Ratios of `rate()` with the agent to that without it."""
    ratios, withouts = [], []
    for number in range(PAIRS):
        # Who comes first alternates: a machine that warms up or cools down favours neither.
        rates = {}
        for watched in [True, False] if number % 2 else [False, True]:
            rates[watched] = watched_rate(binary if watched else AGAINST, rate)
        ratios.append(rates[True] / rates[False])
        withouts.append(rates[False])
    return ratios, statistics.median(withouts)


def watched_rate(binary, rate):
    if not binary:
        return rate()
    with Agent(binary, SAMPLE):
        # It looks through the machine's processes when it starts: that is not what watching costs.
        time.sleep(SETTLE_SECONDS)
        return rate()


def row(what, goal, ratios, how):
    measured = f"{statistics.median(ratios):.3f} [{min(ratios):.3f}, {max(ratios):.3f}]"
    return (what, measured, goal, f"{len(ratios)} interleaved pairs; {how}")


def redis(binary):
    with Redis():
        loads.fill_redis(3)
        requests, took = loads.redis(100_000)
        count = int(requests / took * SECONDS)

        def rate():
            requests, seconds = loads.redis(count)
            return requests / seconds

        ratios, without = pairs(binary, rate)
    yield row("Redis GET, 50 connections, with / without", "≥ 0.90", ratios, f"{without:,.0f}/s without")


def nginx(binary):
    with Nginx():
        loads.wrk(1)

        def rate():
            requests, seconds = loads.wrk(max(int(SECONDS), 1))
            return requests / seconds

        ratios, without = pairs(binary, rate)
    yield row("nginx, small file, keep-alive, with / without", "≥ 0.93", ratios, f"{without:,.0f}/s without")


def files(binary):
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "files")
        built = subprocess.run(["cc", "-O2", "-x", "c", "-", "-o", program], input=FILES, text=True, capture_output=True)
        if built.returncode != 0:
            raise BenchError(f"the program of the measurement cannot be built: {built.stderr.strip()[-200:]}")

        def rate():
            output = subprocess.run([program], capture_output=True, text=True, check=True, timeout=60).stdout
            return 2_000_000 / float(output)

        ratios, without = pairs(binary, rate)
    yield row("2 million reads and writes of files, with / without", "1 within the spread", ratios, f"{1e9 / without:.0f} ns a call without")
