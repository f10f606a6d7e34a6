"""The demo shop: the map, the counts on both views, the reasons and the traces are those of the load generator."""

import json
import os

from harness import CACHE, Case, Limpid, REPOSITORY, await_true

SECONDS = 20
# Every edge of the shop: the caller, the called, the protocol.
EDGES = [
    ("loadgen", "nginx", "http"),
    ("nginx", "web", "http"),
    ("web", "cart", "http"),
    ("web", "catalog", "http"),
    ("web", "checkout", "http"),
    ("cart", "redis", "redis"),
    ("catalog", "postgres", "postgresql"),
    ("checkout", "postgres", "postgresql"),
]


def short(name):
    """nginx and Redis are named by their executables and, while others of them run on the machine, by their ports too."""
    return {"nginx-18080": "nginx", "redis-server": "redis", "redis-server-16379": "redis"}.get(name, name)


class Shop(Case):
    """A running shop, watched, until its load generator has ended; what it counted and what the map has."""

    options = ["--small", "--seconds", str(SECONDS)]

    @classmethod
    def prepare(cls):
        cls.limpid = Limpid(cls.scope)
        counts = cls.scope.path("counts.json")
        argv = [f"{REPOSITORY}/demo/run", *cls.options, "--rate", "50", "--counts", counts]
        shop = cls.scope.start("demo", argv, env={**os.environ, "LIMPID_CACHE": CACHE})
        cls.while_it_runs(shop)
        # The first run compiles the shop.
        if shop.wait(400) != 0:
            raise AssertionError(f"the demo ended with {shop.process.returncode}: {shop.output()[-500:]}")
        with open(counts) as file:
            cls.counts = {page: {int(code): n for code, n in codes.items()} for page, codes in json.load(file).items()}
        cls.sent = sum(n for codes in cls.counts.values() for n in codes.values())
        cls.failed = sum(n for codes in cls.counts.values() for code, n in codes.items() if code >= 500)
        cls.same_as_sent()

    @classmethod
    def while_it_runs(cls, shop):
        """For what is to be done meanwhile."""

    @classmethod
    def same_as_sent(cls):
        def complete():
            cls.edges = cls.topology()
            edge = cls.edges.get(("loadgen", "nginx", "http"))
            return edge and edge["requests"] >= cls.sent

        try:
            await_true(complete, f"{cls.sent} requests on the map's edge loadgen > nginx", seconds=20, every=0.5)
        except AssertionError as error:
            seen = {edge: (one["requests"], one["errors"]) for edge, one in cls.edges.items()}
            raise AssertionError(f"{error}; the map has {seen}") from None

    @classmethod
    def topology(cls):
        cls.map = cls.limpid.api("/api/topology")
        names = {node["id"]: short(node["name"]) for node in cls.map["nodes"]}
        return {(names[e["source"]], names[e["target"]], e["protocol"]): e for e in cls.map["edges"]}

    def pages(self, *parts):
        """What the load generator has counted for pages that begin so: requests and errors."""
        codes = [codes for page, codes in self.counts.items() if page.split(" ")[1].startswith(parts)]
        requests = sum(n for one in codes for n in one.values())
        return requests, sum(n for one in codes for code, n in one.items() if code >= 500)


class Demo(Shop):
    def test_sent_something(self):
        self.assertGreater(self.sent, SECONDS * 30)
        self.assertGreater(self.failed, 0)
        self.assertEqual(self.pages("/")[0], self.sent)

    def test_every_edge_is_there(self):
        missing = [edge for edge in EDGES if edge not in self.edges]
        self.assertEqual(missing, [], f"seen: {sorted(self.edges)}")

    def test_counts_of_the_front(self):
        for edge in (("loadgen", "nginx", "http"), ("nginx", "web", "http")):
            for view in ("client", "server"):
                with self.subTest(f"{edge[0]} > {edge[1]} {view}"):
                    seen = self.edges[edge][view]
                    self.assertEqual((seen["requests"], seen["errors"]), (self.sent, self.failed))

    def test_counts_of_the_services(self):
        called = {"cart": ("/cart",), "catalog": ("/products", "/report"), "checkout": ("/checkout",)}
        for service, parts in called.items():
            requests, errors = self.pages(*parts)
            for view in ("client", "server"):
                with self.subTest(f"web > {service} {view}"):
                    seen = self.edges[("web", service, "http")][view]
                    self.assertEqual((seen["requests"], seen["errors"]), (requests, errors))

    def test_both_views_of_the_databases_agree(self):
        for edge in EDGES[5:]:
            with self.subTest(f"{edge[0]} > {edge[1]}"):
                views = [self.edges[edge][view] for view in ("client", "server")]
                self.assertGreater(views[0]["requests"], 0)
                self.assertEqual(*[(view["requests"], view["errors"]) for view in views])

    def test_failing_path_has_a_reason(self):
        nodes = {short(node["name"]): node for node in self.map["nodes"]}
        self.assertIn(nodes["checkout"]["status"], ("affected", "degraded", "failing", "critical", "warning"), nodes["checkout"])
        kinds = [reason["kind"] for reason in nodes["checkout"]["reasons"]]
        self.assertIn("errors", kinds)
        self.assertEqual(nodes["redis"]["status"], "ok")

    def test_traces_are_found(self):
        found = self.limpid.api("/api/traces", service="checkout", status="error", limit=500)["traces"]
        self.assertTrue(found)
        self.assertTrue(all(trace["errors"] > 0 for trace in found))
        self.assertFalse(self.limpid.api("/api/traces", service="nobody")["traces"])

    def test_client_and_server_span_are_parent_and_child(self):
        """Both views of every call are joined, and only views of the same call."""
        joined = 0
        for trace in self.limpid.api("/api/traces", service="cart", limit=50)["traces"]:
            spans = self.limpid.api(f"/api/traces/{trace['trace_id']}")["spans"]
            by_id = {span["span_id"]: span for span in spans}
            for span in spans:
                parent = by_id.get(span.get("parent_span_id") or "")
                if str(span["kind"]).lower() != "server" or parent is None:
                    continue
                joined += 1
                self.assertEqual(str(parent["kind"]).lower(), "client")
                self.assertEqual(parent["name"], span["name"])
                self.assertLessEqual(int(parent["start_ns"]), int(span["start_ns"]) + 1_000_000)
        self.assertGreater(joined, 20)

    def test_promql_agrees_with_the_map(self):
        labels = {"service": "~nginx(-18080)?", "peer": "loadgen", "side": "server"}
        self.same(self.limpid, self.sent, **labels)
        self.same(self.limpid, self.failed, **labels, status="error")
