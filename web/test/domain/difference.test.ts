import { describe, expect, it } from "vitest";
import { beforeMoment, momentOn } from "../../src/domain/compare";
import { changeText, compared, differenceText, figureChanges, together, weightOf } from "../../src/domain/difference";
import { grouped } from "../../src/domain/groups";
import { isGone, isNew, isSilent, type Topology } from "../../src/domain/topology";
import { service, topology } from "./build";

type More = Partial<{ requests: number; rate: number; errorRatio: number; p95: number }>;
const figures = (more: More = {}) => ({ requests: 500, rate: 10, errorRatio: 0, p95: 100, ...more });

/** Everything has been asked often enough to be judged; what is named differs. */
function busy(links: string, differing: Record<string, More> = {}): Topology {
  const made = topology(links);
  return {
    nodes: made.nodes.map((node) => ({ ...node, ...figures(differing[node.name]) })),
    edges: made.edges.map((edge) => ({ ...edge, ...figures(differing[`${edge.source}>${edge.target}`.replaceAll(service(""), "")]) })),
  };
}

const differenceOf = (map: Topology | null, name: string) => [...(map?.nodes ?? []), ...(map?.edges ?? [])].find((thing) => thing.id === name || thing.id === service(name))?.difference;

describe("figures against those of another time", () => {
  it("are a change from half as much again on, what fails first", () => {
    expect(figureChanges(figures({ p95: 140 }), figures())).toEqual([]);
    expect(figureChanges(figures({ p95: 150 }), figures())?.map(changeText)).toEqual(["p95 ↑ 1.5×"]);
    expect(figureChanges(figures({ rate: 5, p95: 2100, errorRatio: 0.2 }), figures())?.map((one) => one.figure)).toEqual(["failed", "p95", "rate"]);
    expect(changeText({ figure: "rate", now: 5, before: 10, isMore: false })).toBe("rate ↓ 0.5×");
  });
  it("are not judged where there were too few", () => {
    expect(figureChanges(figures({ p95: 900, requests: 3 }), figures())).toBeNull();
    expect(figureChanges(figures({ p95: 900 }), figures({ requests: 3 }))).toBeNull();
  });
});

describe("a map against that of another time", () => {
  const now = busy("web>cart web>pay", { pay: { p95: 2100 }, "web>pay": { errorRatio: 0.2 } });
  const then = busy("web>cart web>pay web>old");
  const map = compared(now, then);
  it("says of each node and edge what has changed, and of the rest that it is the same", () => {
    expect(differenceText(differenceOf(map, "pay"))).toBe("p95 ↑ 21×");
    expect(differenceOf(map, `${service("web")}>${service("pay")}:http`)?.changes[0]).toMatchObject({ figure: "failed", isMore: true });
    expect(differenceOf(map, "cart")).toMatchObject({ kind: "same", changes: [] });
  });
  it("keeps what is gone, without figures, and marks what is new", () => {
    const old = map?.nodes.find((node) => node.name === "old");
    expect(old && isGone(old)).toBe(true);
    expect(old).toMatchObject({ rate: null, p95: null, difference: { kind: "gone", before: { rate: 10 } } });
    const line = map?.edges.find((edge) => edge.target === service("old"));
    expect(line && isSilent(line)).toBe(true);
    const other = compared(then, now);
    const fresh = other?.nodes.find((node) => node.name === "old");
    expect(fresh && isNew(fresh)).toBe(true);
  });
  it("of a time without data says nothing at all", () => {
    expect(compared(now, { nodes: [], edges: [] })).toBeNull();
  });
  it("puts what came and went first, then failures, then durations", () => {
    const weight = (name: string) => weightOf(differenceOf(map, name)) ?? -1;
    expect(weight("old")).toBeGreaterThan(weight(`${service("web")}>${service("pay")}:http`));
    expect(weight(`${service("web")}>${service("pay")}:http`)).toBeGreaterThan(weight("pay"));
    expect(weightOf(differenceOf(map, "cart"))).toBeNull();
  });
  it("says of a group how many of its members differ", () => {
    const members = map?.nodes ?? [];
    expect(together(members)).toMatchObject({ kind: "changed", parts: 2 });
    expect(together(members.filter((node) => node.name === "cart"))).toMatchObject({ kind: "same" });
    expect(together(members.filter((node) => node.name === "old"))).toMatchObject({ kind: "gone" });
    expect(together(now.nodes)).toBeUndefined();
    const group = map && grouped(map, "language", new Set()).topology.nodes.find((node) => node.members);
    expect(differenceText(group?.difference)).toBe("2 changed");
  });
});

describe("a moment that somebody has heard of", () => {
  const end = Date.UTC(2026, 10, 29, 1, 0, 0) / 1000;
  it("is the last time that a clock showed it", () => {
    expect(momentOn("00:32", end, true)).toBe(end - 28 * 60);
    expect(momentOn("14:32", end, true)).toBe(end - 10 * 3600 - 28 * 60);
    for (const text of ["", "25:00", "1432", "14:60"]) expect(momentOn(text, end, true)).toBeNull();
  });
  it("before the range is looked at for as long as the range", () => {
    const range = { start: end - 600, end };
    expect(beforeMoment(end - 300, range)).toBe(`${end - 600},${end - 300}`);
    expect(beforeMoment(end - 7200, range)).toBe(`${end - 7800},${end - 7200}`);
  });
});
