"""HTTP: requests seen are requests sent, at both ends, whatever the client is written in and however it connects."""

import re
import sys
import unittest

from harness import Case, Limpid, run
from servers import Nginx, compile_c, compile_go

PYTHON_CLIENT = """
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
done = 0
for number in range(int(sys.argv[2])):
    connection.request("GET", "/file", headers={"X-Number": str(number)})
    done += len(connection.getresponse().read()) == 20000
print(done)
"""


class CountsHttp(Case):
    @classmethod
    def prepare(cls):
        cls.older = Nginx(cls.scope, "http-older")
        cls.limpid = Limpid(cls.scope)
        # Started after the agent, its name is known from its environment and it listens on both families at once.
        cls.dual = Nginx(cls.scope, "http-dual", ["[::]:{port} ipv6only=off"])
        cls.c = compile_c(cls.scope, "http_client")
        cls.go = compile_go(cls.scope, "http_client")

    def ab(self, service, path, count, *flags, port=None):
        url = f"http://127.0.0.1:{port or self.dual.port}{path}"
        out = run(["ab", "-q", "-n", str(count), "-c", "8", *flags, url], service=service).stdout
        done = int(re.search(r"Complete requests:\s+(\d+)", out)[1])
        self.assertEqual(done, count)
        self.assertRegex(out, r"Failed requests:\s+0")
        return done

    def check(self, client, want, server="http-dual", **labels):
        self.same(self.limpid, want, service=client, peer=server, side="client", protocol="http", **labels)
        self.same(self.limpid, want, service=server, peer=client, side="server", protocol="http", **labels)
        # Nothing else was seen between the two.
        self.same(self.limpid, want, service=client)

    def test_ab_keep_alive(self):
        done = self.ab("ab-keep", "/ok", 20_000, "-k")
        self.check("ab-keep", done, operation="GET", resource="/ok", code="200", status="ok")

    def test_ab_a_connection_each(self):
        done = self.ab("ab-new", "/ok", 3_000)
        self.check("ab-new", done, operation="GET", resource="/ok", code="200", status="ok")

    def test_ab_head(self):
        done = self.ab("ab-head", "/file", 2_000, "-i", "-k")
        self.check("ab-head", done, operation="HEAD", resource="/file", code="200", status="ok")

    def test_status_500(self):
        done = self.ab("ab-500", "/fail", 500, "-k")
        self.check("ab-500", done, code="500", status="error")

    def test_status_404(self):
        done = self.ab("ab-404", "/nowhere", 500, "-k")
        # Answered as it should be: the code is a label, only 5xx are errors of the edge.
        self.check("ab-404", done, code="404", status="ok")

    def test_every_call_in_c(self):
        for call in ("write", "send", "sendmsg", "writev"):
            with self.subTest(call):
                name = f"c-{call}"
                done = int(run([self.c, "::1", str(self.dual.port), call, "500"], service=name).stdout)
                self.assertEqual(done, 500)
                self.check(name, done, code="200")

    def test_connections_of_a_millisecond(self):
        for host in ("127.0.0.1", "::1"):
            with self.subTest(host):
                name = f"c-short-{'6' if ':' in host else '4'}"
                done = int(run([self.c, host, str(self.dual.port), "short", "2000"], service=name).stdout)
                self.assertEqual(done, 2000)
                self.check(name, done, code="200")

    def test_pipeline(self):
        done = int(run([self.c, "127.0.0.1", str(self.dual.port), "pipeline", "5000"], service="c-pipeline").stdout)
        self.assertEqual(done, 5000)
        self.check("c-pipeline", done, code="200")

    def test_unix_socket(self):
        unix = Nginx(self.scope, "http-unix", ["unix:{socket}"])
        for mode in ("writev", "short"):
            name = f"c-unix-{mode}"
            done = int(run([self.c, unix.socket, "0", mode, "500"], service=name).stdout)
            self.assertEqual(done, 500)
            self.check(name, done, server="http-unix", code="200")

    def test_go(self):
        done = int(run([self.go, f"http://127.0.0.1:{self.dual.port}/ok", "4000"], service="go-client").stdout)
        self.assertEqual(done, 4000)
        self.check("go-client", done, operation="POST")

    def test_python(self):
        script = [sys.executable, "-c", PYTHON_CLIENT, str(self.dual.port), "2000"]
        done = int(run(script, service="python-client").stdout)
        self.assertEqual(done, 2000)
        self.check("python-client", done, resource="/file", code="200")

    def test_server_older_than_the_agent(self):
        """Its environment was overwritten by its own title long ago: the executable names it."""
        done = self.ab("ab-older", "/ok", 2_000, "-k", port=self.older.port)
        self.same(self.limpid, done, service="ab-older", side="client", code="200")
        self.same(self.limpid, done, peer="ab-older", side="server", code="200")

    def test_nothing_was_lost(self):
        lost = self.limpid.losses()
        self.assertEqual({cause for cause in lost if cause in ("ring_full", "socket_storage", "connections_capped")}, set())
