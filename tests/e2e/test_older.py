"""Sockets and processes that are older than the agent: seen from the agent's first moment on."""

import sys

from harness import Case, HERE, Limpid, await_true
from servers import Nginx


class Older(Case):
    def test_connection_older_than_the_agent(self):
        nginx = Nginx(self.scope, "older-nginx")
        argv = [sys.executable, f"{HERE}/programs/keep_asking.py", str(nginx.port), "0.01"]
        asker = self.scope.start("asker", argv, service="older-asker")
        await_true(lambda: established(nginx.port), "a connection")
        former = established(nginx.port)
        limpid = Limpid(self.scope)
        # Its title is written over nginx's environment; Python's is whole.
        labels = {"peer": "older-asker", "protocol": "http", "resource": "/ok", "code": "200", "side": "server"}
        seen = await_true(lambda: limpid.count(**labels) >= 100 and limpid.count(**labels), "requests of the old connection")
        self.assertEqual(established(nginx.port), former, "it was to stay the same connection")
        asker.process.terminate()
        asker.wait()
        asked, wrong, _ = map(int, asker.output().split())
        self.assertEqual(wrong, 0)
        self.assertLessEqual(seen, asked)
        client = lambda: limpid.count(service="older-asker", resource="/ok", side="client")
        server = lambda: limpid.count(**labels)
        await_true(lambda: client() == server() > 0, "both views to agree", seconds=10)
        self.assertLessEqual(server(), asked)


def established(port):
    """Client ports of connections to this one, from /proc/net/tcp."""
    found = set()
    with open("/proc/net/tcp") as table:
        for line in table.readlines()[1:]:
            local, remote, state = line.split()[1:4]
            if state == "01" and remote.endswith(f":{port:04X}"):
                found.add(local)
    return found
