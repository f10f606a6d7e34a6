// The address is the state: what one sees can be sent to somebody who sees the same. Path and parameters are one
// signal; links inside the console change it without loading the page anew.
import { computed, signal } from "@preact/signals";
import { parseRange, rangeParams, timeText, type Interval, type Range } from "../domain/range";

interface Place {
  path: string;
  params: URLSearchParams;
}

const read = (): Place => ({ path: location.pathname, params: new URLSearchParams(location.search) });

export const place = signal<Place>(read());
export const path = computed(() => place.value.path);
export const param = (name: string): string => place.value.params.get(name) ?? "";

/** A broken escape in an address is no reason to fail: it is shown as it stands. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** What stands in the path after a page's own part. */
export const pathParts = (prefix: string): string[] => path.value.slice(prefix.length).split("/").map(decoded);

export const range = computed<Range>(() => parseRange(place.value.params));
export const utc = computed(() => place.value.params.get("tz") === "utc");

/** Parameters that go along to every page. */
const STICKY = ["start", "end", "last", "vs", "tz", "cluster"];

type Changes = Record<string, string | null | undefined>;

function addressOf(target: string, params: URLSearchParams): string {
  const text = params.toString().replace(/%3A/g, ":").replace(/%2F/g, "/").replace(/%3E/g, ">").replace(/%2C/g, ",");
  return text ? `${target}?${text}` : target;
}

function changed(params: URLSearchParams, changes: Changes): URLSearchParams {
  const next = new URLSearchParams(params);
  for (const [key, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "") next.delete(key);
    else next.set(key, value);
  }
  return next;
}

/** The address of a page of the console, with the time range that is looked at. */
export function href(target: string, params: Changes = {}): string {
  const kept = new URLSearchParams();
  for (const key of STICKY) {
    const value = place.value.params.get(key);
    if (value) kept.set(key, value);
  }
  return addressOf(target, changed(kept, params));
}

/** This page with other parameters. */
export const hrefHere = (changes: Changes): string => addressOf(place.value.path, changed(place.value.params, changes));

export function go(address: string, how: "push" | "replace" = "push"): void {
  if (address === location.pathname + location.search) return;
  if (how === "push") history.pushState(null, "", address);
  else history.replaceState(null, "", address);
  place.value = read();
}

export const setParams = (changes: Changes, how: "push" | "replace" = "replace"): void => go(hrefHere(changes), how);
export const setRange = (next: Range, how: "push" | "replace" = "push"): void => setParams(rangeParams(next), how);

/** The link for somebody else: always with absolute times, even while live. */
export function absoluteLink(interval: Interval): string {
  const times = { start: timeText(interval.start), end: timeText(interval.end), last: null };
  return location.origin + hrefHere(times);
}

/** Links are real links (they can be opened in a tab); a plain click stays in the page. */
function followLink(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = (event.target as Element | null)?.closest?.("a[href]");
  if (!(link instanceof HTMLAnchorElement) || link.target || link.origin !== location.origin) return;
  if (link.pathname.startsWith("/api/") || link.hash) return;
  event.preventDefault();
  go(link.pathname + link.search);
}

export function startLocation(): void {
  addEventListener("popstate", () => {
    place.value = read();
  });
  document.addEventListener("click", followLink);
}
