import { describe, expect, it } from "vitest";
import { readStatus, type Agent } from "../../src/api/status";
import { readTopology } from "../../src/api/topology";
import { connectsText, questions } from "../../src/domain/findings";
import { grouped } from "../../src/domain/groups";
import { edgeMatchers } from "../../src/domain/operations";
import { alertParts, bySoonest, daysLeft, endOf, fileReasons, leftText, leftTone, whyUnread } from "../../src/domain/tls";
import { isUnread, neighbourhood, protocolOf, shownEdge, type MapEdge } from "../../src/domain/topology";
import { service } from "./build";

const side = (requests: number, errors = 0) => ({ requests, errors, p50_ms: 2, p95_ms: 9, p99_ms: 20 });
const certificate = (subject: string, notAfter: number) => ({ subject, server_name: "shop.test", not_after: notAfter });
const map = readTopology({
  nodes: ["orders", "billing", "web", "shop"].map((name) => ({ id: service(name), kind: "service", name, attributes: { "host.name": "one" } })),
  edges: [
    { source: service("orders"), target: service("billing"), protocol: "tls", status: "ok", requests: 0, errors: 0, requests_per_second: 0, client: null, server: null, tls: { handshakes_per_second: 2, client: side(100), server: side(100, 5), alerts: { 48: 5, odd: "many" }, certificates: [certificate("CN=a", 1000), { subject: "CN=without an end" }] } },
    { source: service("web"), target: service("shop"), protocol: "http", status: "ok", requests: 10, requests_per_second: 1, client: side(10), tls: { handshakes_per_second: 1, client: side(3), server: null, alerts: {}, certificates: [] } },
    { source: service("web"), target: service("billing"), protocol: "redis", status: "ok", requests: 10, requests_per_second: 1, client: side(10) },
  ],
});
const [unread, read, plain] = map.edges as [MapEdge, MapEdge, MapEdge];

const file = (more: object) => ({ path: "/usr/lib/libssl.so.3", library: "OpenSsl", version: "3.0.3", read: true, processes: 1, services: ["billing"], probes: [{ name: "SSL_read", count: 2, single_stepped: 1, state: "running", reason: null }], ...more });
const agents = (more: object): Agent[] => readStatus({ agents: [{ host: "one", tls_plaintext: true, tls: [], tls_unread: [], ...more }] }).agents;
const whyServer = (more: object) => whyUnread(unread, agents(more))?.find(([name]) => name === "server")?.[1];

describe("an edge of encrypted connections", () => {
  it("is read or not by whether requests were seen in it", () => {
    expect(map.edges.map(isUnread)).toEqual([true, false, false]);
    expect([unread.tls?.alerts, unread.tls?.certificates.length, plain.tls]).toEqual([{ 48: 5 }, 1, null]);
    expect(questions(map).find((one) => one.filter === "is:unread")?.answer).toBe(1);
  });
  it("has the figures of its handshakes where nothing else is known", () => {
    expect([protocolOf(unread), protocolOf(read)]).toEqual(["TLS handshakes", "HTTP"]);
    const shown = shownEdge(unread);
    expect([shown.rate, shown.requests, shown.errorRatio, shown.p95]).toEqual([2, 100, 0.05, 9]);
    expect(shownEdge(read)).toBe(read);
  });
  it("has requests in metrics only by the sides that saw requests", () => {
    const around = neighbourhood(map);
    const both = { ...read, tls: { ...read.tls!, server: read.tls!.client } };
    expect([edgeMatchers(both, "server", around), edgeMatchers(unread, "server", around)]).toEqual([null, null]);
    expect(edgeMatchers(both, "client", around)).toEqual({ service: "web", peer: "shop", protocol: "http", side: "client" });
  });
  it("keeps its handshakes as a part of a group", () => {
    const [edge] = grouped({ ...map, edges: [unread, read].map((edge) => ({ ...edge, source: "external:x" })), nodes: [...map.nodes, { ...map.nodes[0]!, id: "external:x", kind: "external", attributes: {} }] }, "host", new Set()).topology.edges;
    expect([edge?.tls?.rate, edge?.tls?.alerts, edge?.tls?.client?.requests, edge?.tls?.certificates.length]).toEqual([3, { 48: 5 }, 103, 1]);
  });
  it("says in few words what is wrong with it", () => {
    const reason = (kind: string, text: string, value: string) => ({ status: "critical" as const, reasons: [{ kind, severity: "critical" as const, text, value, usual: null, since: null, link: null }] });
    expect(connectsText(reason("handshakes", "100 % of the TLS handshakes failed (unknown_ca)", "100 %"))).toBe("TLS 100 % failed");
    expect(connectsText(reason("certificate", "certificate of shop.test ends in 2 days", "2 days"))).toBe("certificate 2 days");
    expect(connectsText(reason("certificate", "certificate of shop.test ended 2 days ago", "2 days"))).toBe("certificate ended");
  });
});

