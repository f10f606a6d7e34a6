// The heat map of a service: how many requests took how long, over time. Rows are the bounds of the histogram's ladder,
// columns steps of time; every request counts, none is a sample.
import { secondsBound } from "./format";

interface Line {
  labels: Record<string, string>;
  points: Map<number, number>;
}

export interface Cell {
  /** Column and row; row 0 is the fastest. */
  x: number;
  y: number;
  count: number;
  failed: number;
}

export interface Heat {
  /** Ends of the columns, Unix seconds. */
  times: number[];
  /** Bounds between rows in milliseconds, the lowest row from 0; the last may be Infinity. */
  bounds: number[];
  cells: Cell[];
  most: number;
}

/** From counts under each bound to counts between them; rows without any request above or below the others go. */
export function heat(lines: Line[]): Heat {
  const bounds = [...new Set(lines.map((line) => secondsBound(line.labels["le"])))].filter((bound) => bound !== null).sort((a, b) => a - b);
  const times = [...new Set(lines.flatMap((line) => [...line.points.keys()]))].sort((a, b) => a - b);
  const under = (failed: boolean) => bounds.map((bound) => {
    const sums = new Map<number, number>();
    for (const line of lines) {
      if (secondsBound(line.labels["le"]) !== bound || (line.labels["status"] !== "ok") !== failed) continue;
      for (const [at, value] of line.points) sums.set(at, (sums.get(at) ?? 0) + value);
    }
    return sums;
  });
  const [ok, bad] = [under(false), under(true)];
  const within = (sums: Map<number, number>[], y: number, at: number) => Math.max(0, (sums[y]?.get(at) ?? 0) - (y > 0 ? (sums[y - 1]?.get(at) ?? 0) : 0));
  const cells: Cell[] = [];
  times.forEach((at, x) => bounds.forEach((_, y) => {
    const failed = within(bad, y, at);
    const count = within(ok, y, at) + failed;
    if (count >= 0.5) cells.push({ x, y, count, failed });
  }));
  return trimmed({ times, bounds: bounds.map((bound) => bound * 1000), cells, most: cells.reduce((most, cell) => Math.max(most, cell.count), 0) });
}

function trimmed(whole: Heat): Heat {
  if (whole.cells.length === 0) return whole;
  const low = Math.max(0, whole.cells.reduce((least, cell) => Math.min(least, cell.y), Infinity) - 1);
  const high = Math.min(whole.bounds.length - 1, whole.cells.reduce((most, cell) => Math.max(most, cell.y), 0) + 1);
  const cells = whole.cells.map((cell) => ({ ...cell, y: cell.y - low }));
  return { ...whole, bounds: whole.bounds.slice(low, high + 1), cells };
}

/** Shorter than a microsecond is one row: what is below has no length that could be told apart. */
const LEAST_MS = 0.001;

export function floored(whole: Heat): Heat {
  const low = Math.max(0, whole.bounds.findIndex((bound) => bound >= LEAST_MS * 0.999));
  const cells = new Map<string, Cell>();
  for (const cell of whole.cells) {
    const y = Math.max(0, cell.y - low);
    const known = cells.get(`${cell.x} ${y}`);
    cells.set(`${cell.x} ${y}`, { ...cell, y, count: cell.count + (known?.count ?? 0), failed: cell.failed + (known?.failed ?? 0) });
  }
  const list = [...cells.values()];
  return { ...whole, bounds: whole.bounds.slice(low), cells: list, most: list.reduce((most, cell) => Math.max(most, cell.count), 0) };
}

/** 1 to 4: the depth of a cell's colour, by the logarithm of its count. */
export const depth = (count: number, most: number): number => Math.min(4, Math.max(1, Math.ceil((Math.log1p(count) / Math.log1p(Math.max(1, most))) * 4)));

/** A cell is red when half of its requests failed; fewer are told by its small mark. */
export const isFailed = (cell: Cell): boolean => cell.failed * 2 >= cell.count;

/** A part of the picture: two corners, in cells. */
export interface Part {
  x0: number;
  y0: number;
  x1: number;
  y1: number;
}

const within = (value: number, a: number, b: number): boolean => value >= Math.min(a, b) && value <= Math.max(a, b);

export function cellsIn(data: Heat, part: Part): { count: number; failed: number } {
  const inside = data.cells.filter((cell) => within(cell.x, part.x0, part.x1) && within(cell.y, part.y0, part.y1));
  return { count: inside.reduce((sum, cell) => sum + cell.count, 0), failed: Math.round(inside.reduce((sum, cell) => sum + cell.failed, 0)) };
}

/** Seconds and milliseconds of whole cells; what is above the last bound or below the first is without a bound. */
export function rectangleOfCells(data: Heat, part: Part, step: number): { t0: number; t1: number; d0: number; d1: number } {
  const time = (column: number) => data.times[column] ?? 0;
  const upper = data.bounds[Math.max(part.y0, part.y1)] ?? 1e9;
  return {
    t0: time(Math.min(part.x0, part.x1)) - step,
    t1: time(Math.max(part.x0, part.x1)),
    d0: data.bounds[Math.min(part.y0, part.y1) - 1] ?? 0.0001,
    d1: Number.isFinite(upper) ? upper : 1e9,
  };
}
