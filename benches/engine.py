"""What needs no kernel: the parsers and the store, each by the example of its crate, on one core."""

import os
import re
import subprocess

from agent import BenchError

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")


def example(crate, name, *arguments):
    command = ["cargo", "run", "--release", "--quiet", "-p", crate, "--example", name, "--", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1800)
    if done.returncode != 0:
        raise BenchError(f"{name} failed: {done.stderr.strip()[-300:]}")
    return done.stdout


def parsers(_binary):
    lines = [line.rsplit(None, 2) for line in example("limpid-protocols", "throughput", "2").splitlines()[1:]]
    for name, rate, gigabytes in lines:
        what = "parser: " + " ".join(name.split())
        if "body" in name:
            yield (what + " in 1 KiB pieces", f"{float(gigabytes):.2f} GB/s", "≥ 1 GB/s", "one core")
        else:
            yield (what, f"{int(rate) / 1e6:.2f} million/s", "≥ 2 million/s", "one core")


def spans(_binary):
    output = example("limpid-store", "ingest_spans", "2000000")
    rate = re.search(r"(\d+) spans/s of one core", output)
    size = re.search(r"([\d.]+) B/span in all: ids ([\d.]+)", output)
    if not rate or not size:
        raise BenchError(f"ingest_spans said something else: {output[:200]!r}")
    yield ("spans into the store", f"{int(rate[1]):,}/s of one core", "≥ 300,000/s", "CPU time until all are in files")
    rest = float(size[1]) - float(size[2])
    yield ("bytes of a stored span without its ids", f"{rest:.1f} B", "≤ 25 B", f"ids {size[2]} B more")


def store(_binary):
    for line in example("limpid-query", "store_work").splitlines():
        yield tuple(line.split("\t"))
