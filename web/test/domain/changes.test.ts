import { describe, expect, it } from "vitest";
import { callChanges, figureChange, operationChanges, operationName, runChanges, type Served } from "../../src/domain/changes";
import { beforeMoment, moved, parsePast, ratioText } from "../../src/domain/compare";
import { tsv } from "../../src/domain/tsv";
import { neighbourhood } from "../../src/domain/topology";
import { service, topology } from "./build";

describe("the time compared with", () => {
  const range = { start: 1_763_388_000, end: 1_763_389_800 };
  it("is the same time so long before, or a time of its own", () => {
    expect(parsePast("1d", range, true)).toEqual({ start: range.start - 86_400, end: range.end - 86_400, shift: 86_400, name: "yesterday" });
    expect(parsePast("30m", range, true)?.name).toMatch(/^30.min before$/);
    expect(parsePast(`${range.start - 600},${range.start}`, range, true)).toMatchObject({ shift: 600, end: range.start });
    for (const text of ["", "soon", "5,4", "1d,2d"]) expect(parsePast(text, range, true)).toBeNull();
  });
  it("before a moment is as long as what came after it", () => {
    expect(beforeMoment(range.end - 300, range)).toBe(`${range.end - 600},${range.end - 300}`);
    expect([...moved(new Map([[10, 1]]), 86_400)]).toEqual([[86_410, 1]]);
  });
  it("says how many times as much", () => {
    expect(ratioText(320, 100)).toBe("3.2×");
    expect(ratioText(100, 101)).toBe("the same");
    expect(ratioText(100, 0)).toBeNull();
  });
});

describe("what changed", () => {
  const served = (operation: string, resource: string, more: Partial<Served> = {}): Served => ({ protocol: "http", operation, resource, requests: 100, rate: 1, errorRatio: 0, p95: 10, ...more });
  it("names new, vanished and slower operations", () => {
    const texts = operationChanges([served("GET", "/a", { p95: 40 }), served("GET", "/new")], [served("GET", "/a"), served("GET", "/old")]).map((change) => change.text);
    expect(texts[0]).toMatch(/^GET \/new is new/);
    expect(texts[1]).toMatch(/^GET \/old is no longer called/);
    expect(texts[2]).toMatch(/^GET \/a: p95 40.ms, before 10.ms$/);
  });
  it("says nothing of a handful of requests, nor of what is much the same", () => {
    expect(figureChange(served("a", "b", { p95: 90, requests: 3 }), served("a", "b"))).toBeNull();
    expect(figureChange(served("a", "b", { p95: 12 }), served("a", "b"))).toBeNull();
    expect(figureChange(served("a", "b", { errorRatio: 0.2 }), served("a", "b"))).toMatch(/^20.% failed, before 0$/);
  });
  it("names callers and callees that came and went", () => {
    const found = callChanges(service("shop"), neighbourhood(topology("web>shop shop>db:redis")), neighbourhood(topology("web>shop shop>old:redis")));
    expect(found.map((change) => change.text)).toEqual([]);
    const seen = (links: string) => {
      const made = topology(links);
      return neighbourhood({ ...made, edges: made.edges.map((edge) => ({ ...edge, requests: 50 })) });
    };
    expect(callChanges(service("shop"), seen("web>shop shop>db:redis"), seen("web>shop shop>old:redis")).map((change) => change.text)).toEqual(["calls db (Redis): new", "calls old (Redis): no longer"]);
  });
  it("tells starts and ends of processes within the range", () => {
    const run = (name: string, start: number, end: number) => ({ id: `process:m/${name}`, name, start, end, attributes: {} });
    expect(runChanges([run("old", 10, 5000), run("fresh", 1500, 5000), run("gone", 10, 1200)], 1000, 5000).map((change) => change.text)).toEqual(["fresh started", "gone ended"]);
  });
  it("writes an operation once", () => {
    expect(operationName({ operation: "INSERT", resource: "INSERT INTO a" })).toBe("INSERT INTO a");
    expect(operationName({ operation: "GET", resource: "/a" })).toBe("GET /a");
  });
});

describe("copying a table", () => {
  it("gives one line a row, and no formula to a spreadsheet", () => {
    expect(tsv(["a", "b"], [["x\ty", 1], ["=cmd()", null], ["-1", -1]])).toBe("a\tb\nx y\t1\n'=cmd()\t\n'-1\t-1\n");
  });
});
