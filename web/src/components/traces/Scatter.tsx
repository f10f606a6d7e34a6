// Duration over time of the traces that were found: a point opens its trace, a drawn rectangle selects.
import { useRef, useState } from "preact/hooks";
import { clock, milliseconds, plural } from "../../domain/format";
import { timeTicks, type Interval } from "../../domain/range";
import { decades, durationAt, heightOf, rectangleText, shareOf, type Dot, type Rectangle } from "../../domain/scatter";
import { go, setParams, utc } from "../../state/location";
import { traceHref } from "../links";
import { useSize } from "../useSize";

const LEFT = 52;
const BOTTOM = 18;
const TOP = 6;

export function Scatter({ dots, interval, selected }: { dots: Dot[]; interval: Interval; selected: Rectangle | null }) {
  const [box, size] = useSize<HTMLDivElement>();
  const [drag, setDrag] = useState<{ x0: number; y0: number; x1: number; y1: number } | null>(null);
  const from = useRef<{ x: number; y: number } | null>(null);
  const scale = decades(dots.map((dot) => dot.duration));
  const width = Math.max(1, size.width - LEFT - 4);
  const height = Math.max(1, size.height - BOTTOM - TOP);
  const x = (at: number) => LEFT + shareOf(at, interval) * width;
  const y = (duration: number) => TOP + heightOf(duration, scale) * height;
  const at = (event: PointerEvent) => {
    const { left, top } = (event.currentTarget as Element).getBoundingClientRect();
    return { x: Math.min(LEFT + width, Math.max(LEFT, event.clientX - left)), y: Math.min(TOP + height, Math.max(TOP, event.clientY - top)) };
  };
  const down = (event: PointerEvent) => {
    if (event.button !== 0) return;
    from.current = at(event);
  };
  const move = (event: PointerEvent) => {
    if (!from.current || event.buttons === 0) return;
    const to = at(event);
    if (!drag && Math.hypot(to.x - from.current.x, to.y - from.current.y) < 4) return;
    (event.currentTarget as Element).setPointerCapture(event.pointerId);
    setDrag({ x0: Math.min(from.current.x, to.x), x1: Math.max(from.current.x, to.x), y0: Math.min(from.current.y, to.y), y1: Math.max(from.current.y, to.y) });
  };
  const up = (event: PointerEvent) => {
    from.current = null;
    if (!drag) return choose(event);
    const time = (left: number) => interval.start + ((left - LEFT) / width) * (interval.end - interval.start);
    const duration = (top: number) => durationAt((top - TOP) / height, scale);
    setParams({ sel: rectangleText({ t0: time(drag.x0), t1: time(drag.x1), d0: duration(drag.y1), d1: duration(drag.y0) }) }, "push");
    setDrag(null);
  };
  const choose = (event: PointerEvent) => {
    const { x: px, y: py } = at(event);
    const near = dots.map((dot) => ({ dot, far: Math.hypot(x(dot.start) - px, y(dot.duration) - py) })).sort((a, b) => a.far - b.far)[0];
    if (near && near.far < 9) go(traceHref(near.dot.id));
    else if (selected) setParams({ sel: null });
  };
  const failed = dots.filter((dot) => dot.failed).length;
  const shown = drag ?? (selected && { x0: x(selected.t0), x1: x(selected.t1), y0: y(selected.d1), y1: y(selected.d0) });
  const rows = Array.from({ length: scale.high - scale.low + 1 }, (_, index) => scale.low + index);
  return (
    <div class="scatter" ref={box}>
      <svg role="img" aria-label={`Durations of ${plural(dots.length, "trace")}, ${failed} with failures. The list below holds the same.`} onPointerDown={down} onPointerMove={move} onPointerUp={up}>
        {rows.map((power) => (
          <g key={power}>
            <line x1={LEFT} x2={LEFT + width} y1={y(10 ** power)} y2={y(10 ** power)} stroke="var(--line)" />
            <text x={LEFT - 6} y={y(10 ** power) + 4} font-size="11" text-anchor="end" fill="var(--ink-3)">{milliseconds(10 ** power)}</text>
          </g>
        ))}
        {timeTicks(interval, 7, utc.value).map((tick) => (
          <text key={tick} x={x(tick)} y={size.height - 4} font-size="11" text-anchor="middle" fill="var(--ink-3)">{clock(tick, utc.value, interval.end - interval.start < 300 ? "seconds" : "minutes")}</text>
        ))}
        {dots.filter((dot) => !dot.failed).map((dot) => <circle key={dot.id} cx={x(dot.start)} cy={y(dot.duration)} r="2.600" fill="var(--p95)" fill-opacity=".65" />)}
        {dots.filter((dot) => dot.failed).map((dot) => <path key={dot.id} d="M0-4.500l4.500 4.500-4.500 4.500-4.500-4.500z" transform={`translate(${x(dot.start).toFixed(1)} ${y(dot.duration).toFixed(1)})`} fill="var(--crit-g)" />)}
        {shown && <rect x={shown.x0} y={shown.y0} width={Math.max(1, shown.x1 - shown.x0)} height={Math.max(1, shown.y1 - shown.y0)} fill="var(--accent)" fill-opacity=".1" stroke="var(--accent)" stroke-width="1.500" />}
      </svg>
    </div>
  );
}
