// Traces as points over time and duration: log rows, so that milliseconds and seconds are both seen.
import type { Interval } from "./range";

export interface Dot {
  id: string;
  /** Unix seconds, milliseconds. */
  start: number;
  duration: number;
  failed: boolean;
}

export interface Rectangle {
  t0: number;
  t1: number;
  d0: number;
  d1: number;
}

/** The rectangle of `sel=t0,t1,d0,d1`. */
export function parseRectangle(text: string): Rectangle | null {
  const [t0, t1, d0, d1] = text.split(",").map(Number);
  if (t0 === undefined || t1 === undefined || d0 === undefined || d1 === undefined) return null;
  return [t0, t1, d0, d1].every(Number.isFinite) && t1 > t0 && d1 > d0 ? { t0, t1, d0, d1 } : null;
}

export const rectangleText = ({ t0, t1, d0, d1 }: Rectangle): string => [t0.toFixed(1), t1.toFixed(1), d0.toPrecision(3), d1.toPrecision(3)].map(Number).join(",");

export const inside = (dot: Dot, { t0, t1, d0, d1 }: Rectangle): boolean => dot.start >= t0 && dot.start <= t1 && dot.duration >= d0 && dot.duration <= d1;

export interface Scale {
  low: number;
  high: number;
}

/** Whole decades round all durations, at least one. */
export function decades(durations: number[]): Scale {
  const known = durations.filter((duration) => duration > 0);
  if (known.length === 0) return { low: 0, high: 3 };
  const low = Math.floor(Math.log10(known.reduce((a, b) => Math.min(a, b))));
  const high = Math.ceil(Math.log10(known.reduce((a, b) => Math.max(a, b))) + 0.05);
  return { low: Math.max(-3, Math.min(low, high - 1)), high: Math.min(8, Math.max(high, low + 1)) };
}

/** 0 at the top of the picture, 1 at its bottom. */
export const heightOf = (duration: number, { low, high }: Scale): number => 1 - (Math.log10(Math.max(duration, 10 ** low)) - low) / (high - low);
export const durationAt = (height: number, { low, high }: Scale): number => 10 ** (low + (1 - height) * (high - low));
export const shareOf = (at: number, { start, end }: Interval): number => (at - start) / Math.max(1e-9, end - start);
