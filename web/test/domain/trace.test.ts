import { describe, expect, it } from "vitest";
import { buildTree, calleeOf, criticalPath, durationOf, ownParts, ownTimes, rows } from "../../src/domain/tracetree";
import { hasTerm, isTraceId, parseChips, withTerm, without } from "../../src/domain/tracequery";
import { parseRectangle, rectangleText } from "../../src/domain/rectangle";
import { countShorter, shortLimit } from "../../src/domain/shortcalls";
import { copiesOf, curlOf } from "../../src/domain/copyas";
import { columns } from "../../src/domain/columns";
import { readMatrix } from "../../src/api/series";
import { failedShare, ofService, quantile, rateOf } from "../../src/domain/promql";
import { compare, toggled } from "../../src/domain/sort";
import { span } from "./build";

const open = { closed: new Set<string>(), unfolded: new Set<string>(), worstFirst: false, least: 0 };

describe("both views of a call", () => {
  const tree = buildTree([
    span("1", null, 0, 100, { service: "edge" }),
    span("2", "1", 10, 90, { kind: "client", service: "edge", peer: "web" }),
    span("3", "2", 12, 88, { service: "web", attributes: { "limpid.queue_ns": "1000000" } }),
    span("4", "3", 20, 40, { kind: "client", service: "web", peer: "db.example" }),
  ]);
  it("joins client and server of one call in one row", () => {
    const list = rows(tree, open);
    expect(list.map((row) => [row.call.id, row.depth])).toEqual([["1", 0], ["2", 1], ["4", 2]]);
    const call = list[1]!.call;
    expect(call.client).toMatchObject({ start: 10, end: 90 });
    expect(call.server).toMatchObject({ start: 12, end: 88 });
    expect(call.queue).toBe(1);
    expect(calleeOf(call)).toBe("web");
    expect(calleeOf(list[2]!.call)).toBe("db.example");
  });
  it("takes a callee's time out of the server's own", () => {
    const call = rows(tree, open)[1]!.call;
    expect(ownParts(call)).toEqual({ waits: [{ start: 20, end: 40 }], own: 56 });
    expect(ownTimes(tree)[0]).toMatchObject({ name: "web", share: 0.56 });
  });
  it("follows the path that the trace waited for, without holes", () => {
    const parts = [...criticalPath(tree).values()].flat().sort((a, b) => a.start - b.start);
    expect(parts[0]?.start).toBe(0);
    expect(parts.at(-1)?.end).toBe(100);
    parts.slice(1).forEach((part, index) => expect(part.start).toBeCloseTo(parts[index]!.end, 6));
  });
  it("counts milliseconds exactly where nanoseconds exceed a double", () => {
    expect(durationOf(tree.roots[0]!)).toBe(100);
  });
});

describe("hostile traces", () => {
  it("shows spans without their parent, of each other and of themselves", () => {
    const tree = buildTree([span("1", "gone", 0, 1), span("2", "3", 0, 1), span("3", "2", 0, 1), span("4", "4", 0, 1)]);
    expect(rows(tree, open).map((row) => row.call.id).sort()).toEqual(["1", "2", "3", "4"]);
  });
  it("takes times that are none", () => {
    const tree = buildTree([span("1", null, 0, 1, { startNs: "x", durationNs: "-5" })]);
    expect(durationOf(tree.roots[0]!)).toBe(0);
    expect(buildTree([]).roots).toEqual([]);
  });
  it("folds many calls of one shape and unfolds them", () => {
    const many = Array.from({ length: 412 }, (_, index) => span(`s${index}`, "1", index, index + 1, { name: "SELECT prices" }));
    const tree = buildTree([span("1", null, 0, 500), ...many]);
    const folded = rows(tree, open);
    expect(folded).toHaveLength(2);
    expect(folded[1]!.folded).toHaveLength(411);
    const all = new Set(many.map((one) => one.id));
    expect(rows(tree, { ...open, unfolded: all })).toHaveLength(413);
  });
  it("builds ten thousand calls quickly", () => {
    const spans = Array.from({ length: 10_000 }, (_, index) => span(String(index + 1), index === 0 ? null : String(Math.ceil(index / 3)), index, index + 5));
    const before = performance.now();
    expect(rows(buildTree(spans), open).length).toBeGreaterThan(5000);
    expect(performance.now() - before).toBeLessThan(2000);
  });
});

describe("search", () => {
  it("splits into chips and puts them back", () => {
    const q = 'service:checkout duration:>1s operation:"POST /checkout" free';
    expect(parseChips(q).map((chip) => [chip.key, chip.value])).toEqual([["service", "checkout"], ["duration", ">1s"], ["operation", "POST /checkout"], ["", "free"]]);
    expect(without(q, "duration:>1s")).toBe('service:checkout operation:"POST /checkout" free');
    expect(withTerm(q, "service", "web shop")).toBe('duration:>1s operation:"POST /checkout" free service:"web shop"');
    expect(hasTerm(q, "service", "checkout")).toBe(true);
  });
  it("knows a trace id", () => {
    expect(isTraceId(" 7c1e40b2a9d37c1e40b2a9d37c1e40b2 ")).toBe(true);
    expect(isTraceId("checkout")).toBe(false);
  });
});

