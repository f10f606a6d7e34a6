"""A server that is away: what was seen meanwhile waits on disk, also beyond the agent's death, and comes back whole."""

import json
import os
import re
import signal
import sys
import time

from harness import Case, HERE, Limpid, REQUESTS, await_true, fetch, free_port, run
from servers import Nginx

LOAD_SECONDS = 8


class Spool(Case):
    def agent(self, scope, *flags):
        self.otlp = f"127.0.0.1:{free_port()}"
        return Limpid(scope, "agent", "--server", f"http://{self.otlp}", *flags)

    def load(self, scope, port, seconds=LOAD_SECONDS):
        """About 250 requests a second over one connection; how many there were."""
        asker = scope.start("asker", [sys.executable, f"{HERE}/programs/keep_asking.py", str(port), "0.002"], service="spool-asker")
        time.sleep(seconds)
        asker.process.terminate()
        asker.wait()
        asked, wrong, _ = map(int, asker.output().split())
        self.assertEqual(wrong, 0)
        return asked

    def spool(self, agent):
        return json.loads(fetch(f"{agent.agent_url}/status"))["export"]["spool"]

    def all_written(self, agent, want):
        """The agent has counted all of them, and has made batches of it: those of a second after the last request."""
        labels = {"service": "spool-asker", "side": "client", "resource": "/ok"}
        await_true(lambda: agent.count(**labels) >= want, "the agent to count all requests")
        self.assertEqual(agent.count(**labels), want)
        time.sleep(3)
        self.assertGreater(self.spool(agent)["batches"], 0)

    def test_nothing_is_missing_and_nothing_doubled(self):
        scope = self.own_scope()
        nginx, agent = Nginx(scope, "spool-nginx"), self.agent(scope)
        first = self.load(scope, nginx.port)
        self.all_written(agent, first)
        os.kill(agent.program.pid, signal.SIGKILL)
        agent.program.wait()
        killed = time.time()
        # As a write that the death has cut short.
        newest = max(name for name in os.listdir(scope.path("spool-0")) if name.endswith(".spool"))
        with open(scope.path("spool-0", newest), "ab") as file:
            file.write(b"lmp1\0\1\0\0\xff\xff")
        agent.start()
        self.assertEqual(agent.losses().get("spool_torn"), 1)
        second = self.load(scope, nginx.port)
        self.all_written(agent, second)
        server = Limpid(scope, "server", "--otlp-listen", self.otlp)
        await_true(lambda: self.spool(agent)["batches"] == 0, "the spool to be empty")
        self.assertEqual([name for name in os.listdir(scope.path("spool-0")) if name.endswith(".spool")], [])
        for side, service in (("client", "spool-asker"), ("server", "spool-nginx")):
            self.metrics(server, side, service, killed, [first, second])
        self.spans(server, first + second)
        lost = agent.losses()
        for cause in ("export_failed", "spool_full", "spool_damaged", "spans_queue_full"):
            self.assertEqual(lost.get(cause, 0), 0, cause)

    def metrics(self, server, side, service, killed, want):
        """Both lives of the agent end at their counts; no part of the outage is missing, and nothing is there twice."""
        # nginx writes its title over its environment: an agent that starts later knows it by its executable.
        peer = {"client": {"service": service}, "server": {"peer": "spool-asker"}}[side]
        labels = ",".join(f'{name}="{value}"' for name, value in {**peer, "side": side, "resource": "/ok"}.items())
        answer = server.api("/api/v1/query", query=f"{REQUESTS}{{{labels}}}[10m]")
        # A process that has lived for some seconds is an instance of its own: one series ends, another begins.
        series = [[(float(at), float(value)) for at, value in one["values"]] for one in answer["data"]["result"]]
        for samples in series:
            self.assertEqual(len({at for at, _ in samples}), len(samples), "a sample is there twice")
        for is_life, count in ((lambda at: at < killed, want[0]), (lambda at: at > killed, want[1])):
            life = [[(at, value) for at, value in samples if is_life(at)] for samples in series]
            self.assertEqual(sum(samples[-1][1] for samples in life if samples), count, side)
            times = sorted({at for samples in life for at, _ in samples})
            self.assertGreater(len(times), LOAD_SECONDS / 2)
            gaps = [later - earlier for earlier, later in zip(times, times[1:])]
            self.assertLess(max(gaps), LOAD_SECONDS, f"{side}: samples of the outage are missing")

    def spans(self, server, want):
        seen, now = {}, time.time()
        for start in range(int(now) - 180, int(now) + 1):
            found = server.api("/api/traces", service="spool-asker", start=start, end=start + 1, limit=1000)["traces"]
            seen.update({trace["trace_id"]: trace["spans"] for trace in found})
        self.assertEqual(len(seen), want)
        self.assertEqual(set(seen.values()), {2}, "both sides of each, once")

    def test_a_full_disk_costs_nothing_but_the_spool(self):
        scope = self.own_scope()
        folder = scope.path("small")
        os.mkdir(folder)
        run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", folder])
        scope.finally_do(lambda: run(["umount", folder]))
        nginx, agent = Nginx(scope, "full-nginx"), self.agent(scope, "--spool", folder)
        asked = self.load(scope, nginx.port)
        await_true(lambda: self.spool(agent)["write_errors"] > 0, "the disk to be full")
        self.assertRegex(self.spool(agent)["last_error"], re.compile("no space", re.I))
        server = Limpid(scope, "server", "--otlp-listen", self.otlp)
        await_true(lambda: self.spool(agent)["batches"] == 0, "the spool to be empty")
        self.same_in_store(server, asked)
        self.spans(server, asked)
        self.assertEqual(agent.losses().get("export_failed", 0), 0)

    def same_in_store(self, server, want):
        labels = {"service": "spool-asker", "side": "client", "resource": "/ok"}
        await_true(lambda: server.stored(**labels) >= want, "the requests in the store")
        self.assertEqual(server.stored(**labels), want)

    def test_the_bound_drops_the_oldest(self):
        scope = self.own_scope()
        nginx, agent = Nginx(scope, "bound-nginx"), self.agent(scope, "--spool-size", "1MiB")
        asked = self.load(scope, nginx.port, LOAD_SECONDS * 2)
        await_true(lambda: agent.losses().get("spool_full", 0) > 0, "the bound to be reached")
        self.assertLessEqual(self.spool(agent)["bytes"], 1 << 20)
        server = Limpid(scope, "server", "--otlp-listen", self.otlp)
        await_true(lambda: self.spool(agent)["batches"] == 0, "the spool to be empty")
        # What counts is cumulative: the newest has it all.
        self.same_in_store(server, asked)

