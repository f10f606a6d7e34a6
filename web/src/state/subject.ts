// What a query is about, for useQuery: a live range moves on silently, another range is another subject.
import { interval, now } from "./clock";
import { range } from "./location";
import { scrubbing } from "./scrub";

export function subject(what: string): string {
  const current = range.value;
  if (scrubbing.value) return `${what} replay`;
  return current.kind === "last" ? `${what} last ${current.seconds}` : `${what} ${current.start} ${current.end}`;
}

/** A fixed range is read once; the live one at every step, and so is one that is dragged. */
export function moment(): string {
  if (scrubbing.value) return `${interval.value.start} ${interval.value.end}`;
  return range.value.kind === "last" ? String(interval.value.end) : "fixed";
}

/** The same, but not oftener than every so many seconds: for what is costly and changes little. */
export const slowMoment = (seconds: number): string => (range.value.kind === "last" ? String(Math.floor(now.value / seconds)) : "fixed");
