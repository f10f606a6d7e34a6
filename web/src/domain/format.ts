// How numbers and times are written: three significant digits at most, two under 10, units always, a missing value is
// a dash and never a zero. Everything here is pure, so that two places can never write the same value in two ways.

const THIN = "\u2009";
export const MISSING = "–";
export type Maybe = number | null | undefined;

const known = (value: Maybe): value is number => typeof value === "number" && Number.isFinite(value);

/** Thousands are kept apart by a thin space. */
export function count(value: Maybe): string {
  if (!known(value)) return MISSING;
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+(?!\d))/g, THIN);
}

/** `digits` significant digits without trailing noise: 0.31, 4.1, 46, 186. */
function significant(value: number): string {
  if (value === 0) return "0";
  if (value >= 100) return count(value);
  if (value >= 10) return value.toFixed(value >= 99.5 ? 0 : 1).replace(/\.0$/, "");
  if (value >= 1) return value.toFixed(1).replace(/\.0$/, "");
  return value.toPrecision(2).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
}

/** The rate without its unit, for columns whose head says it. */
export const perSecond = (value: Maybe): string => rate(value).replace("/s", "");

export function rate(value: Maybe): string {
  if (!known(value)) return MISSING;
  if (value >= 1e6) return `${significant(value / 1e6)}${THIN}M/s`;
  if (value >= 1e4) return `${significant(value / 1e3)}${THIN}k/s`;
  if (value > 0 && value < 0.01) return "< 0.01/s";
  return `${significant(value)}/s`;
}

/** A share from 0 to 1. "0.00 %" would claim more than is known, so small ones are "< 0.01 %". */
export function share(value: Maybe): string {
  if (!known(value)) return MISSING;
  const percent = value * 100;
  if (percent === 0) return "0";
  if (percent < 0.01) return `<${THIN}0.01${THIN}%`;
  if (percent >= 99.95 && percent < 100) return `99.9${THIN}%`;
  const text = percent < 0.1 ? percent.toFixed(2) : percent.toFixed(1).replace(/\.0$/, "");
  return `${text}${THIN}%`;
}

const at2 = (value: number, unit: string) => {
  const text = value >= 99.5 ? value.toFixed(0) : value >= 9.95 ? value.toFixed(0) : value.toPrecision(2).replace(/\.0$|(\.\d)0$/, "$1");
  return `${text}${THIN}${unit}`;
};

/** Durations: 0.31 ms, 4.1 ms, 46 ms, 186 ms, 1.96 s, 2 min 5 s, 3 d 4 h. */
export function milliseconds(value: Maybe): string {
  if (!known(value)) return MISSING;
  if (value <= 0) return `0${THIN}ms`;
  if (value < 0.001) return `<${THIN}1${THIN}µs`;
  if (value < 0.1) return at2(value * 1000, "µs");
  if (value < 999.5) return at2(value, "ms");
  if (value < 59_950) {
    const seconds = value / 1000;
    const digits = seconds >= 9.995 ? 1 : 2;
    return `${seconds.toFixed(digits)}${THIN}s`;
  }
  return span(value / 1000);
}

/** A length of time in its two largest units. */
export function span(seconds: Maybe): string {
  if (!known(seconds)) return MISSING;
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole}${THIN}s`;
  const pairs: [number, string, number, string][] = [
    [86_400, "d", 3600, "h"],
    [3600, "h", 60, "min"],
    [60, "min", 1, "s"],
  ];
  for (const [big, bigUnit, small, smallUnit] of pairs) {
    if (whole < big) continue;
    const rest = Math.floor((whole % big) / small);
    const head = `${Math.floor(whole / big)}${THIN}${bigUnit}`;
    return rest ? `${head} ${rest}${THIN}${smallUnit}` : head;
  }
  return MISSING;
}

export function bytes(value: Maybe): string {
  if (!known(value)) return MISSING;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let scaled = value;
  let unit = 0;
  while (scaled >= 1024 && unit < units.length - 1) {
    scaled /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? count(scaled) : significant(scaled)}${THIN}${units[unit]}`;
}

