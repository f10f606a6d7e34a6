// What a range is compared with: `vs=1d`, the same time so long before, or `vs=start,end`, a time of its own.
import { between, clock, day, span } from "./format";
import { parseSpan, parseTime, timeText, type Interval } from "./range";

export interface Past extends Interval {
  /** Seconds that the past lies before the range: added to its times it lies under the range. */
  shift: number;
  name: string;
}

const NAMES: Record<number, string> = { 3600: "an hour before", 86_400: "yesterday", [7 * 86_400]: "a week before" };

export function parsePast(text: string, { start, end }: Interval, utc: boolean): Past | null {
  const shift = parseSpan(text);
  if (shift !== null) return { start: start - shift, end: end - shift, shift, name: NAMES[shift] ?? `${span(shift)} before` };
  const [from, to] = text.split(",").map(parseTime);
  if (typeof from !== "number" || typeof to !== "number" || to <= from) return null;
  const onDay = day(from, utc) === day(start, utc) ? "" : `${day(from, utc)} `;
  return { start: from, end: to, shift: start - from, name: `from ${onDay}${clock(from, utc, "minutes")}` };
}

/** "Sat 28 Nov 14:14 – 14:44": with the day where it is not that of the range. */
export function pastTime({ start, end, shift }: Past, utc: boolean): string {
  const time = between(start, end, utc);
  const isOther = day(start, utc) !== day(start + shift, utc) && day(start, utc) === day(end, utc);
  return isOther ? `${day(start, utc)} ${time}` : time;
}

/** As long before a moment as the range goes on after it, at least a minute; before an older one as long as the range. */
export function beforeMoment(moment: number, { start, end }: Interval): string {
  const length = moment <= start ? end - start : Math.max(60, end - moment);
  return `${timeText(Math.round(moment - length))},${timeText(Math.round(moment))}`;
}

/** The last time before `end` that a clock showed this: "14:32". */
export function momentOn(text: string, end: number, utc: boolean): number | null {
  const match = /^\s*([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?\s*$/.exec(text);
  if (!match) return null;
  const [hours, minutes, seconds] = [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)];
  const date = new Date(end * 1000);
  const set = () => (utc ? date.setUTCHours(hours, minutes, seconds, 0) : date.setHours(hours, minutes, seconds, 0));
  set();
  if (date.getTime() / 1000 >= end) {
    date.setTime(date.getTime() - 86_400_000);
    // A day that is an hour longer or shorter still shows the time that was asked for.
    set();
  }
  return date.getTime() / 1000;
}

export const moved = (points: Map<number, number>, shift: number): Map<number, number> => new Map([...points].map(([at, value]) => [Math.round((at + shift) * 1000) / 1000, value]));

/** "3.2 times", "half": how a value stands to what it was; null where nothing can be said. */
export function ratioText(now: number | null | undefined, before: number | null | undefined): string | null {
  if (!now || !before) return null;
  const ratio = now / before;
  const times = (digits: string) => `${digits.replace(/\.0$/, "")}×`;
  if (ratio >= 1.1) return times(ratio >= 9.95 ? String(Math.round(ratio)) : ratio.toFixed(1));
  return ratio <= 0.9 ? times(ratio < 0.1 ? ratio.toPrecision(1) : ratio.toFixed(1)) : "the same";
}
