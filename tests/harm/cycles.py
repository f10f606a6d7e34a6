"""The agent starts, attaches and ends, again and again, while all runtimes work: nobody may notice, and nothing may remain."""

import contextlib
import os
import random
import re
import signal
import statistics
import time

from harness import BINARY, await_true
from kernel import code_of, has_breakpoints, has_probes, ids_held_by, ids_in_kernel, orphans, pids
from loads import Fault

PROBES = re.compile(r"\w+ [\d.]* ?in (\S+)(?: \(deleted\))?: (\d+) probes")
# What ends the agent: once all is attached, and in the middle of attaching.
ENDS = ["SIGTERM when attached", "SIGTERM in the middle", "SIGKILL in the middle"]


class Agent:
    def __init__(self, scope, number, *flags):
        argv = [BINARY, "agent", "--agent-listen", "off", "--spool", scope.path("spool"), "--log", "info", *flags]
        self.program, self.began = scope.start(f"agent-{number}", argv), time.monotonic()

    def files(self):
        """Files that have probes, as far as the log says."""
        return {match[1] for match in PROBES.finditer(self.program.output()) if match[2] != "0"}

    def await_line(self, words):
        while words not in self.program.output():
            self.still_attaches()

    def still_attaches(self):
        if self.program.process.poll() is not None or time.monotonic() > self.began + 60:
            raise Fault(f"the agent does not attach to all: {self.program.output()[-1000:]}")
        time.sleep(0.003)

    def end(self, number, may_be_early=False):
        """By this signal; how it ended is checked, and that it said nothing of errors."""
        with contextlib.suppress(ProcessLookupError):
            self.program.process.send_signal(number)
        code = self.program.process.wait(60)
        # Before it listens to signals, SIGTERM ends it as it ends any program.
        allowed = {signal.SIGTERM: {0, -signal.SIGTERM} if may_be_early else {0}, signal.SIGKILL: {-signal.SIGKILL}}[number]
        if code not in allowed:
            raise Fault(f"the agent ended with {code}: {self.program.output()[-1000:]}")
        if said := re.search(r"panicked.*|^error.*|had failed.*", self.program.output(), re.M):
            raise Fault(f"the agent said: {said[0]}")

    def forget(self, scope):
        scope.programs.remove(self.program)
        os.remove(self.program.log)


class Cycles:
    def __init__(self, scope, runtimes, count, seconds, seed):
        self.scope, self.runtimes, self.count, self.chosen = scope, runtimes, count, random.Random(seed)
        self.seconds = seconds
        self.expected = ["libssl.so", "libgnutls.so", runtimes.go, "/node"]
        # How many seconds after the sockets are watched the last file had its probes, as far as cycles have shown.
        self.attaching, self.in_the_middle = [0.1], 0
        self.number, self.before, self.others = 0, ids_in_kernel(), []
        self.pids = {name: self.pids_of(program) for name, program in runtimes.servers.items()}
        self.logs = self.log_sizes()
        self.code = self.code_of_servers()

    def pids_of(self, program):
        with open(f"/proc/{program.pid}/task/{program.pid}/children") as children:
            return [program.pid, *map(int, children.read().split())]

    def log_sizes(self):
        logs = {name: program.log for name, program in self.runtimes.servers.items() if name != "redis"}
        logs["nginx's errors"] = f"{self.scope.folder}/nginx/error.log"
        return {name: os.path.getsize(path) for name, path in logs.items()}

    def code_of_servers(self):
        return {pid: code_of(pid) for pids in self.pids.values() for pid in pids}

    def run(self):
        for load in self.runtimes.loads:
            load.start()
        began = time.monotonic()
        while self.number < self.count and time.monotonic() < began + self.seconds:
            self.cycle(ENDS[self.number % len(ENDS)])
            self.nobody_noticed()
            self.number += 1
        took = time.monotonic() - began
        for load in self.runtimes.loads:
            if not load.stop():
                raise Fault(f"{load.name} hangs")
        self.nobody_noticed()
        self.nothing_remains()
        return took

    def cycle(self, end):
        agent = Agent(self.scope, self.number)
        if end == ENDS[0]:
            self.await_attached(agent)
            held = ids_held_by(agent.program.pid)
            if self.number == 0:
                self.probes_are_there()
            time.sleep(self.chosen.uniform(0, 0.3))
            agent.end(signal.SIGTERM)
            await_true(lambda: not held & ids_in_kernel(), "what the agent held to be gone from the kernel")
        else:
            # One in four even before: while it loads its programs.
            if self.chosen.random() < 0.75:
                agent.await_line("sockets are watched")
            time.sleep(self.chosen.uniform(0, statistics.median(self.attaching[-20:])))
            agent.end(signal.SIGKILL if end == ENDS[2] else signal.SIGTERM, may_be_early=True)
            # The log tells of a file once its probes hang.
            self.in_the_middle += 0 < len(self.found(agent)) < len(self.expected)
        agent.forget(self.scope)

    def found(self, agent):
        files = agent.files()
        return [name for name in self.expected if any(name in file for file in files)]

    def await_attached(self, agent):
        agent.await_line("sockets are watched")
        began = time.monotonic()
        while len(self.found(agent)) < len(self.expected):
            agent.still_attaches()
        self.attaching.append(time.monotonic() - began)

    def probes_are_there(self):
        """Without probes there would be nothing to prove, and the look at the code is shown to see them."""
        without = set(self.pids) - self.with_breakpoints(self.code_of_servers())
        if without:
            raise AssertionError(f"no probe is to be seen in the code of {' '.join(without)}")

    def with_breakpoints(self, code):
        return {name for name, pids in self.pids.items() if all(has_breakpoints(code[pid]) for pid in pids)}

    def nobody_noticed(self):
        for load in self.runtimes.loads:
            if load.fault:
                raise Fault(f"{load.name}: {load.fault}")
        for name, program in self.runtimes.servers.items():
            if program.process.poll() is not None:
                raise Fault(f"{name}: the server ended with {program.process.returncode}: {program.output()[-500:]}")
            if self.pids_of(program) != self.pids[name]:
                raise Fault(f"{name}: processes were {self.pids[name]}, now {self.pids_of(program)}")
        now = self.log_sizes()
        if now != self.logs:
            raise Fault(f"servers have written into their logs: {[name for name in now if now[name] != self.logs[name]]}")

    def nothing_remains(self):
        await_true(lambda: not orphans(self.before), "programs and links that nobody holds to be gone from the kernel")
        now = self.code_of_servers()
        changed = [name for name, pids in self.pids.items() for pid in pids if now[pid] != self.code[pid]]
        # Where another agent runs, breakpoints may be its own, and may have come or gone with it.
        self.others = [pid for pid in pids() if has_probes(pid)]
        if changed and not self.others and not self.with_breakpoints(self.code):
            raise Fault(f"the code in memory is not what it was: {' '.join(changed)}")

    def summary(self, took):
        rounds = ", ".join(f"{load.name} {load.rounds}" for load in self.runtimes.loads)
        others = self.others or self.with_breakpoints(self.code)
        code = "beside other agents the code in memory says nothing" if others else "code in memory as before"
        return (f"{self.number} cycles in {took:.0f} s, {self.in_the_middle} of them ended while some files had probes and others not yet; "
                f"no difference, crash or hang in rounds: {rounds}; nothing in the kernel; {code}")
