import { describe, expect, it } from "vitest";
import { readTopology } from "../../src/api/topology";
import { edgeMatches, nodeMatches, parseFilter, spanFilter } from "../../src/domain/filter";
import { findings } from "../../src/domain/findings";
import { bandWidth, fit, plateAt, route, toScreen, zoomAt } from "../../src/domain/geometry";
import { overlaps, placeLabels } from "../../src/domain/labels";
import { bounds, dock, needsNewLayout, place, readLayout, split, type Layout } from "../../src/domain/layout";
import { layered } from "../../src/domain/layered";
import { glyphOf, isHub, neighbourhood, seenFromCallersOnly } from "../../src/domain/topology";
import { service, topology } from "./build";

describe("reading", () => {
  it("keeps missing figures missing and does not guess statuses", () => {
    const { nodes, edges } = readTopology({ nodes: [{ id: service("a"), status: "splendid" }], edges: [{ source: "x", target: "y", client: null }] });
    expect(nodes[0]).toMatchObject({ name: "a", kind: "service", rate: null, p95: null, status: "unknown", reasons: [], pulse: [] });
    expect(edges[0]).toMatchObject({ client: null, server: null, network: null, protocol: "unknown" });
  });
  it("refuses another shape with its place", () => {
    expect(() => readTopology([])).toThrow("topology is no object");
    expect(() => readTopology({ nodes: [7] })).toThrow("nodes[0] is no object");
  });
  it("tells processes of one service apart", () => {
    expect(readTopology({ nodes: [{ id: "process:4f2c81/176-31807", kind: "process", name: "checkout" }] }).nodes[0]?.name).toBe("checkout 31807");
  });
});

describe("findings", () => {
  it("puts the callee before the caller that only suffers from it", () => {
    const found = findings(topology("edge>web web>db", { db: "warning", web: "critical", edge: "affected", "web>db": "warning" }));
    expect(found.map((one) => one.title)).toEqual(["db", "web → db", "web", "edge"]);
  });
  it("names the failing edge before a callee that is less bad as a whole", () => {
    const found = findings(topology("web>db shop>db", { db: "warning", "web>db": "critical" }));
    expect(found.map((one) => one.title)).toEqual(["web → db", "db"]);
  });
  it("tells edges between the same two apart by their protocol", () => {
    const found = findings(topology("web>db:http web>db:redis", { "web>db": "warning" }));
    expect(found.map((one) => one.title)).toEqual(["web → db HTTP", "web → db Redis"]);
  });
  it("finds nothing where all is well, also round a circle of calls", () => {
    expect(findings(topology("a>b b>a"))).toEqual([]);
  });
});

describe("filter", () => {
  const map = topology("go>redis:redis web>redis:redis web>go", { redis: "critical" });
  const around = neighbourhood(map);
  const hits = (text: string) => map.nodes.filter((node) => nodeMatches(parseFilter(text), node, around)).map((node) => node.name).sort();
  it("reads names, keys and negation", () => {
    expect(hits("lang:go")).toEqual(["go"]);
    expect(hits("proto:redis")).toEqual(["go", "redis", "web"]);
    expect(hits("status:critical")).toEqual(["redis"]);
    expect(hits("-lang:go web")).toEqual(["web"]);
    expect(hits("nobody")).toEqual([]);
    expect(hits("")).toHaveLength(3);
  });
  it("judges edges by themselves where the key is theirs", () => {
    expect(map.edges.filter((edge) => edgeMatches(parseFilter("proto:redis"), edge, around))).toHaveLength(2);
  });
  it("leaves attributes of requests to the server, to the letter and in the language of its search", () => {
    expect(spanFilter(parseFilter('attr:user.tier=Gold -attr:http.route=/cart attr:"shop.name=a b" web lang:go'))).toBe('user.tier:Gold -http.route:/cart shop.name:"a b"');
    for (const unfinished of ["attr:", "attr:user", "attr:user.tier=", "attr:=x", "attr:7=x"]) expect(spanFilter(parseFilter(unfinished))).toBe("");
    expect(hits("attr:user.tier=gold")).toHaveLength(3);
    expect(hits("-attr:user.tier=gold web")).toEqual(["web"]);
    expect(map.edges.every((edge) => edgeMatches(parseFilter("attr:user.tier=gold"), edge, around))).toBe(true);
  });
  it("knows of a map whether it was estimated", () => {
    expect(readTopology({ sampled: { filter: "a:b", spans: 7, spans_without_probability: 2 } }).sampled).toEqual({ filter: "a:b", spans: 7, untold: 2 });
    expect(readTopology({ sampled: null }).sampled).toBeNull();
  });
  it("takes any text", () => {
    for (const text of ["::::", '"', "lang:", "-", "a".repeat(5000), "proto:\u0000"]) expect(() => hits(text)).not.toThrow();
  });
});