describe("charts", () => {
  it("keeps gaps, and leaves the unfinished last step out", () => {
    const line = { points: new Map([[100, 1], [130, 2], [140, 3]]) };
    expect(columns([line], { start: 100, end: 141 }, 10)).toEqual([[100, 110, 120, 130], [1, null, null, 2]]);
  });
  it("reads Prometheus' matrix and refuses another type", () => {
    const series = readMatrix({ data: { resultType: "matrix", result: [{ metric: { a: "b" }, values: [[1, "2.5"], [2, "NaN"], [3, "+Inf"]] }] } });
    expect([...series[0]!.points]).toEqual([[1, 2.5]]);
    expect(() => readMatrix({ data: { resultType: "vector", result: [] } })).toThrow("matrix");
  });
  it("asks in PromQL, with quotes kept inside", () => {
    expect(rateOf(ofService('a"b\\', "server"), "30s")).toBe('sum(rate(limpid_request_duration_seconds_count{service="a\\"b\\\\",side="server"}[30s]))');
    expect(quantile(0.95, ofService("web", "client"), "30s")).toContain('peer="web",side="client"');
    expect(failedShare(ofService("web", "server"), "30s")).toContain('status!="ok"');
  });
  it("keeps a rectangle in the address, rounded outwards", () => {
    const rectangle = { t0: 10, t1: 20, d0: 1, d1: 100 };
    const read = parseRectangle(rectangleText(rectangle));
    expect(read).toMatchObject({ t0: 10, t1: 20 });
    expect(read!.d0).toBeLessThanOrEqual(1);
    expect(read!.d1).toBeGreaterThanOrEqual(100);
    expect(parseRectangle("1,2,3")).toBeNull();
    expect(parseRectangle("9,2,3,4")).toBeNull();
  });
});

it("sorts a missing value last in either direction", () => {
  const sorted = (direction: "ascending" | "descending") => [3, null, 1].sort((a, b) => compare(a, b, direction));
  expect(sorted("ascending")).toEqual([1, 3, null]);
  expect(sorted("descending")).toEqual([3, 1, null]);
  expect(toggled({ key: "a", direction: "ascending" }, "a", "ascending").direction).toBe("descending");
});

describe("short calls", () => {
  const tree = buildTree([
    span("1", null, 0, 1000),
    span("2", "1", 0, 1),
    span("3", "1", 10, 11, { status: "error" }),
    span("4", "1", 20, 500),
    span("5", "4", 21, 22),
  ]);
  it("are those that are hardly a pixel wide", () => {
    expect(shortLimit(1000)).toBe(2);
    expect(shortLimit(2360)).toBe(5);
    expect(shortLimit(0)).toBeGreaterThan(0);
    expect(countShorter(tree, 2)).toBe(3);
  });
  it("can be hidden, but never one that failed", () => {
    expect(rows(tree, { ...open, least: 2 }).map((row) => row.call.id)).toEqual(["1", "3", "4"]);
  });
});

describe("a call as something to run again", () => {
  const called = (attributes: Record<string, string>) => buildTree([span("1", null, 0, 5, { kind: "client", attributes })]).roots[0]!;
  it("gives a request as curl, quoted for a shell", () => {
    const http = { "http.request.method": "GET", "server.address": "shop.example", "server.port": "80", "url.scheme": "http", "url.path": "/a b", "url.query": "q=REDACTED&x=it's" };
    expect(curlOf(called(http))).toBe(`curl -i 'http://shop.example/a b?q=REDACTED&x=it'\\''s'`);
    expect(curlOf(called({ ...http, "http.request.method": "POST", "url.scheme": "https", "server.port": "8443", "url.path": "/pay", "url.query": "" }))).toBe("curl -i -X POST https://shop.example:8443/pay");
    expect(curlOf(called({ "http.request.method": "GET" }))).toBeNull();
    expect(curlOf(called({ "http.request.method": "$(reboot)", "url.full": "http://a/" }))).toBe("curl -i -X '$(reboot)' http://a/");
  });
  it("gives a statement as SQL, and what is no SQL as a command", () => {
    expect(copiesOf(called({ "db.system.name": "postgresql", "db.query.text": "SELECT 1" })).map((one) => [one.name, one.text])[0]).toEqual(["Copy as SQL", "SELECT 1;"]);
    expect(copiesOf(called({ "db.system.name": "redis", "db.query.text": "GET ?" }))[0]).toEqual({ name: "Copy as command", text: "GET ?" });
    expect(copiesOf(called({})).map((one) => one.name)).toEqual(["Copy JSON"]);
    expect(JSON.parse(copiesOf(called({}))[0]!.text)).toMatchObject({ id: "1" });
  });
});
