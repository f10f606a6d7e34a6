// The ribbon under the top bar: requests and failed ones over the last hours, with the range that is looked at. It is
// scrubber, range picker and history on every page: drag to select, drag the ends, arrow keys to move.
import { useRef, useState } from "preact/hooks";
import { clock, day, rate, share, zone, between } from "../domain/format";
import { RIBBON_BUCKETS, ribbonWindow, shift, timeTicks, type Interval, type Range } from "../domain/range";
import { fetchTimeline, type Bucket, type Timeline } from "../api/series";
import { useQuery } from "../state/query";
import { interval, live, now, pausedOrLive } from "../state/clock";
import { setRange, utc } from "../state/location";
import { rest, scrub, scrubbing } from "../state/scrub";
import { useWidth } from "./useSize";

const BASE = 30;
const HEIGHT = 46;

export function Ribbon() {
  const held = useRef<Interval | null>(null);
  // While the range is dragged or played, what it is dragged over stands still.
  const history = (scrubbing.value && held.current) || ribbonWindow(interval.value, now.value);
  held.current = history;
  const length = history.end - history.start;
  const read = useQuery(`timeline ${length} ${live.value ? "" : history.end}`, `${history.end} ${Math.floor(now.value / 5)}`, (signal) =>
    fetchTimeline(history, RIBBON_BUCKETS, signal),
  );
  const timeline = read.data ?? { ...history, buckets: [] };
  return (
    <div class="rib" role="region" aria-label="Time">
      <Totals timeline={read.data} />
      <Bars timeline={timeline} window={history} />
      <div class="r">
        <button class="ib" aria-label="Earlier" title="Earlier  [" onClick={() => setRange(shift(interval.value, -1, now.value))}>
          <Arrow path="M9 2 4 7l5 5" />
        </button>
        <button class="ib" aria-label="Later" title="Later  ]" disabled={live.value} onClick={() => setRange(shift(interval.value, 1, now.value))}>
          <Arrow path="M5 2l5 5-5 5" />
        </button>
        <button class="btn s" aria-pressed={live.value} title={live.value ? "Pause  P" : "Go on live  P"} onClick={() => setRange(pausedOrLive())}>
          <svg width="9" height="9" aria-hidden="true">
            {live.value ? <circle cx="4.5" cy="4.5" r="4" fill="var(--ok)" /> : <path d="M1 0h2.500v9H1zM5.500 0H8v9H5.500z" fill="var(--ink-2)" />}
          </svg>
          {live.value ? "Live" : "Paused"}
        </button>
      </div>
    </div>
  );
}

const Arrow = ({ path }: { path: string }) => (
  <svg width="14" height="14" viewBox="0 0 14 14" fill="none" stroke="currentColor" stroke-width="1.6" aria-hidden="true">
    <path d={path} />
  </svg>
);

/** Requests and failures of the selected range, from the buckets that lie in it. */
function Totals({ timeline }: { timeline: Timeline | null }) {
  const { start, end } = interval.value;
  const inside = timeline ? selectedBuckets(timeline, interval.value) : [];
  const requests = inside.reduce((sum, bucket) => sum + bucket.requests, 0);
  const errors = inside.reduce((sum, bucket) => sum + bucket.errors, 0);
  const seconds = timeline ? inside.length * ((timeline.end - timeline.start) / Math.max(1, timeline.buckets.length)) : 0;
  const ratio = requests > 0 ? errors / requests : null;
  return (
    <div class="l">
      {timeline === null ? "not known" : seconds > 0 ? <b>{rate(requests / seconds).replace("/s", " req/s")}</b> : "no requests"}
      {ratio !== null && ratio > 0 && (
        <>
          {" · "}
          <b class={ratio >= 0.01 ? "crit" : ""}>{share(ratio)} failed</b>
        </>
      )}
      <br />
      {day(start, utc.value)}, {zone(end, utc.value)}
    </div>
  );
}

function selectedBuckets(timeline: Timeline, { start, end }: Interval): Bucket[] {
  const width = (timeline.end - timeline.start) / Math.max(1, timeline.buckets.length);
  return timeline.buckets.filter((bucket, index): bucket is Bucket => {
    const middle = timeline.start + (index + 0.5) * width;
    return bucket !== null && bucket.requests > 0 && middle >= start && middle <= end;
  });
}