describe("kinds", () => {
  it("knows what a node is by what it is called with", () => {
    const around = neighbourhood(topology("a>b:postgresql"));
    const b = around.byId.get(service("b"));
    expect(b && glyphOf(b, around.incoming.get(b.id) ?? [])).toBe("database");
  });
  it("docks a quiet callee of many, and not one that is in trouble", () => {
    const links = ["a", "b", "c", "d", "e", "f"].map((name) => `${name}>dns:dns`).join(" ");
    const quiet = neighbourhood(topology(links));
    const loud = neighbourhood(topology(links, { dns: "critical" }));
    const hub = (around: typeof quiet) => isHub(around.byId.get(service("dns"))!, around.incoming.get(service("dns"))!);
    expect([hub(quiet), hub(loud)]).toEqual([true, false]);
  });
  it("says when only callers were watched", () => {
    const map = topology("a>b");
    map.edges[0]!.server = null;
    const around = neighbourhood(map);
    expect(seenFromCallersOnly(around.byId.get(service("b"))!, around.incoming.get(service("b"))!)).toBe(true);
  });
});

describe("layout", () => {
  const pinned: Layout = { nodes: { [service("a")]: { x: 0, y: 0 }, [service("b")]: { x: 0, y: 156 } }, bends: {}, inner: {} };
  it("moves nothing that is pinned and finds a free slot for what is new", () => {
    const placed = place(pinned, topology("a>b a>c"));
    expect(placed.nodes[service("a")]).toEqual({ x: 0, y: 0 });
    expect(placed.nodes[service("b")]).toEqual({ x: 0, y: 156 });
    const c = placed.nodes[service("c")]!;
    expect(c.y).toBe(156);
    expect(Math.abs(c.x)).toBeGreaterThanOrEqual(180);
  });
  it("is the same object when nothing is new, so that nothing is drawn anew", () => {
    expect(place(pinned, topology("a>b"))).toBe(pinned);
  });
  it("asks for a new picture only when much is new", () => {
    expect(needsNewLayout(pinned, topology("a>b b>c"))).toBe(false);
    expect(needsNewLayout(pinned, topology("c>d d>e e>f"))).toBe(true);
  });
  it("docks what has no edges below the rest", () => {
    const map = topology("a>b", { alone: "ok" });
    const { input, docked } = split(map);
    expect(docked).toEqual([service("alone")]);
    expect(input.nodes).toHaveLength(2);
    const all = dock(pinned, docked);
    expect(all.nodes[service("alone")]!.y).toBeGreaterThan(bounds(Object.values(pinned.nodes)).bottom);
  });
  it("survives what somebody left in the browser's storage", () => {
    for (const bad of [null, "", "{", "7", "null", '{"nodes":null}', '{"nodes":{"a":{"x":"1"}}}', '{"nodes":{},"bends":{"e":[1,{"x":1}]}}']) expect(() => readLayout(bad)).not.toThrow();
    expect(readLayout(JSON.stringify(pinned))).toEqual(pinned);
  });
});

