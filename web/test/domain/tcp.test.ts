import { describe, expect, it } from "vitest";
import { readTopology } from "../../src/api/topology";
import { edgeMatches, parseFilter } from "../../src/domain/filter";
import { connectsText, questions } from "../../src/domain/findings";
import { coreWidth } from "../../src/domain/geometry";
import { grouped } from "../../src/domain/groups";
import { carried, edgeMatchers } from "../../src/domain/operations";
import { matchers } from "../../src/domain/promql";
import { againShare, isLossy, isOfTcp, readTcp, tcpOf } from "../../src/domain/tcp";
import { failedConnects, neighbourhood, neverConnected, type MapEdge } from "../../src/domain/topology";
import { service } from "./build";

const refused = (text: string, severity = "critical") => [{ kind: "connects", severity, text, value: "12", usual: "none", since_ns: "1763388540000000000", link: null }];
const map = readTopology({
  nodes: ["web", "shop", "db", "names"].map((name) => ({ id: service(name), kind: "service", name, attributes: { "host.name": "one" } })),
  edges: [
    { source: service("web"), target: service("shop"), protocol: "http", status: "critical", requests: 36, errors: 0, error_ratio: 0, requests_per_second: 10, p95_ms: 5, failed_connects: { ECONNREFUSED: 9, ETIMEDOUT: 3, odd: "many" }, retransmits: 40, reasons: refused("12 connects failed (9 refused, 3 timed out), usually none"), client: { requests: 36 } },
    { source: service("web"), target: service("db"), protocol: "tcp", status: "critical", requests: 12, errors: 12, error_ratio: 1, requests_per_second: 1, failed_connects: { ECONNREFUSED: 12 }, reasons: refused("12 connects refused, usually none"), client: { requests: 12 } },
    { source: service("web"), target: service("names"), protocol: "dns", status: "ok", requests: 100, errors: 7, requests_per_second: 1, client: { requests: 100 } },
  ],
});
const [http, tcp, dns] = map.edges as [MapEdge, MapEdge, MapEdge];

describe("failed connects", () => {
  it("are read by their error, and what is no number is none", () => {
    expect(http.failedConnects).toEqual({ ECONNREFUSED: 9, ETIMEDOUT: 3 });
    expect([failedConnects(http), failedConnects(dns), dns.retransmits]).toEqual([12, 0, 0]);
    expect([neverConnected(http), neverConnected(tcp)]).toEqual([false, true]);
  });
  it("are what is said of an edge first, in few words", () => {
    expect([connectsText(http), connectsText(tcp), connectsText(dns)]).toEqual(["12 connects failed", "12 connects refused", null]);
    expect(connectsText({ ...http, status: "ok" })).toBeNull();
  });
  it("are as wide in the core as they are many", () => {
    expect(coreWidth(http)).toBeGreaterThan(coreWidth({ ...http, failedConnects: {} }));
  });
  it("are asked for by one click each, with their counts", () => {
    const answers = new Map(questions(map).map((one) => [one.filter, one.answer]));
    expect([answers.get("is:refused"), answers.get("is:dns-failure"), answers.get("is:retransmits")]).toEqual([24, 7, 40]);
    const hits = (filter: string) => map.edges.filter((edge) => edgeMatches(parseFilter(filter), edge, neighbourhood(map))).map((edge) => edge.protocol);
    expect([hits("is:refused"), hits("is:dns-failure"), hits("is:retransmits")]).toEqual([["http", "tcp"], ["dns"], ["http"]]);
  });
  it("add up where edges are one", () => {
    const outside = readTopology({ nodes: [{ id: "external:x", kind: "external" }, ...map.nodes], edges: [http, tcp].map((edge) => ({ source: edge.source, target: "external:x", protocol: edge.protocol, failed_connects: edge.failedConnects, retransmits: edge.retransmits })) });
    const nodes = outside.nodes.map((node) => ({ ...node, attributes: { "host.name": "one" } }));
    const [edge] = grouped({ ...outside, nodes }, "host", new Set()).topology.edges;
    expect([edge?.failedConnects, edge?.retransmits]).toEqual([{ ECONNREFUSED: 21, ETIMEDOUT: 3 }, 40]);
  });
});

describe("the TCP of an edge", () => {
  const sample = (of: string, value: number | null) => ({ labels: { of }, value });
  it("asks for all figures of one side at once", () => {
    const text = tcpOf({ service: 'we"b', side: "client" }, "900s");
    expect(text.split(" or ")).toHaveLength(11);
    expect(text).toContain('sum(increase(limpid_tcp_retransmits_total{service="we\\"b",side="client"}[900s]))');
    expect(text).toContain('direction="received"');
  });
  it("keeps what was not measured apart from what is zero", () => {
    expect(readTcp([])).toBeNull();
    const read = readTcp([sample("connectP50", 0.004), sample("roundTripP95", Number.NaN), sample("resets", 0)]);
    expect(read).toMatchObject({ connectP50: 4, roundTripP95: null, resets: 0, opened: null, segments: null });
  });
  it("tells datagrams from connections by what was measured", () => {
    expect(isOfTcp(readTcp([sample("sent", 100), sample("opened", 2)]))).toBe(false);
    expect(isOfTcp(readTcp([sample("sent", 100), sample("resets", 0)]))).toBe(true);
    expect(isOfTcp(null)).toBe(false);
  });
  it("judges retransmissions by their share of enough segments", () => {
    const of = (segments: number, retransmits: number) => readTcp([sample("segments", segments), sample("retransmits", retransmits)]);
    const lossy = (segments: number, retransmits: number) => { const tcp = of(segments, retransmits); return tcp !== null && isLossy(tcp); };
    expect([lossy(1000, 32), lossy(1000, 5), lossy(50, 5), lossy(0, 0)]).toEqual([true, false, false, false]);
    const few = of(0, 0);
    expect(few && againShare(few)).toBeNull();
  });
});

it("asks for a peer with a name by its addresses", () => {
  const edge = { ...http, target: "external:api.example.com:443", attributes: { "server.address": "192.0.2.7,192.0.2.8", "server.port": "443" } };
  const of = edgeMatchers(edge, "client", neighbourhood(map));
  expect(of && matchers(of)).toBe('{service="web",peer_address=~"192\\\\.0\\\\.2\\\\.7:443|192\\\\.0\\\\.2\\\\.8:443",protocol="http",side="client"}');
  const one = edgeMatchers({ ...edge, attributes: { "server.address": "192.0.2.7", "server.port": "443" } }, "client", neighbourhood(map));
  expect(one).toMatchObject({ peer_address: "192.0.2.7:443" });
});

it("names what a resolver answered", () => {
  const rates = [{ labels: { operation: "A", resource: "api.example.com", status: "error", code: "2" }, value: 1 }];
  expect(carried(rates, [], "dns")[0]?.codes).toEqual(["SERVFAIL"]);
  expect(carried(rates, [], "http")[0]?.codes).toEqual(["2"]);
});