const two = (value: number) => String(Math.trunc(value)).padStart(2, "0");

interface Parts {
  year: number;
  month: number;
  day: number;
  weekday: number;
  hours: number;
  minutes: number;
  seconds: number;
  milliseconds: number;
}

function parts(unixSeconds: number, utc: boolean): Parts {
  const date = new Date(unixSeconds * 1000);
  return utc
    ? {
        year: date.getUTCFullYear(), month: date.getUTCMonth(), day: date.getUTCDate(), weekday: date.getUTCDay(),
        hours: date.getUTCHours(), minutes: date.getUTCMinutes(), seconds: date.getUTCSeconds(),
        milliseconds: date.getUTCMilliseconds(),
      }
    : {
        year: date.getFullYear(), month: date.getMonth(), day: date.getDate(), weekday: date.getDay(),
        hours: date.getHours(), minutes: date.getMinutes(), seconds: date.getSeconds(),
        milliseconds: date.getMilliseconds(),
      };
}

const WEEKDAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

export type ClockDetail = "minutes" | "seconds" | "milliseconds";

export function clock(unixSeconds: Maybe, utc: boolean, detail: ClockDetail = "seconds"): string {
  if (!known(unixSeconds)) return MISSING;
  const p = parts(unixSeconds, utc);
  const minutes = `${two(p.hours)}:${two(p.minutes)}`;
  if (detail === "minutes") return minutes;
  if (detail === "seconds") return `${minutes}:${two(p.seconds)}`;
  return `${minutes}:${two(p.seconds)}.${String(p.milliseconds).padStart(3, "0")}`;
}

export function day(unixSeconds: Maybe, utc: boolean): string {
  if (!known(unixSeconds)) return MISSING;
  const p = parts(unixSeconds, utc);
  return `${WEEKDAYS[p.weekday]} ${p.day} ${MONTHS[p.month]}`;
}

/** The zone stands once on a page, in the ribbon. */
export function zone(unixSeconds: number, utc: boolean): string {
  if (utc) return "UTC";
  const minutes = -new Date(unixSeconds * 1000).getTimezoneOffset();
  if (minutes === 0) return "UTC";
  const rest = Math.abs(minutes) % 60;
  return `UTC${minutes < 0 ? "−" : "+"}${Math.floor(Math.abs(minutes) / 60)}${rest ? `:${two(rest)}` : ""}`;
}

/** "14:14 – 14:44"; with the day in front where the ends are on two days. */
export function between(start: number, end: number, utc: boolean): string {
  const seconds = end - start < 120 ? "seconds" : "minutes";
  const sameDay = day(start, utc) === day(end, utc);
  const left = clock(start, utc, seconds);
  const right = clock(end, utc, seconds);
  return sameDay ? `${left} – ${right}` : `${day(start, utc)} ${left} – ${day(end, utc)} ${right}`;
}

/** Nanoseconds come as decimal strings (they exceed 2^53); seconds as a number are exact enough to show. */
export function secondsOf(ns: string | null | undefined): number | null {
  if (ns === null || ns === undefined || !/^\d{1,20}$/.test(ns)) return null;
  const padded = ns.padStart(10, "0");
  return Number(padded.slice(0, -9)) + Number(padded.slice(-9)) / 1e9;
}

/** Names are shortened in the middle: both ends of a name carry its meaning. */
export function shorten(name: string, most: number): string {
  if (name.length <= most || most < 5) return name.length <= most ? name : name.slice(0, Math.max(1, most));
  const head = Math.ceil((most - 1) * 0.6);
  return `${name.slice(0, head)}…${name.slice(name.length - (most - 1 - head))}`;
}

export function plural(amount: number, one: string, many = `${one}${one.endsWith("s") ? "es" : "s"}`): string {
  return `${count(amount)} ${amount === 1 ? one : many}`;
}

/** A histogram's bound, in seconds: `0.5`, `+Inf`. */
export function secondsBound(text: string | undefined): number | null {
  if (text === "+Inf") return Infinity;
  const value = Number(text ?? NaN);
  return Number.isFinite(value) ? value : null;
}
