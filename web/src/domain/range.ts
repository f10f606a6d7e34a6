// One time range for the whole console. It lives in the address: `last=30m` follows the clock, `start` and `end` stand
// still; unset means the last 30 minutes, so that links stay short.

export const DEFAULT_SECONDS = 1800;
export const LIVE_STEP_SECONDS = 5;
const LONGEST_SECONDS = 366 * 86_400;
const UNITS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 };

export type Range = { kind: "last"; seconds: number } | { kind: "fixed"; start: number; end: number };
export interface Interval {
  start: number;
  end: number;
}

export function parseSpan(text: string): number | null {
  const match = /^(\d{1,7})([smhd])$/.exec(text.trim());
  if (!match) return null;
  const seconds = Number(match[1]) * (UNITS[match[2] ?? ""] ?? 0);
  return seconds > 0 && seconds <= LONGEST_SECONDS ? seconds : null;
}

export function spanText(seconds: number): string {
  for (const [unit, size] of [["d", 86_400], ["h", 3600], ["m", 60]] as const) {
    if (seconds >= size && seconds % size === 0) return `${seconds / size}${unit}`;
  }
  return `${Math.round(seconds)}s`;
}

/** Unix seconds (a fraction is allowed) or RFC 3339, as in the API. */
export function parseTime(text: string): number | null {
  if (/^\d{1,11}(\.\d{1,9})?$/.test(text)) return Number(text);
  if (!/^\d{4}-\d{2}-\d{2}T/.test(text)) return null;
  const parsed = Date.parse(text);
  return Number.isNaN(parsed) ? null : parsed / 1000;
}

export function parseRange(params: URLSearchParams): Range {
  const start = parseTime(params.get("start") ?? "");
  const end = parseTime(params.get("end") ?? "");
  if (start !== null && end !== null && end > start) {
    return { kind: "fixed", start, end: Math.min(end, start + LONGEST_SECONDS) };
  }
  return { kind: "last", seconds: parseSpan(params.get("last") ?? "") ?? DEFAULT_SECONDS };
}

/** The parameters that say this range; null removes one. */
export function rangeParams(range: Range): Record<string, string | null> {
  if (range.kind === "fixed") return { start: timeText(range.start), end: timeText(range.end), last: null };
  const last = range.seconds === DEFAULT_SECONDS ? null : spanText(range.seconds);
  return { start: null, end: null, last };
}

export const timeText = (unixSeconds: number): string => String(Math.round(unixSeconds * 1000) / 1000);

/** A live range ends at a whole step of the clock, so that all queries of one moment ask for the same. */
export function resolve(range: Range, now: number): Interval {
  if (range.kind === "fixed") return { start: range.start, end: range.end };
  const end = Math.floor(now / LIVE_STEP_SECONDS) * LIVE_STEP_SECONDS;
  return { start: end - range.seconds, end };
}

/** Earlier and later move by half of what is seen; later than now means live again. */
export function shift(interval: Interval, direction: -1 | 1, now: number): Range {
  const length = interval.end - interval.start;
  const end = interval.end + (direction * length) / 2;
  if (end >= now) return { kind: "last", seconds: Math.round(length) };
  return { kind: "fixed", start: end - length, end };
}

const STEPS = [60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 86_400, 7 * 86_400];

/** Wider or narrower, live ranges stay live. */
export function scale(range: Range, interval: Interval, direction: -1 | 1): Range {
  const length = interval.end - interval.start;
  const next =
    direction > 0 ? STEPS.find((step) => step > length + 1) : STEPS.findLast((step) => step < length - 1);
  if (next === undefined) return range;
  if (range.kind === "last") return { kind: "last", seconds: next };
  const middle = (interval.start + interval.end) / 2;
  return { kind: "fixed", start: middle - next / 2, end: middle + next / 2 };
}

/** What the ribbon shows round a range: some hours, so that the range is seen in its history. */
export function ribbonWindow(interval: Interval, now: number): Interval {
  const wanted = (interval.end - interval.start) * 12;
  const length = [3600, 6 * 3600, 86_400, 7 * 86_400, 30 * 86_400].find((step) => step >= wanted) ?? LONGEST_SECONDS;
  const bucket = length / RIBBON_BUCKETS;
  const latest = Math.min(now, Math.max(interval.end, Math.min(now, interval.start + length * 0.75)));
  const end = Math.ceil(Math.max(latest, interval.end) / bucket) * bucket;
  return { start: end - length, end };
}

export const RIBBON_BUCKETS = 180;

/** Round points of a time axis: at most `most` of them, aligned to the viewer's own clock. */
export function timeTicks(interval: Interval, most: number, utc: boolean): number[] {
  const length = interval.end - interval.start;
  const sizes = [1, 5, 10, 30, 60, 300, 600, 900, 1800, 3600, 7200, 3 * 3600, 6 * 3600, 12 * 3600, 86_400, 7 * 86_400];
  const size = sizes.find((step) => length / step <= most) ?? 30 * 86_400;
  const offset = utc ? 0 : new Date(interval.start * 1000).getTimezoneOffset() * 60;
  const first = Math.ceil((interval.start - offset) / size) * size + offset;
  const ticks: number[] = [];
  for (let at = first; at <= interval.end && ticks.length < 40; at += size) ticks.push(at);
  return ticks;
}
