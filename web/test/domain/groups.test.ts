import { describe, expect, it } from "vitest";
import { expanded, stretching } from "../../src/domain/expand";
import { nodeMatches, parseFilter, withoutTerm } from "../../src/domain/filter";
import { grouped, groupFigure, groupingOf, groupsOf, labelsOf, openOf, openParam, opensByItself, standsFor } from "../../src/domain/groups";
import { layered } from "../../src/domain/layered";
import { placeInside, splitGroups, type Layout } from "../../src/domain/layout";
import { seeded } from "../../src/domain/levels";
import { neighbourhood, type Topology } from "../../src/domain/topology";
import { service, topology } from "./build";

/** web and cart on shop-1, checkout and postgres on shop-2. */
function shop(statuses: Record<string, string> = {}): Topology {
  const map = topology("web>cart web>checkout web>postgres:postgresql checkout>postgres:postgresql", statuses);
  for (const node of map.nodes) node.attributes["host.name"] = node.name === "web" || node.name === "cart" ? "shop-1" : "shop-2";
  return map;
}

describe("groups", () => {
  it("merges calls across a border and keeps what is inside an open group", () => {
    const { topology: shown, groups } = grouped(shop(), "host", new Set(["shop-1"]));
    expect(groups.map((group) => [group.value, group.isOpen, group.members.length])).toEqual([["shop-1", true, 2], ["shop-2", false, 2]]);
    expect(shown.nodes.map((node) => node.id).sort()).toEqual(["group:host:shop-2", service("cart"), service("web")].sort());
    const merged = shown.edges.find((edge) => edge.target === "group:host:shop-2");
    expect(merged?.parts?.length).toBe(2);
    expect(merged?.rate).toBe(20);
    expect(shown.edges.length).toBe(2);
  });
  it("has the worst state of its members, and says what it is", () => {
    const map = shop({ checkout: "critical", "web>checkout": "critical" });
    const { topology: shown } = grouped(map, "host", new Set());
    const two = shown.nodes.find((node) => node.name === "shop-2");
    expect(two?.status).toBe("critical");
    expect(two?.members?.[0]?.name).toBe("checkout");
    expect(groupFigure(two?.members ?? []).text).toBe("1 critical");
    expect(shown.edges.map((edge) => [edge.status, edge.parts?.length])).toEqual([["critical", 2]]);
  });
  it("opens by itself only what is critical, and only while there is room", () => {
    const groups = groupsOf(shop({ checkout: "critical" }), "host", new Set());
    expect(opensByItself(groups, 40)).toEqual(["shop-2"]);
    expect(opensByItself(groups, 1)).toEqual([]);
    expect(opensByItself(groupsOf(shop(), "host", new Set()), 40)).toEqual([]);
    expect(opensByItself(groups.slice(1), 40)).toEqual(["shop-2"]);
  });
  it("keeps what is open in the link, whatever its name", () => {
    expect(openOf("")).toBeNull();
    expect(openOf(openParam([]))).toEqual([]);
    expect(openOf(openParam(["a,b", "c d", "ü"]))).toEqual(["a,b", "c d", "ü"]);
    expect(openOf("%")).toEqual(["%"]);
  });
  it("groups by labels of one's own, and by nothing unless asked or too large", () => {
    const map = shop();
    map.nodes[0]!.attributes["team"] = "front";
    expect(labelsOf(map)).toContain("team");
    expect(labelsOf(map)).not.toContain("host.name");
    expect(groupsOf(map, "team", new Set()).map((group) => group.value)).toEqual(["front"]);
    expect([groupingOf("", map), groupingOf("none", map), groupingOf("host", map)]).toEqual(["", "", "host"]);
    const large: Topology = { nodes: Array.from({ length: 400 }, (_, at) => ({ ...map.nodes[0]!, id: service(`s${at}`), attributes: { "host.name": `h${at % 20}` } })), edges: [] };
    expect(groupingOf("", large)).toBe("host");
  });
});