function Bars({ timeline, window }: { timeline: Timeline; window: Interval }) {
  const [box, width] = useWidth<HTMLDivElement>();
  const [drag, setDrag] = useState<Interval | null>(null);
  const from = useRef<number | null>(null);
  const grabbed = useRef<{ at: number; start: number; end: number } | null>(null);
  const length = window.end - window.start;
  const x = (at: number) => ((at - window.start) / length) * width;
  const timeAt = (event: PointerEvent) => {
    const left = box.current?.getBoundingClientRect().left ?? 0;
    const share = Math.min(1, Math.max(0, (event.clientX - left) / Math.max(1, width)));
    return window.start + share * length;
  };
  const selected = drag ?? interval.value;

  const down = (event: PointerEvent) => {
    (event.currentTarget as Element).setPointerCapture(event.pointerId);
    const at = timeAt(event);
    const { start, end } = interval.value;
    // Inside the range it is taken and moved; at its ends it is made longer or shorter; elsewhere a new one begins.
    const edge = x(end) - x(start) < 28 ? 3 : 7;
    if (x(at) > x(start) + edge && x(at) < x(end) - edge) {
      grabbed.current = { at, start, end };
      return;
    }
    const near = (edge: number) => Math.abs(x(edge) - x(at)) < 7;
    from.current = near(interval.value.start) ? interval.value.end : near(interval.value.end) ? interval.value.start : at;
    setDrag({ start: Math.min(at, from.current), end: Math.max(at, from.current) });
  };
  const move = (event: PointerEvent) => {
    if (grabbed.current) return scrub(moved(grabbed.current, timeAt(event) - grabbed.current.at, window, now.value));
    if (from.current === null) return;
    const at = timeAt(event);
    setDrag({ start: Math.min(at, from.current), end: Math.max(at, from.current) });
  };
  const up = () => {
    if (grabbed.current) {
      grabbed.current = null;
      rest();
      return;
    }
    from.current = null;
    if (drag && x(drag.end) - x(drag.start) > 3) {
      const untilNow = live.value && drag.end >= interval.value.end - length / 400;
      setRange(untilNow ? { kind: "last", seconds: Math.round(now.value - drag.start) } : { kind: "fixed", start: Math.round(drag.start), end: Math.round(drag.end) });
    }
    setDrag(null);
  };
  const keys = (event: KeyboardEvent) => {
    const direction = event.key === "ArrowLeft" ? -1 : event.key === "ArrowRight" ? 1 : 0;
    if (direction === 0) return;
    event.preventDefault();
    setRange(shift(interval.value, direction, now.value), "replace");
  };
  return (
    <div class="c" ref={box}>
      <svg
        role="slider" tabIndex={0} aria-label="Selected time" aria-valuemin={Math.round(window.start)} aria-valuemax={Math.round(window.end)}
        aria-valuenow={Math.round(selected.end)} aria-valuetext={between(selected.start, selected.end, utc.value)}
        onPointerDown={down} onPointerMove={move} onPointerUp={up} onPointerCancel={up} onKeyDown={keys}
      >
        <rect x={x(selected.start)} y="0" width={Math.max(2, x(selected.end) - x(selected.start))} height={HEIGHT} fill="var(--accent-soft)" />
        <Buckets timeline={timeline} selected={selected} x={x} />
        <line x1="0" x2={width} y1={BASE + 0.5} y2={BASE + 0.5} stroke="var(--line-2)" stroke-width=".5" />
        {timeTicks(window, Math.max(2, Math.floor(width / 90)), utc.value).map((at) => (
          <g key={at}>
            <line x1={x(at)} x2={x(at)} y1={BASE} y2={BASE + 3} stroke="var(--line-2)" />
            {x(at) > 18 && x(at) < width - 18 && (
              <text x={x(at)} y="43" font-size="11" text-anchor="middle" fill="var(--ink-3)">
                {length > 2 * 86_400 ? day(at, utc.value) : clock(at, utc.value, "minutes")}
              </text>
            )}
          </g>
        ))}
        <Handles left={x(selected.start)} right={x(selected.end)} />
      </svg>
    </div>
  );
}

const STEP_SECONDS = 60;

/** The range as far away as it was dragged, in whole steps; at the end of time it is live again. */
function moved({ start, end }: Interval, by: number, window: Interval, now: number): Range {
  const length = end - start;
  const step = length < 10 * STEP_SECONDS ? STEP_SECONDS / 6 : STEP_SECONDS;
  const to = Math.round((end + by) / step) * step;
  if (to >= now - step) return { kind: "last", seconds: Math.round(length) };
  const last = Math.max(window.start + length, to);
  return { kind: "fixed", start: last - length, end: last };
}

const Handles = ({ left, right }: { left: number; right: number }) => (
  <g fill="var(--accent)">
    <path d={`M${left} 0V${HEIGHT}M${right - 0.5} 0V${HEIGHT}`} stroke="var(--accent)" stroke-width="1.5" />
    <rect x={left - 2.5} y="15" width="5" height="14" rx="2" />
    <rect x={right - 3.5} y="15" width="5" height="14" rx="2" />
  </g>
);

function Buckets({ timeline, selected, x }: { timeline: Timeline; selected: Interval; x: (at: number) => number }) {
  const size = (timeline.end - timeline.start) / Math.max(1, timeline.buckets.length);
  const most = timeline.buckets.reduce((max, bucket) => Math.max(max, bucket?.requests ?? 0), 1);
  const bars: Record<"in" | "out" | "failed", string> = { in: "", out: "", failed: "" };
  timeline.buckets.forEach((bucket, index) => {
    if (!bucket || bucket.requests <= 0) return;
    const start = timeline.start + index * size;
    const left = x(start) + 0.5;
    const wide = Math.max(0.6, x(start + size) - x(start) - 1);
    const height = Math.max(1, (bucket.requests / most) * 22);
    const middle = start + size / 2;
    const where = middle >= selected.start && middle <= selected.end ? "in" : "out";
    bars[where] += `M${left.toFixed(1)} ${BASE}v${(-height).toFixed(1)}h${wide.toFixed(1)}V${BASE}z`;
    if (bucket.errors > 0) {
      const failed = Math.min(7.5, Math.max(1.5, (bucket.errors / bucket.requests) * 36));
      bars.failed += `M${left.toFixed(1)} ${BASE + 1}v${failed.toFixed(1)}h${wide.toFixed(1)}V${BASE + 1}z`;
    }
  });
  return (
    <>
      <path d={bars.out} fill="var(--p50)" opacity=".42" />
      <path d={bars.in} fill="var(--edge)" opacity=".85" />
      <path d={bars.failed} fill="var(--crit-g)" />
    </>
  );
}
