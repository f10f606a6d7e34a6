"""Redis: commands seen are commands that Redis itself says it has run, in pipelines and over a Unix socket too."""

import unittest

from harness import Case, Limpid, run
from servers import Redis


class CountsRedis(Case):
    @classmethod
    def prepare(cls):
        cls.limpid = Limpid(cls.scope)
        cls.redis = Redis(cls.scope, "redis-shop")

    def check(self, client, want, **labels):
        labels |= {"protocol": "redis"}
        self.same(self.limpid, want, service=client, peer="redis-shop", side="client", **labels)
        self.same(self.limpid, want, service="redis-shop", peer=client, side="server", **labels)

    def benchmark(self, client, count, *flags, address=None):
        """Both commands of the benchmark, compared with what Redis has counted."""
        before = {command: self.redis.calls(command) for command in ("set", "get")}
        address = address or ["-p", str(self.redis.port)]
        run(["redis-benchmark", "-q", *address, "-n", str(count), "-c", "10", "-t", "set,get", *flags], service=client)
        for command in ("set", "get"):
            ran = self.redis.calls(command) - before[command]
            self.assertGreaterEqual(ran, count)
            self.check(client, ran, operation=command.upper(), status="ok")

    def test_one_by_one(self):
        self.benchmark("bench-plain", 10_000)

    def test_pipeline_of_16(self):
        self.benchmark("bench-16", 40_000, "-P", "16")

    def test_pipeline_of_100_with_a_kilobyte(self):
        self.benchmark("bench-100", 40_000, "-P", "100", "-d", "1024")

    def test_unix_socket(self):
        self.benchmark("bench-unix", 10_000, address=["-s", self.redis.socket])

    def test_unix_socket_in_pipelines(self):
        self.benchmark("bench-unix-16", 40_000, "-P", "16", address=["-s", self.redis.socket])

    def test_error_reply(self):
        self.redis.cli("set", "word", "text")
        for _ in range(20):
            self.redis.cli("lpush", "word", "x", service="cli-wrong")
        self.check("cli-wrong", 20, operation="LPUSH", code="WRONGTYPE", status="error")

    def test_connections_of_a_millisecond(self):
        flags = ["-k", "0", "-t", "get", "-n", "2000", "-c", "4"]
        before = self.redis.calls("get")
        run(["redis-benchmark", "-q", "-p", str(self.redis.port), *flags], service="bench-short")
        self.check("bench-short", self.redis.calls("get") - before, operation="GET", status="ok")

    def test_nothing_was_lost(self):
        lost = self.limpid.losses()
        self.assertEqual({cause for cause in lost if cause in ("ring_full", "socket_storage", "connections_capped")}, set())
