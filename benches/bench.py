"""The bench: each figure is a row of FIGURES, measured with real programs, and printed in one table.

    bench.py BINARY [NAME…]

A row that cannot be measured says why, and the end of the bench is then an error; a goal that is missed is shown and is
no error. What disturbs a measurement on a small machine is other work on it: ratios come from interleaved pairs.
"""

import os
import signal
import sys
import time

import cost
import engine
import harm
import map as console_map
import memory
import overhead
import seen
import soak
import tls
from agent import BenchError

# Name, what it measures. Each function yields rows of (figure, measured, goal, how).
FIGURES = [
    ("seen", seen.measure),
    ("cost", cost.measure),
    ("redis", overhead.redis),
    ("nginx", overhead.nginx),
    ("files", overhead.files),
    ("tls", tls.measure),
    ("memory", memory.measure),
    ("soak", soak.measure),
    ("harm", harm.measure),
    ("parsers", engine.parsers),
    ("spans", engine.spans),
    ("store", engine.store),
    ("map", console_map.measure),
]


def main():
    if len(sys.argv) < 2:
        sys.exit("bench: usage: benches/run BINARY [NAME…]")
    binary, wanted = os.path.abspath(sys.argv[1]), sys.argv[2:]
    names = [name for name, _ in FIGURES]
    unknown = [name for name in wanted if name not in names]
    if unknown:
        sys.exit(f"bench: unknown figure {unknown[0]!r}; there are: {' '.join(names)}")
    if not os.access(binary, os.X_OK):
        sys.exit(f"bench: {binary} is no program; ./x build makes it")
    # Ended from outside, it stops the servers and the agent that it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    rows, failed = [], []
    for name, figure in FIGURES:
        if wanted and name not in wanted:
            continue
        began = time.monotonic()
        try:
            for row in figure(binary):
                rows.append(row)
                print(f"   {row[0]}: {row[1]}", file=sys.stderr, flush=True)
        except BenchError as error:
            failed.append(name)
            rows.append((name, f"not measured: {error}", "", ""))
            print(f"   {name}: {error}", file=sys.stderr, flush=True)
        print(f"== {name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    print_table([("figure", "measured", "goal", "how"), *rows])
    if failed:
        sys.exit(f"bench: not measured: {' '.join(failed)}")


def print_table(rows):
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for number, row in enumerate(rows):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |")
        if number == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")


main()
