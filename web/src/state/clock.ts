// The console's clock: the range that is looked at, as two times. While live it moves on every five seconds; a hidden
// tab stands still and catches up when it is seen again.
import { computed, signal } from "@preact/signals";
import { LIVE_STEP_SECONDS, resolve, type Interval } from "../domain/range";
import { range } from "./location";

const seconds = (): number => Date.now() / 1000;

export const now = signal(seconds());
export const live = computed(() => range.value.kind === "last");

let before: Interval = { start: 0, end: 0 };
/** The same object as long as its times are the same, so that nothing is asked twice. */
export const interval = computed<Interval>(() => {
  const next = resolve(range.value, now.value);
  if (next.start !== before.start || next.end !== before.end) before = next;
  return before;
});

export function startClock(): void {
  const tick = () => {
    if (!document.hidden) now.value = seconds();
  };
  setInterval(tick, LIVE_STEP_SECONDS * 1000);
  document.addEventListener("visibilitychange", tick);
}

/** Pausing keeps exactly what is seen; going on looks at as much again, up to now. */
export function pausedOrLive(): Parameters<typeof import("./location").setRange>[0] {
  const { start, end } = interval.peek();
  if (live.peek()) return { kind: "fixed", start, end };
  now.value = seconds();
  return { kind: "last", seconds: Math.round(end - start) };
}
