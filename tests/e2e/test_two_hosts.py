"""Two network namespaces: NAT between a client and its server, and agent and server as on two hosts."""

import os
import re
import signal
import urllib.error

from harness import Case, Limpid, await_true, fetch, run
from servers import Nginx

# Addresses from the range for documentation, so that no route of the machine is in the way.
CLIENT, ROUTER_A, SERVER, ROUTER_B = "192.0.2.2", "192.0.2.1", "198.51.100.2", "198.51.100.1"


class Namespaces:
    """client -- router -- server; the router rewrites both addresses of what goes through."""

    def __init__(self, scope):
        self.names = [f"limpid-{os.getpid()}-{role}" for role in ("client", "router", "server")]
        self.client, self.router, self.server = self.names
        scope.finally_do(self.close)
        for name in self.names:
            run(["ip", "netns", "add", name])
            self.inside(name, "ip", "link", "set", "lo", "up")
        self.wire(self.client, CLIENT, self.router, ROUTER_A, "a")
        self.wire(self.server, SERVER, self.router, ROUTER_B, "b")
        self.inside(self.router, "sysctl", "-q", "-w", "net.ipv4.ip_forward=1")

    def wire(self, name, address, router, gateway, letter):
        run(["ip", "link", "add", f"e2e{letter}0", "netns", name, "type", "veth", "peer", "name", f"e2e{letter}1", "netns", router])
        for where, device, own in ((name, f"e2e{letter}0", address), (router, f"e2e{letter}1", gateway)):
            self.inside(where, "ip", "address", "add", f"{own}/24", "dev", device)
            self.inside(where, "ip", "link", "set", device, "up")
        self.inside(name, "ip", "route", "add", "default", "via", gateway)

    def translate(self, port, to):
        """The server is reached at the router's own address, and sees nothing but the router's address."""
        rules = [("PREROUTING", "-d", ROUTER_A, "-p", "tcp", "--dport", str(port), "-j", "DNAT", "--to-destination", f"{SERVER}:{to}"),
                 ("POSTROUTING", "-d", SERVER, "-j", "MASQUERADE")]
        for rule in rules:
            self.inside(self.router, "iptables", "-t", "nat", "-A", *rule)

    def inside(self, name, *argv, **options):
        return run(["ip", "netns", "exec", name, *argv], **options)

    def prefix(self, name):
        return ["ip", "netns", "exec", name]

    def close(self):
        for name in self.names:
            run(["ip", "netns", "del", name], check=False)


class Nat(Case):
    def test_one_edge_with_both_views(self):
        net = Namespaces(self.scope)
        limpid = Limpid(self.scope)
        nginx = NginxInside(self.scope, net.prefix(net.server), SERVER)
        net.translate(8080, nginx.port)
        out = net.inside(net.client, "ab", "-q", "-n", "2000", "-c", "4", "-k", f"http://{ROUTER_A}:8080/ok", service="nat-client").stdout
        self.assertEqual(int(re.search(r"Complete requests:\s+(\d+)", out)[1]), 2000)
        self.same(limpid, 2000, service="nat-client", peer="nat-nginx", side="client", code="200")
        self.same(limpid, 2000, service="nat-nginx", peer="nat-client", side="server", code="200")
        edges = [edge for edge in limpid.api("/api/topology")["edges"] if "nat-" in edge["source"] + edge["target"]]
        self.assertEqual(len(edges), 1, edges)
        views = [edges[0][view]["requests"] for view in ("client", "server")]
        self.assertEqual(views, [2000, 2000])
        # The same connection by the same key: what lies between the two views is known.
        self.assertIsNotNone(edges[0]["network"])


class NginxInside(Nginx):
    """nginx in a network namespace."""

    def __init__(self, scope, prefix, address):
        self.prefix = prefix
        super().__init__(Prefixed(scope, prefix), "nat-nginx", [f"{address}:{{port}}", "unix:{socket}"])