describe("room for open groups", () => {
  it("keeps order and makes every interval as long as it asks for", () => {
    const move = stretching([{ from: 0, to: 10, size: 50 }, { from: 5, to: 15, size: 100 }, { from: 40, to: 50, size: 5 }]);
    const at = [-20, 0, 5, 10, 15, 30, 45, 60];
    const moved = at.map(move);
    expect(moved).toEqual([...moved].sort((a, b) => a - b));
    expect(move(10) - move(0)).toBeGreaterThanOrEqual(50);
    expect(move(15) - move(5)).toBeGreaterThanOrEqual(100);
    expect(move(50) - move(40)).toBe(10);
    expect(move(-20)).toBe(-20);
  });
  it("lets nothing stand on an open group, and its members stand in its frame", () => {
    const map = shop();
    const { input } = splitGroups(map, "host");
    const base: Layout = { nodes: { "group:host:shop-1": { x: 0, y: 0 }, "group:host:shop-2": { x: 188, y: 0 } }, bends: {}, inner: {} };
    for (const inside of input.insides ?? []) Object.assign(base.inner, layered(inside).nodes);
    const { layout, frames } = expanded(base, grouped(map, "host", new Set(["shop-1"])).groups);
    const [frame] = frames;
    expect(frames.length).toBe(1);
    for (const name of ["web", "cart"]) {
      const at = layout.nodes[service(name)]!;
      expect(at.x > frame!.box.left && at.x < frame!.box.right && at.y > frame!.box.top && at.y < frame!.box.bottom).toBe(true);
    }
    expect(layout.nodes["group:host:shop-2"]!.x - 86).toBeGreaterThan(frame!.box.right);
  });
  it("gives what is new in a group a place of its own", () => {
    const map = shop();
    const base: Layout = { nodes: {}, bends: {}, inner: { [service("web")]: { x: 0, y: 0 } } };
    const placed = placeInside(base, map, "host");
    expect(placed.inner[service("web")]).toEqual({ x: 0, y: 0 });
    expect(placed.inner[service("cart")]).not.toEqual({ x: 0, y: 0 });
    expect(placeInside(placed, map, "host")).toBe(placed);
  });
});

describe("levels", () => {
  it("puts a process where its service stands, and a second one beside it", () => {
    const services: Layout = { nodes: { [service("web")]: { x: 100, y: 50 } }, bends: {}, inner: {} };
    const map = topology("a>b");
    map.nodes.forEach((node) => (node.attributes["limpid.service"] = service("web")));
    const layout = seeded(services, map, "process")!;
    expect(layout.nodes[service("a")]).toEqual({ x: 100, y: 50 });
    expect(layout.nodes[service("b")]!.y).toBe(50);
    expect(layout.nodes[service("b")]!.x).not.toBe(100);
    expect(seeded(services, topology("a>b b>c"), "process")).toBeNull();
  });
});

describe("the filter", () => {
  it("asks any attribute by its name, and a group by its members", () => {
    const map = shop();
    map.nodes[0]!.attributes["deployment.environment.name"] = "test";
    const matching = (text: string, of = map) => of.nodes.filter((node) => nodeMatches(parseFilter(text), node, neighbourhood(of))).map((node) => node.name);
    expect(matching("deployment.environment.name:test")).toEqual([map.nodes[0]!.name]);
    expect(matching("host:shop-2").sort()).toEqual(["checkout", "postgres"]);
    map.nodes[1]!.firstSeen = 5;
    expect(matching("is:new")).toEqual([map.nodes[1]!.name]);
    expect(matching("is:gone")).toEqual([]);
    expect(matching("checkout", grouped(map, "host", new Set()).topology)).toEqual(["shop-2"]);
  });
  it("takes one term away and leaves the others as they were written", () => {
    const terms = parseFilter('lang:java -status:ok "a b"');
    expect(withoutTerm('lang:java -status:ok "a b"', terms[1]!)).toBe('lang:java "a b"');
  });
});

describe("a selection", () => {
  it("in a collapsed group is shown by the group, and a call by the edge that it is a part of", () => {
    const map = shop();
    const shown = grouped(map, "host", new Set(["shop-1"]));
    expect(standsFor(`node:${service("checkout")}`, shown)).toBe("node:group:host:shop-2");
    expect(standsFor(`node:${service("web")}`, shown)).toBe(`node:${service("web")}`);
    expect(standsFor(`edge:${service("web")}>${service("checkout")}:http`, shown)).toBe(`edge:${service("web")}>group:host:shop-2:*`);
    expect(standsFor("", shown)).toBe("");
  });
});