describe("the quick layout", () => {
  const input = (amount: number, links: [number, number][]) => ({ nodes: Array.from({ length: amount }, (_, index) => `n${index}`), edges: links.map(([a, b], index) => ({ id: String(index), source: `n${a}`, target: `n${b}` })) });
  it("puts callers above callees and takes circles", () => {
    const { nodes } = layered(input(4, [[0, 1], [1, 2], [2, 1], [2, 3], [3, 3]]));
    expect(nodes["n0"]!.y).toBeLessThan(nodes["n1"]!.y);
    expect(nodes["n1"]!.y).toBeLessThan(nodes["n2"]!.y);
    expect(nodes["n2"]!.y).toBeLessThan(nodes["n3"]!.y);
  });
  it("lays out two thousand services, none on another, in well under a second or two", () => {
    const before = performance.now();
    const links = Array.from({ length: 4000 }, (_, index): [number, number] => [(index * 7) % 1900, ((index * 7) % 1900) + 1 + (index % 90)]);
    const { nodes } = layered(input(2000, links));
    expect(performance.now() - before).toBeLessThan(3000);
    expect(new Set(Object.values(nodes).map(({ x, y }) => `${x} ${y}`)).size).toBe(2000);
  });
});

describe("geometry", () => {
  it("fits everything into the window", () => {
    const view = fit({ left: -500, right: 900, top: 0, bottom: 800 }, { width: 1000, height: 700 });
    for (const corner of [{ x: -500, y: 0 }, { x: 900, y: 800 }]) {
      const at = toScreen(corner, view);
      expect(at.x).toBeGreaterThan(0);
      expect(at.x).toBeLessThan(1000);
      expect(at.y).toBeGreaterThan(0);
      expect(at.y).toBeLessThan(700);
    }
  });
  it("keeps the point under the pointer where it is", () => {
    const view = fit({ left: 0, right: 500, top: 0, bottom: 500 }, { width: 900, height: 700 });
    const zoomed = zoomAt(view, 1.4, { x: 300, y: 200 });
    const layoutX = (300 - view.offsetX) / view.scaleX;
    expect(toScreen({ x: layoutX, y: 0 }, zoomed).x).toBeCloseTo(300, 6);
  });
  it("draws less the further one is away", () => {
    expect([plateAt(1, 1), plateAt(0.7, 0.7), plateAt(0.3, 0.3), plateAt(0.1, 0.1)].map((plate) => plate.detail)).toEqual(["full", "compact", "ring", "mark"]);
  });
  it("has no band without requests", () => {
    expect(bandWidth(0)).toBe(0);
    expect(bandWidth(null)).toBe(0);
    expect(bandWidth(1000)).toBeCloseTo(9.8, 1);
  });
  it("routes every direction to finite places", () => {
    const extent = { top: 30, bottom: 30, side: 86 };
    for (const to of [{ x: 0, y: 200 }, { x: 0, y: -200 }, { x: 300, y: 0 }, { x: -300, y: 10 }, { x: 0, y: 0 }]) {
      const drawn = route({ at: { x: 0, y: 0 }, extent }, { at: to, extent }, [], { out: 0, in: 0 });
      expect(drawn.path).toMatch(/^M[-\d. ]+C[-\d. ]+/);
      expect(drawn.path).not.toContain("NaN");
    }
  });
});

describe("labels", () => {
  const extent = { top: 30, bottom: 30, side: 86 };
  const wish = (id: string, x: number, required = false) => ({ id, width: 60, band: 4, priority: required ? 0 : 1, required, route: route({ at: { x, y: 0 }, extent }, { at: { x, y: 200 }, extent }, [], { out: 0, in: 0 }) });
  const window = { left: 0, right: 800, top: 0, bottom: 600 };
  it("never lets two overlap, and leaves a healthy one out before a bad one", () => {
    const placed = placeLabels([wish("a", 300), wish("b", 310), wish("c", 320, true), wish("d", 330)], [], window);
    expect(placed.map((label) => label.id)).toContain("c");
    const boxes = placed.map((label) => ({ left: label.anchor === "start" ? label.x : label.x - 60, right: label.anchor === "start" ? label.x + 60 : label.x, top: label.y - 27, bottom: label.y }));
    boxes.forEach((box, index) => boxes.slice(index + 1).forEach((other) => expect(overlaps(box, other)).toBe(false)));
  });
  it("stays off plates", () => {
    expect(placeLabels([wish("a", 300)], [{ left: 0, right: 800, top: 0, bottom: 600 }], window)).toEqual([]);
  });
});
