"""HTTP/2 and gRPC in plaintext: requests seen are requests sent, any number of them at once on one connection."""

import subprocess
import sys

from harness import HERE, Case, Limpid, await_true, die_with_parent, free_port, listens, run


class CountsHttp2(Case):
    @classmethod
    def prepare(cls):
        cls.limpid = Limpid(cls.scope)
        cls.port = free_port()
        with open(cls.scope.path("page"), "w") as page:
            page.write("x" * 200)
        cls.scope.start("nghttpd", ["nghttpd", "--no-tls", "-n", "2", "-d", cls.scope.folder, str(cls.port)], service="h2-shop")
        await_true(lambda: listens("127.0.0.1", cls.port), "nghttpd to listen")

    def load(self, service, count, *flags, path="/page", code="200"):
        out = run(["h2load", "-n", str(count), *flags, f"http://127.0.0.1:{self.port}{path}"], service=service).stdout
        self.assertIn(f"{count} done", out)
        labels = {"protocol": "http2", "operation": "GET", "resource": path, "code": code}
        self.same(self.limpid, count, service=service, peer="h2-shop", side="client", **labels)
        self.same(self.limpid, count, service="h2-shop", peer=service, side="server", **labels)

    def test_one_at_a_time(self):
        self.load("h2-one", 3000, "-c", "1", "-m", "1")

    def test_ten_streams_of_four_connections(self):
        self.load("h2-ten", 8000, "-c", "4", "-m", "10")

    def test_a_hundred_streams(self):
        self.load("h2-hundred", 10_000, "-c", "1", "-m", "100")

    def test_a_connection_each(self):
        for _ in range(20):
            run(["h2load", "-n", "1", "-c", "1", f"http://127.0.0.1:{self.port}/page"], service="h2-new")
        self.same(self.limpid, 20, service="h2-new", peer="h2-shop", side="client", protocol="http2", code="200")

    def test_what_is_not_there(self):
        self.load("h2-none", 500, "-c", "1", "-m", "5", path="/none", code="404")

    def test_curl_that_knows(self):
        url = f"http://127.0.0.1:{self.port}/page"
        said = run(["curl", "-s", "--http2-prior-knowledge", "-o", "/dev/null", "-w", "%{http_version}", url], service="h2-curl")
        self.assertEqual(said.stdout, "2")
        self.same(self.limpid, 1, service="h2-curl", peer="h2-shop", side="client", protocol="http2", code="200")

    def test_nothing_was_lost(self):
        lost = self.limpid.losses()
        self.assertEqual({cause for cause in lost if cause in ("ring_full", "socket_storage", "connections_capped")}, set())


class CountsGrpc(Case):
    @classmethod
    def prepare(cls):
        cls.port = free_port()
        server = cls.scope.start("grpc", [sys.executable, f"{HERE}/programs/grpc_server.py", str(cls.port)], service="grpc-shop")
        await_true(lambda: "listens" in server.output(), "the gRPC server to listen")
        cls.older = subprocess.Popen(cls.client(300, 4, "ok", "paused"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                     env={"PATH": "/usr/bin", "OTEL_SERVICE_NAME": "grpc-older"}, preexec_fn=die_with_parent)
        assert cls.older.stdout.readline() == "connected\n"
        cls.limpid = Limpid(cls.scope)

    @classmethod
    def client(cls, count, in_flight, what, *more):
        return [sys.executable, f"{HERE}/programs/grpc_client.py", str(cls.port), str(count), str(in_flight), what, *more]

    def ask(self, service, count, in_flight, what, said, code, status="ok", method="Add"):
        self.assertEqual(run(self.client(count, in_flight, what), service=service).stdout, f"{said}:{count}\n")
        labels = {"protocol": "grpc", "operation": f"/shop.v1.Cart/{method}", "code": code, "status": status}
        self.same(self.limpid, count, service=service, side="client", **labels)
        self.same(self.limpid, count, service="grpc-shop", peer=service, side="server", **labels)

    def test_one_by_one(self):
        self.ask("grpc-one", 1000, 1, "ok", "OK", "0")

    def test_twenty_at_once(self):
        self.ask("grpc-twenty", 2000, 20, "ok", "OK", "0")

    def test_a_code_that_is_the_clients_fault(self):
        self.ask("grpc-missing", 200, 1, "NOT_FOUND", "NOT_FOUND", "5")

    def test_a_code_that_is_the_servers_fault(self):
        self.ask("grpc-broken", 200, 4, "INTERNAL", "INTERNAL", "13", status="error")

    def test_streams(self):
        self.ask("grpc-watch", 20, 4, "30", "OK-30", "0", method="Watch")

    def test_a_connection_that_is_older_than_the_agent(self):
        """The header fields stand in a table that was filled before: what is not known is left out, and nothing is invented."""
        said, _ = self.older.communicate("go\n", timeout=60)
        self.assertEqual(said, "OK:300\n")
        self.same(self.limpid, 300, service="grpc-older", side="client", status="ok")
        self.same(self.limpid, 300, service="grpc-shop", peer="grpc-older", side="server", status="ok")
