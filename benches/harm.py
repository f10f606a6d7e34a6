"""Whether watching harms anybody, by the test itself, at its full length."""

import os
import re
import subprocess

from agent import BenchError

RUN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tests", "harm", "run")


def measure(binary):
    cycles, starts = (os.environ.get(f"LIMPID_BENCH_{name}", "1000") for name in ("CYCLES", "STARTS"))
    done = subprocess.run([RUN, binary, "--cycles", cycles, "--starts", starts], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise BenchError(done.stdout[-2000:])
    for part, said in re.findall(r"^(\w+): passed: (.*)$", done.stdout, re.M):
        if part == "cycles":
            yield "cycles of the agent under load of all TLS runtimes", said, "no difference, crash or hang", "tests/harm"
        if part == "starts":
            goal = "" if "of its own" in said else f"{starts} of {starts}"
            yield f"first requests of new processes, {said.split(':')[0]}", said.split(": ")[-1], goal, "tests/harm"
