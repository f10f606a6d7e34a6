import { describe, expect, it } from "vitest";
import { readExploration } from "../../src/api/facets";
import { facetOf, mostTime, valueName } from "../../src/domain/facets";
import { cellsIn, depth, floored, heat, isFailed, rectangleOfCells } from "../../src/domain/heat";

const line = (le: string, status: string, points: [number, number][]) => ({ labels: { le, status }, points: new Map(points) });

describe("heat map", () => {
  it("has one row for all that is shorter than a microsecond", () => {
    const cell = (x: number, y: number, count: number) => ({ x, y, count, failed: 0 });
    const map = floored({ times: [1, 2], bounds: [0.00001, 0.0001, 0.001, 0.01], cells: [cell(0, 0, 2), cell(0, 1, 3), cell(0, 2, 1), cell(1, 3, 4)], most: 0 });
    expect(map.bounds).toEqual([0.001, 0.01]);
    expect(map.cells).toEqual([cell(0, 0, 6), cell(1, 1, 4)]);
    expect(map.most).toBe(6);
  });
  it("turns counts under bounds into counts between them, failed ones apart", () => {
    const map = heat([
      line("0.001", "ok", [[10, 4]]), line("0.01", "ok", [[10, 10]]), line("0.1", "ok", [[10, 10]]), line("+Inf", "ok", [[10, 10]]),
      line("0.001", "error", [[10, 0]]), line("0.01", "error", [[10, 0]]), line("0.1", "error", [[10, 3]]), line("+Inf", "error", [[10, 3]]),
    ]);
    expect(map.times).toEqual([10]);
    expect(map.cells).toEqual([{ x: 0, y: 0, count: 4, failed: 0 }, { x: 0, y: 1, count: 6, failed: 0 }, { x: 0, y: 2, count: 3, failed: 3 }]);
    expect(map.bounds).toEqual([1, 10, 100, Infinity]);
    expect(map.most).toBe(6);
    expect(map.cells.map(isFailed)).toEqual([false, false, true]);
  });
  it("leaves out rows that nothing falls into, but for one on each side", () => {
    const bounds = ["0.001", "0.01", "0.1", "1", "10", "+Inf"];
    const map = heat(bounds.map((le, index) => line(le, "ok", [[5, index >= 3 ? 7 : 0]])));
    expect(map.bounds).toEqual([100, 1000, 10_000]);
    expect(map.cells).toEqual([{ x: 0, y: 1, count: 7, failed: 0 }]);
  });
  it("is empty without data, and never counts below nothing", () => {
    expect(heat([])).toMatchObject({ cells: [], most: 0 });
    expect(heat([line("0.1", "ok", [[1, 5]]), line("+Inf", "ok", [[1, 4]]), line("odd", "ok", [[1, 9]])]).cells).toEqual([{ x: 0, y: 0, count: 5, failed: 0 }]);
  });
  it("has four depths by the logarithm of the count", () => {
    expect([1, 10, 100, 1000].map((count) => depth(count, 1000))).toEqual([1, 2, 3, 4]);
    expect(depth(0, 0)).toBe(1);
  });
});

describe("parts of a heat map", () => {
  const found = readExploration({ traces: 9, selected: 4, selects: true, heat: { start_ns: "100000000000", end_ns: "110000000000", columns: 5, bounds_ms: [1, 10, 100], cells: [{ x: 0, y: 0, traces: 3, failed: 0 }, { x: 4, y: 2, traces: 6, failed: 4 }] } });
  it("reads columns as the ends of their time", () => {
    expect(found.step).toBe(2);
    expect(found.heat.times).toEqual([102, 104, 106, 108, 110]);
    expect(found.heat.most).toBe(6);
    expect(readExploration({}).heat.cells).toEqual([]);
  });
  it("sums what lies inside and says it as times and durations, whichever corner came first", () => {
    const part = { x0: 4, y0: 2, x1: 3, y1: 1 };
    expect(cellsIn(found.heat, part)).toEqual({ count: 6, failed: 4 });
    expect(rectangleOfCells(found.heat, part, found.step)).toEqual({ t0: 106, t1: 110, d0: 1, d1: 100 });
    expect(rectangleOfCells(found.heat, { x0: 0, y0: 0, x1: 0, y1: 0 }, found.step)).toMatchObject({ t0: 100, t1: 102, d1: 1 });
  });
});

describe("facets", () => {
  it("are called as people say, attributes as they are", () => {
    expect(facetOf("code")).toEqual({ name: "Result", term: "code", own: true });
    expect(facetOf("limpid.failed_at").term).toBeNull();
    expect(facetOf("http.route")).toEqual({ name: "http.route", term: "http.route", own: false });
    expect(valueName("instance", "process:abc/12-345")).toBe("pid 345");
    expect(valueName("code", "process:abc/12-345")).toBe("process:abc/12-345");
  });
  it("ranks services by the time spent in them", () => {
    expect(mostTime([{ time: [{ service: "db", ms: 9 }, { service: null, ms: 50 }] }, { time: [{ service: "web", ms: 5 }] }], 1)).toEqual(["db"]);
  });
});
