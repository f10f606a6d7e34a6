"""The load generators. Each returns (requests made by its own count, seconds). `share` below 1 lets a load run only that
share of the time, in slices of 20 ms: none of these programs can hold a rate with pipelines, so they are stopped and
continued, and what they do in a slice is as fast as at saturation."""

import os
import re
import signal
import subprocess
import tempfile
import time

from agent import BenchError
from programs import NGINX_PORT, POSTGRES_PORT, REDIS_PORT, environment

CLIENT = "bench-client"
SLICE_SECONDS = 0.02
PIPELINE = """
init = function(args)
  local requests = {{}}
  for i = 1, {depth} do requests[i] = wrk.format("GET", "/small.txt") end
  all = table.concat(requests)
end
request = function() return all end
"""
PG_STATEMENTS = 10
# The generators that run now: who ends before them ends them.
RUNNING = set()


def run(command, share=1.0, limit_seconds=180):
    """Runs the command; the text that it printed, and how long it took."""
    began = time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment(CLIENT), text=True
    )
    RUNNING.add(process)
    try:
        if share < 1.0:
            pace(process, share, began + limit_seconds)
        output, _ = process.communicate(timeout=limit_seconds)
    except subprocess.TimeoutExpired:
        raise BenchError(f"{command[0]} does not end within {limit_seconds} s") from None
    finally:
        RUNNING.discard(process)
        if process.poll() is None:
            process.kill()
            process.wait()
    if process.returncode != 0:
        raise BenchError(f"{command[0]} ended with {process.returncode}: {output.strip()[-200:]}")
    return output, time.monotonic() - began


def pace(process, share, until):
    while process.poll() is None and time.monotonic() < until:
        time.sleep(SLICE_SECONDS * share)
        process.send_signal(signal.SIGSTOP)
        time.sleep(SLICE_SECONDS * (1 - share))
        process.send_signal(signal.SIGCONT)


def wrk(seconds, share=1.0, depth=1, connections=50):
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", f"http://127.0.0.1:{NGINX_PORT}/small.txt"]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        if depth > 1:
            script.write(PIPELINE.format(depth=depth))
            script.flush()
            command[4:4] = ["-s", script.name]
        output, _ = run(command, share)
    match = re.search(r"(\d+) requests in ([\d.]+)(m?s|m)", output)
    if not match or "Non-2xx" in output:
        raise BenchError(f"wrk failed: {output.strip()[-200:]}")
    unit = {"s": 1, "ms": 0.001, "m": 60}[match[3]]
    return int(match[1]), float(match[2]) * unit


def redis(requests, share=1.0, pipeline=1, value_bytes=3, command="get"):
    arguments = ["redis-benchmark", "-h", "127.0.0.1", "-p", str(REDIS_PORT), "-t", command, "-c", "50", "--csv"]
    arguments += ["-n", str(requests), "-P", str(pipeline), "-d", str(value_bytes)]
    output, seconds = run(arguments, share)
    match = re.search(r'^"\w+","([\d.]+)"', output, re.M)
    if not match:
        raise BenchError(f"redis-benchmark failed: {output.strip()[-200:]}")
    # Its own rate leaves out its start.
    return requests, requests / float(match[1]) if share == 1.0 else seconds


def fill_redis(value_bytes):
    """The key that redis-benchmark reads."""
    key = "key:__rand_int__"
    subprocess.run(
        ["redis-cli", "-p", str(REDIS_PORT), "set", key, "x" * value_bytes], check=True, capture_output=True, timeout=10
    )


def pgbench(transactions, share=1.0, clients=8):
    """A transaction is a pipeline of PG_STATEMENTS statements."""
    lines = ["\\set n random(1, 1000)", "\\startpipeline", *["SELECT :n + 1 AS result;"] * PG_STATEMENTS, "\\endpipeline"]
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write("\n".join(lines) + "\n")
        script.flush()
        os.chmod(script.name, 0o644)
        command = ["pgbench", "-h", "127.0.0.1", "-p", str(POSTGRES_PORT), "-U", "postgres", "-n", "-M", "extended"]
        command += ["-c", str(clients), "-t", str(transactions // clients), "-f", script.name, "postgres"]
        output, seconds = run(command, share)
    match = re.search(r"actually processed: (\d+)/(\d+)", output)
    if not match or match[1] != match[2]:
        raise BenchError(f"pgbench failed: {output.strip()[-200:]}")
    return int(match[1]) * PG_STATEMENTS, seconds