class Prefixed:
    def __init__(self, scope, prefix):
        self.scope, self.prefix = scope, prefix

    def path(self, *parts):
        return self.scope.path(*parts)

    def start(self, name, argv, **options):
        return self.scope.start(name, [*self.prefix, *argv], **options)


class TwoHosts(Case):
    """The server in a namespace of its own, on an address that is not loopback: only with tokens."""

    @classmethod
    def prepare(cls):
        net = cls.net = Namespaces(cls.scope)
        run(["ip", "link", "add", "e2ec0", "type", "veth", "peer", "name", "e2ec1", "netns", net.server])
        cls.scope.finally_do(lambda: run(["ip", "link", "del", "e2ec0"], check=False))
        run(["ip", "address", "add", "203.0.113.1/24", "dev", "e2ec0"])
        run(["ip", "link", "set", "e2ec0", "up"])
        net.inside(net.server, "ip", "address", "add", "203.0.113.2/24", "dev", "e2ec1")
        net.inside(net.server, "ip", "link", "set", "e2ec1", "up")
        auth = cls.file("auth", "ingest let-me-in-at-once\nread let-me-look-at-once\nadmin let-me-rule-at-once\n")
        cls.server = Limpid(cls.scope, "server", "--listen", "203.0.113.2:7117", "--otlp-listen", "203.0.113.2:4317",
                            "--auth-file", auth, prefix=net.prefix(net.server), wait=False)
        cls.server.token = "let-me-look-at-once"
        await_true(cls.server.is_ready, "the server to be ready")

    @classmethod
    def file(cls, name, text):
        path = cls.scope.path(name)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, 0o644)
        return path

    def agent(self, token):
        path = self.file(f"token-{token}", f"{token}\n")
        return Limpid(self.scope, "agent", "--server", "http://203.0.113.2:4317", "--token-file", path)

    def test_1_wrong_token_is_refused_and_told(self):
        agent = self.agent("let-me-guess-at-once")
        await_true(lambda: "a bearer token with the role ingest is needed" in agent.program.output(), "the agent to say why")
        self.assertIn("a bearer token", fetch(f"{agent.agent_url}/status"))
        nginx = Nginx(self.scope, "early-nginx")
        run(["ab", "-q", "-n", "500", "-c", "4", "-k", f"http://127.0.0.1:{nginx.port}/ok"], service="early-client")
        labels = {"service": "early-nginx", "peer": "early-client", "side": "server", "code": "200"}
        self.reaches(agent.count, 500, "the agent's metrics", labels)
        status = self.server.api("/api/status")
        self.assertEqual(status["agents"], [])
        self.assertEqual(status["store"]["series"], 0)
        self.assertNotIn("let-me-guess-at-once", agent.program.output() + self.server.program.output())
        # What was seen meanwhile has waited for the right one.
        self.file("token-let-me-guess-at-once", "let-me-in-at-once\n")
        agent.program.process.send_signal(signal.SIGHUP)
        self.reaches(self.server.stored, 500, "the server's PromQL", labels)
        self.assertFalse(agent.losses().get("export_failed"))
        agent.program.stop()

    def test_2_right_token(self):
        agent = self.agent("let-me-in-at-once")
        nginx = Nginx(self.scope, "far-nginx")
        run(["ab", "-q", "-n", "1000", "-c", "4", "-k", f"http://127.0.0.1:{nginx.port}/ok"], service="far-client")
        labels = {"service": "far-nginx", "peer": "far-client", "side": "server", "code": "200"}
        self.reaches(agent.count, 1000, "the agent's metrics", labels)
        self.reaches(self.server.stored, 1000, "the server's PromQL", labels)
        self.assertEqual(len(self.server.api("/api/status")["agents"]), 1)

    def test_3_no_token_no_answer(self):
        token, self.server.token = self.server.token, None
        try:
            for path in ("/api/status", "/api/topology", "/api/traces", "/api/v1/labels"):
                with self.assertRaises(urllib.error.HTTPError) as refused:
                    self.server.api(path)
                self.assertEqual(refused.exception.code, 401)
                refused.exception.close()
        finally:
            self.server.token = token
