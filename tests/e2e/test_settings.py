"""Switches and exclusions, and that they can be changed while everything runs."""

import json
import os
import signal
import sys

from harness import BINARY, Case, HERE, Limpid, await_true, fetch, run
from servers import Nginx, Redis
from test_kill import programs_in_kernel


class Settings(Case):
    @classmethod
    def prepare(cls):
        cls.nginx, cls.other = Nginx(cls.scope, "set-nginx"), Nginx(cls.scope, "set-other")
        cls.redis = Redis(cls.scope, "set-redis")
        cls.config = cls.scope.path("limpid.yaml")
        cls.write(f"protocol_redis: off\nexclude:\n  - port:{cls.other.port}\n")
        cls.limpid = Limpid(cls.scope, "up", "--config", cls.config)
        for name, nginx in (("set-asker", cls.nginx), ("set-left", cls.other)):
            cls.scope.start(name, [sys.executable, f"{HERE}/programs/keep_asking.py", str(nginx.port), "0.01"], service=name)
        cls.scope.start("set-getter", [sys.executable, f"{HERE}/programs/ask_redis.py", str(cls.redis.port)], service="set-getter")
        await_true(lambda: cls.limpid.stored(service="set-asker") > 100, "requests in the store")

    @classmethod
    def write(cls, text):
        with open(cls.config, "w") as file:
            file.write(text)

    def reload(self, text, line):
        self.write(text)
        before = self.limpid.program.output().count(line)
        os.kill(self.limpid.program.pid, signal.SIGHUP)
        await_true(lambda: self.limpid.program.output().count(line) > before, f"the line {line!r}")

    def agent_status(self):
        return json.loads(fetch(f"{self.limpid.agent_url}/status"))

    def bytes_of(self, **labels):
        found = self.limpid.series("limpid_connection_io_bytes_total")
        return sum(value for have, value in found if all(have.get(name) == value for name, value in labels.items()))

    def test_1_what_is_off_is_counted_and_not_read(self):
        self.assertEqual(self.limpid.count(service="set-getter"), 0)
        former = await_true(lambda: self.bytes_of(service="set-getter", protocol="tcp"), "bytes of the connection")
        await_true(lambda: self.bytes_of(service="set-getter", protocol="tcp") > former + 1000, "more of them")
        states = {one["name"]: one["state"] for one in self.agent_status()["protocols"]}
        self.assertEqual((states["redis"], states["http"]), ("off", "on"))
        told = {one["name"]: one["read"] for one in json.loads(run([BINARY, "check", "--json", "--config", self.config]).stdout)["protocols"]}
        self.assertEqual((told["redis"], told["http"]), (False, True))

    def test_2_what_is_excluded_leaves_no_trace(self):
        rules = {one["rule"]: one["matched"] for one in self.agent_status()["exclusions"]}
        self.assertGreater(rules[f"port:{self.other.port}"], 0)
        for service in ("set-left", "set-other"):
            self.assertEqual(self.limpid.count(service=service) + self.limpid.count(peer=service), 0)
            self.assertEqual(self.bytes_of(service=service), 0)
            self.assertEqual(self.limpid.api("/api/traces", service=service)["traces"], [])

    def test_3_a_mistake_leaves_everything_as_it_is(self):
        children = self.limpid.children()
        self.reload("protocol_redis: perhaps\n", "the settings stay as they were: `protocol_redis` in ")
        self.reload("exclude: nginx\n", "the settings stay as they were: `exclude` in ")
        self.assertEqual(self.limpid.count(service="set-getter"), 0)
        self.assertEqual(self.limpid.children(), children)

    def test_4_changes_hold_for_open_connections(self):
        agent = self.limpid.children()["agent"]
        held = programs_in_kernel([agent])
        former = self.limpid.count(service="set-asker")
        self.reload("ring_bytes: 1MiB\nexclude: [path:/nowhere/*]\n", "`ring_bytes` has changed, which needs a restart")
        await_true(lambda: self.limpid.count(service="set-getter", protocol="redis", operation="GET") > 100, "the old connection to be read")
        await_true(lambda: self.limpid.count(service="set-left", resource="/ok") > 100, "the excluded connection to be read")
        self.assertGreater(self.limpid.count(service="set-asker"), former)
        self.reload("exclude: path:*/python3*\n", "agent: settings were read again")
        await_true(lambda: self.agent_status()["exclusions"][0]["matched"] >= 3, "the rule to hold")
        await_true(lambda: self.stands_still(service="set-asker"), "requests of the excluded program to end")
        self.assertTrue(self.stands_still(peer="set-asker"))
        self.assertEqual((self.limpid.children()["agent"], programs_in_kernel([agent])), (agent, held))

    def stands_still(self, **labels):
        counted = lambda: self.limpid.count(**labels)
        before = counted()
        run(["curl", "-s", *[f"http://127.0.0.1:{self.nginx.port}/ok"] * 200])
        return counted() == before

    def test_5_the_server_reads_its_part(self):
        server = self.limpid.children()["server"]
        self.reload("retention_days: 3\nsync: off\n", "server: settings were read again: `retention_days`")
        await_true(lambda: "server: `sync` has changed, which needs a restart" in self.limpid.program.output(), "its line")
        self.assertEqual(self.limpid.children()["server"], server)
        self.assertTrue(self.limpid.is_ready())
