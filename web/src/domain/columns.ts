// Series of a chart on one grid of times.
import type { Interval } from "./range";

/** One column of times for all lines; where a line has no point there is a gap. */
export function columns(lines: { points: Map<number, number> }[], { start, end }: Interval, step: number): (number | null)[][] {
  const times = new Set<number>();
  for (const line of lines) for (const at of line.points.keys()) times.add(at);
  const first = [...times].sort((a, b) => a - b)[0];
  const grid: number[] = [];
  if (first !== undefined) {
    const from = first - Math.floor((first - start) / step) * step;
    // The last step is not finished: what it would show is too low.
    for (let at = from; at <= end - step / 2 && grid.length < 2000; at += step) grid.push(Math.round(at * 1000) / 1000);
  }
  return [grid, ...lines.map((line) => grid.map((at) => line.points.get(at) ?? null))];
}
