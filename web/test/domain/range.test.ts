import { describe, expect, it } from "vitest";
import { parseRange, rangeParams, resolve, ribbonWindow, scale, shift, timeTicks } from "../../src/domain/range";

const parse = (text: string) => parseRange(new URLSearchParams(text));

describe("range in the address", () => {
  it("is the last half hour when unset, and says nothing then", () => {
    expect(parse("")).toEqual({ kind: "last", seconds: 1800 });
    expect(rangeParams({ kind: "last", seconds: 1800 })).toEqual({ start: null, end: null, last: null });
  });
  it("reads Unix seconds and RFC 3339", () => {
    expect(parse("start=1763388540.5&end=1763390340")).toEqual({ kind: "fixed", start: 1763388540.5, end: 1763390340 });
    expect(parse("start=2025-11-17T14:09:00Z&end=2025-11-17T14:39:00Z")).toEqual({ kind: "fixed", start: 1763388540, end: 1763390340 });
    expect(parse("last=6h")).toEqual({ kind: "last", seconds: 21_600 });
  });
  it("falls back on what it cannot read", () => {
    for (const bad of ["start=5&end=4", "start=x&end=y", "last=-1h", "last=9999999d", "last=", "start=1763388540"]) expect(parse(bad)).toEqual({ kind: "last", seconds: 1800 });
  });
  it("bounds what is asked for", () => {
    const range = parse("start=0&end=9999999999");
    expect(range.kind === "fixed" && range.end - range.start).toBe(366 * 86_400);
  });
});

describe("moving", () => {
  it("ends a live range at a step of the clock", () => {
    expect(resolve({ kind: "last", seconds: 60 }, 1003.7)).toEqual({ start: 940, end: 1000 });
  });
  it("goes back by half, and forward into the present is live", () => {
    expect(shift({ start: 1000, end: 2000 }, -1, 5000)).toEqual({ kind: "fixed", start: 500, end: 1500 });
    expect(shift({ start: 4000, end: 5000 }, 1, 5200)).toEqual({ kind: "last", seconds: 1000 });
  });
  it("widens and narrows in steps, and stops at the ends", () => {
    expect(scale({ kind: "last", seconds: 1800 }, { start: 0, end: 1800 }, 1)).toEqual({ kind: "last", seconds: 3600 });
    expect(scale({ kind: "last", seconds: 60 }, { start: 0, end: 60 }, -1)).toEqual({ kind: "last", seconds: 60 });
  });
  it("shows the range inside the ribbon, whatever it is", () => {
    for (const [start, end] of [[0, 1800], [90_000, 90_060], [0, 86_400 * 20]] as const) {
      const window = ribbonWindow({ start, end }, 100_000);
      expect(window.start).toBeLessThanOrEqual(start);
      expect(window.end).toBeGreaterThanOrEqual(end);
    }
  });
  it("has at most so many ticks, all inside", () => {
    const ticks = timeTicks({ start: 1763388540, end: 1763410140 }, 7, true);
    expect(ticks.length).toBeGreaterThan(2);
    expect(ticks.length).toBeLessThanOrEqual(8);
    for (const tick of ticks) expect(tick % 3600).toBe(0);
  });
});
