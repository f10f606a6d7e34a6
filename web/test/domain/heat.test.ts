import { describe, expect, it } from "vitest";
import { apart, FACETS, mostTime, values, type Faceted } from "../../src/domain/facets";
import { depth, heat, isFailed } from "../../src/domain/heat";

const line = (le: string, status: string, points: [number, number][]) => ({ labels: { le, status }, points: new Map(points) });

describe("heat map", () => {
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

describe("facets", () => {
  const trace = (root: string, code: string | null, errors: number, slow: string | null): Faceted => ({ root, service: "web", code, errors, time: [{ service: slow, ms: 5 }] });
  const fast = Array.from({ length: 8 }, () => trace("GET /", "200", 0, "web"));
  const failed = [trace("POST /pay", "503", 1, "db"), trace("POST /pay", null, 1, null)];
  it("counts values and the failed ones among them", () => {
    const [result] = FACETS;
    if (!result) throw new Error("no facet");
    expect(values([...fast, ...failed], result)).toEqual([{ value: "200", count: 8, failed: 0 }, { value: "503", count: 1, failed: 1 }, { value: "failed", count: 1, failed: 1 }]);
  });
  it("tells what sets a selection apart, the largest difference first", () => {
    const found = apart(failed, fast);
    expect(found[0]).toEqual({ facet: "Root", value: "POST /pay", selected: 1, others: 0 });
    expect(found.every((one) => one.selected - one.others > 0.1)).toBe(true);
    expect(found.some((one) => one.facet === "Starts at")).toBe(false);
    expect(apart(failed, [])).toEqual([]);
  });
  it("ranks services by the time spent in them", () => {
    expect(mostTime([...fast, ...failed], 1)).toEqual(["web"]);
  });
});