describe("why nothing was read", () => {
  it("names the library that cannot be read", () => {
    const stripped = file({ library: "BoringSsl", read: false, probes: [{ name: "SSL_read", count: 0, state: "off", reason: "stripped: the names of functions are gone" }] });
    expect(whyServer({ tls: [stripped] })).toBe("BoringSSL in it cannot be read: stripped: the names of its functions are gone");
  });
  it("tells a program with its own TLS, switched off probes and an old agent apart", () => {
    expect(whyServer({ tls_unread: [{ service: "billing", library: null }] })).toMatch(/brings its own TLS, as Java does/);
    expect(whyServer({ tls_plaintext: false })).toMatch(/switched off/);
    expect(whyServer({ tls_plaintext: undefined })).toMatch(/not told by the agent/);
    expect(whyServer({ tls: [file({})] })).toMatch(/OpenSSL in it is read, but/);
    expect(whyServer({})).toMatch(/have ended/);
  });
  it("says of an end that is not watched that another agent may see more", () => {
    const alone = { ...unread, tls: { ...unread.tls!, server: null } };
    expect(whyUnread(alone, agents({}))?.at(-1)).toEqual(["server", "not watched here; an agent on its host may see more"]);
  });
  it("is no question where no handshake succeeded", () => {
    expect(whyUnread({ ...unread, tls: { ...unread.tls!, client: null, server: { requests: 4, errors: 4, p50: null, p95: null, p99: null } } }, [])).toBeNull();
  });
});

describe("a file with a TLS library", () => {
  const reasons = (more: object) => fileReasons(agents({ tls: [file(more)] })[0]!.tls!.files[0]!);
  it("has no reasons where all of it is watched, or what is missing is not needed", () => {
    expect(reasons({})).toEqual([]);
    const harmless = ["goes on in SSL_do_handshake, which is watched", "no symbol of that name"].map((reason) => ({ name: "SSL_x", count: 0, state: "off", reason }));
    expect(reasons({ probes: [...file({}).probes, ...harmless] })).toEqual([]);
  });
  it("says which right is missing", () => {
    expect(reasons({ read: false, probes: [{ name: "SSL_read", state: "failed", reason: "Operation not permitted (os error 1)" }] })).toEqual(["the agent may not set probes: kernels before 6.6 want CAP_SYS_ADMIN for it"]);
  });
  it("says what of it is not watched", () => {
    expect(reasons({ probes: [...file({}).probes, { name: "SSL_write", count: 0, state: "off", reason: "code that is not understood" }] })).toEqual(["SSL_write: code that is not understood"]);
    expect(reasons({ library: "Rustls", read: false, probes: [] })).toEqual(["built into the program, and what its functions answer is not understood yet"]);
  });
});

describe("certificates", () => {
  const day = 86_400;
  it("turn amber two weeks before their end, and red at last", () => {
    const left = (days: number) => daysLeft({ subject: "", serverName: "", notAfter: days * day }, 0);
    expect([40, 14, 13.9, 3, 2.9, -1].map((days) => leftTone(left(days)))).toEqual(["", "", "b warn", "b warn", "b crit", "b crit"]);
    expect([40.5, 1.5, 0.3, -0.1, -2.5].map(leftText)).toEqual(["40 days left", "1 day left", "7\u2009h left", "ended 2\u2009h ago", "ended 2 days ago"]);
  });
  it("stand once, the soonest to end first, a renewed one by its newer end", () => {
    const one = (subject: string, notAfter: number) => ({ subject, serverName: "", notAfter });
    expect(bySoonest([one("b", 9), one("a", 5), one("b", 20), one("a", 5)]).map((found) => [found.subject, found.notAfter])).toEqual([["a", 5], ["b", 20]]);
    expect(bySoonest([one("a", 5), one("a", 7)], (found) => String(found.notAfter))).toHaveLength(2);
    expect([endOf(one("", 1_796_122_355)), endOf(one("", 1e15))]).toEqual(["2026-12-01", "never"]);
  });
  it("are refused with alerts that have a name and a meaning", () => {
    expect(alertParts("48")).toEqual(["unknown_ca", "the certificate's authority is not trusted"]);
    expect([alertParts("45")[0], alertParts("200")[0], alertParts("unanswered")[0], alertParts("")[1]]).toEqual(["certificate_expired", "alert 200", "no answer", "encrypted, so its kind is not known"]);
  });
});

describe("a callee that some series know by its address only", () => {
  it("is asked for by both", () => {
    const around = neighbourhood(map);
    const edge = { ...read, attributes: { "server.address": "127.0.0.1", "server.port": "8443" } };
    expect(edgeMatchers(edge, "client", around)).toEqual({ service: "web", peer: ["shop", ""], peer_address: ["127.0.0.1:8443", ""], protocol: "http", side: "client" });
    expect(edgeMatchers(read, "client", around)).toEqual({ service: "web", peer: "shop", protocol: "http", side: "client" });
  });
});
