import { describe, expect, it } from "vitest";
import { carried, edgeMatchers, partsOf, whereTime } from "../../src/domain/operations";
import { matchers, timeSpent } from "../../src/domain/promql";
import { madeBy, neighbourhood, seenOf, wholeRange } from "../../src/domain/topology";
import { readTopology } from "../../src/api/topology";
import { service, topology } from "./build";

const sample = (labels: Record<string, string>, value: number | null) => ({ labels, value });

describe("operations of an edge", () => {
  it("adds up results, names what failed, and puts the failing one first", () => {
    const rates = [
      sample({ operation: "GET", resource: "/", status: "ok", code: "200" }, 9),
      sample({ operation: "POST", resource: "/pay", status: "ok", code: "201" }, 3),
      sample({ operation: "POST", resource: "/pay", status: "error", code: "503" }, 0.75),
      sample({ operation: "POST", resource: "/pay", status: "unanswered" }, 0.25),
    ];
    const found = carried(rates, [sample({ operation: "GET", resource: "/" }, 0.046)]);
    expect(found.map((one) => one.name)).toEqual(["POST /pay", "GET /"]);
    expect(found[0]).toMatchObject({ rate: 4, errorRatio: 0.25, p95: null, codes: ["503", "no answer"] });
    expect(found[1]).toMatchObject({ errorRatio: 0, p95: 46, codes: [] });
  });
  it("does not say a statement's verb twice, and leaves out what was not called", () => {
    const found = carried([sample({ operation: "INSERT", resource: "INSERT INTO orders", status: "ok" }, 1), sample({ operation: "GET", resource: "/idle", status: "ok" }, 0)], []);
    expect(found.map((one) => one.name)).toEqual(["INSERT INTO orders"]);
  });
  it("shares the edge's own rate out", () => {
    const rows = carried([sample({ operation: "GET", status: "ok" }, 0.3), sample({ operation: "PUT", status: "ok" }, 0.1)], []);
    expect(partsOf(rows, 8).map((row) => row.rate)).toEqual([6, 2].map((rate) => expect.closeTo(rate)));
    expect(partsOf(rows, null)).toBe(rows);
  });
  it("asks for an edge as each side saw it", () => {
    const map = topology("web>db:redis");
    const [edge] = map.edges;
    if (!edge) throw new Error("no edge");
    const around = neighbourhood(map);
    expect(edgeMatchers(edge, "client", around)).toEqual({ service: "web", peer: "db", protocol: "redis", side: "client" });
    expect(edgeMatchers(edge, "server", around)).toEqual({ service: "db", peer: "web", protocol: "redis", side: "server" });
    expect(edgeMatchers({ ...edge, server: null }, "server", around)).toBeNull();
    const outside = { ...edge, target: "external:db.example:5432" };
    expect(edgeMatchers(outside, "client", around)).toMatchObject({ peer_address: "db.example:5432" });
  });
  it("quotes what stands in a query", () => {
    expect(matchers({ service: 'a"b\\c' })).toBe('{service="a\\"b\\\\c"}');
    expect(timeSpent({ side: "client" }, "60s", ["peer"])).toContain("sum by (peer) (rate(");
  });
});

describe("where a service's time goes", () => {
  it("gives what no callee explains to the service itself", () => {
    const where = whereTime(2, [sample({ peer: "db", protocol: "redis" }, 1.5), sample({ peer: "", peer_address: "10.0.0.9:80", protocol: "http" }, 0.1)]);
    expect(where?.parts.map((part) => [part.name, Number(part.share.toFixed(3))])).toEqual([["db", 0.75], ["itself", 0.2], ["10.0.0.9:80", 0.05]]);
    expect(where?.parallel).toBe(false);
  });
  it("says so when calls run side by side, and knows nothing without requests", () => {
    const where = whereTime(1, [sample({ peer: "a" }, 0.8), sample({ peer: "b" }, 0.7)]);
    expect(where?.parallel).toBe(true);
    expect(where?.parts.map((part) => part.name)).toEqual(["a", "b"]);
    expect(whereTime(null, [])).toBeNull();
    expect(whereTime(0, [])).toBeNull();
  });
});

describe("figures of the map", () => {
  const map = readTopology({
    nodes: [{ id: service("load"), requests: 0 }, { id: service("web"), requests: 100 }],
    edges: [
      { source: service("load"), target: service("web"), protocol: "http", requests: 100, errors: 2, requests_per_second: 5, p95_ms: 9, client: { requests: 100, p95_ms: 10 }, server: { requests: 97 } },
      { source: service("load"), target: service("web"), protocol: "redis", requests: 10, errors: 0, requests_per_second: 1, p95_ms: 1, client: { requests: 10, p95_ms: 1 }, server: null },
    ],
  });
  it("shows the calls of what serves nothing", () => {
    expect(map.nodes[0]?.made).toEqual({ requests: 110, rate: 6, errorRatio: 2 / 110, p95: 10 });
    expect(map.nodes[1]?.made).toBeNull();
    expect(madeBy({ ...map.nodes[0]!, requests: 0 }, [])).toBeNull();
  });
  it("counts from how many sides requests were seen", () => {
    expect(seenOf(map.edges)).toEqual({ all: 110, both: 97, client: 13, server: 0 });
  });
  it("does not claim that what fired from the first moment on began there", () => {
    const range = { start: 1000, end: 1600 };
    expect(wholeRange(1000, range)).toBe(true);
    expect(wholeRange(1011, range)).toBe(false);
  });
});
