// Latency over time as a heat map: drag to see the traces behind a part of it.
import { useState } from "preact/hooks";
import { queryRange } from "../../api/series";
import { clock, count, milliseconds, plural } from "../../domain/format";
import { depth, heat, isFailed, type Heat } from "../../domain/heat";
import { ofService, underBounds, type Matchers } from "../../domain/promql";
import { timeTicks } from "../../domain/range";
import { rectangleText, type Rectangle } from "../../domain/scatter";
import { term } from "../../domain/tracequery";
import { interval } from "../../state/clock";
import { go, href, utc } from "../../state/location";
import { useQuery } from "../../state/query";
import { slowMoment, subject } from "../../state/subject";
import { FailureLine } from "../states";
import { useWidth } from "../useSize";

const COLUMNS = 90;
const LEFT = 56;
const FOOT = 18;

export function HeatMap({ name, side }: { name: string; side: "server" | "client" }) {
  const { start, end } = interval.value;
  const size = Math.max(5, Math.ceil((end - start) / COLUMNS / 5) * 5);
  const of: Matchers = ofService(name, side);
  const query = useQuery(subject(`heat ${name} ${side}`), slowMoment(10), async (signal) => {
    const from = Math.ceil(start / size) * size;
    return heat(await queryRange(underBounds(of, `${size}s`), { start: from, end: Math.floor(end / size) * size }, size, signal));
  });
  if (query.data !== null && query.data.cells.length === 0) return null;
  return (
    <section class={query.stale ? "dimmed" : ""}>
      <div class="hd">
        <h2>Latency of all requests</h2>
        <span class="sub">{side === "client" ? "as its callers see them · " : ""}drag to see the traces behind it</span>
        {query.data && <Key most={query.data.most} failed={query.data.cells.some((cell) => cell.failed >= 0.5)} />}
      </div>
      <FailureLine what="The heat map" query={query} />
      {query.data ? <Cells data={query.data} size={size} name={name} /> : <div style={{ height: "120px" }} />}
    </section>
  );
}

const Key = ({ most, failed }: { most: number; failed: boolean }) => {
  const amounts = [1, 2, 3, 4].map((level) => Math.max(1, Math.round(Math.expm1((Math.log1p(Math.max(1, most)) * level) / 4))));
  return (
    <span class="sub heatkey">
      <svg width="60" height="11" aria-hidden="true">{amounts.map((_, index) => <rect key={index} x={index * 15} width="14" height="11" class={`h${index + 1}`} />)}</svg>
      {[...new Set(amounts)].map((amount) => count(amount)).join(", ")} ok
      {failed && <><svg width="13" height="11" aria-hidden="true"><rect width="12" height="11" fill="var(--crit-g)" /></svg> half or more failed</>}
    </span>
  );
};

function Cells({ data, size, name }: { data: Heat; size: number; name: string }) {
  const [box, width] = useWidth<HTMLDivElement>();
  const [drag, setDrag] = useState<{ x0: number; y0: number; x1: number; y1: number } | null>(null);
  const { start, end } = interval.value;
  const ROW = data.bounds.length <= 6 ? 22 : 15;
  const high = data.bounds.length * ROW;
  const room = Math.max(10, width - LEFT);
  const x = (at: number) => LEFT + ((at - start) / Math.max(1, end - start)) * room;
  const y = (row: number) => (data.bounds.length - 1 - row) * ROW;
  const wide = Math.max(1, (size / Math.max(1, end - start)) * room - 1);
  const at = (event: PointerEvent) => {
    const area = box.current?.getBoundingClientRect();
    return { x: Math.min(width, Math.max(LEFT, event.clientX - (area?.left ?? 0))), y: Math.min(high, Math.max(0, event.clientY - (area?.top ?? 0))) };
  };
  const chosen = drag && rectangleOf(drag, { data, start, end, room, row: ROW });
  const inside = chosen ? sums(data, chosen, size) : null;
  const up = () => {
    setDrag(null);
    if (!drag || !chosen || (drag.x1 - drag.x0 < 4 && drag.y1 - drag.y0 < 4)) return;
    go(href("/traces", { q: term("service", name), sel: rectangleText(chosen) }));
  };
  const rows = data.cells.reduce<Record<string, string>>((paths, cell) => {
    const kind = isFailed(cell) ? "hf" : `h${depth(cell.count, data.most)}`;
    const left = x(data.times[cell.x] ?? start) - wide - 1;
    if (left + wide < LEFT) return paths;
    paths[kind] = `${paths[kind] ?? ""}M${Math.max(LEFT, left).toFixed(1)} ${y(cell.y) + 0.5}h${wide.toFixed(1)}v${ROW - 1}h${(-wide).toFixed(1)}z`;
    return paths;
  }, {});
  const total = data.cells.reduce((sum, cell) => sum + cell.count, 0);
  return (
    <div ref={box} class="heat" style={{ height: `${high + FOOT}px` }}>
      <svg role="img" aria-label={`Latency of ${count(total)} requests of ${name} over time`} width={width} height={high + FOOT}
        onPointerDown={(event) => {
          (event.currentTarget as Element).setPointerCapture(event.pointerId);
          const from = at(event);
          setDrag({ x0: from.x, y0: from.y, x1: from.x, y1: from.y });
        }}
        onPointerMove={(event) => {
          const to = at(event);
          setDrag((now) => now && { ...now, x1: to.x, y1: to.y });
        }}
        onPointerUp={up} onPointerCancel={() => setDrag(null)}>
        {data.bounds.slice(0, -1).map((bound, row) => (
          <text key={bound} x={LEFT - 6} y={y(row) + 4} text-anchor="end" font-size="11" fill="var(--ink-3)">{row % labelEvery(data.bounds.length) === 0 ? milliseconds(bound).replace(/\.0+(?=\D)/, "") : ""}</text>
        ))}
        {Object.entries(rows).map(([kind, path]) => <path key={kind} class={kind} d={path} />)}
        {timeTicks({ start, end }, Math.max(2, Math.floor(room / 110)), utc.value).map((tick) => (
          <text key={tick} x={x(tick)} y={high + 13} text-anchor="middle" font-size="11" fill="var(--ink-3)">{x(tick) > LEFT + 16 && x(tick) < width - 16 ? clock(tick, utc.value, end - start < 300 ? "seconds" : "minutes") : ""}</text>
        ))}
        {drag && <rect x={Math.min(drag.x0, drag.x1)} y={Math.min(drag.y0, drag.y1)} width={Math.abs(drag.x1 - drag.x0)} height={Math.abs(drag.y1 - drag.y0)} fill="none" stroke="var(--accent)" stroke-width="1.500" />}
      </svg>
      <p class="vh" role="status">{inside ? `Selected: ${plural(Math.round(inside.count), "request")}` : ""}</p>
      {inside && <span class="sub heatsel">Selected: {plural(Math.round(inside.count), "request")}, {count(inside.failed)} failed</span>}
    </div>
  );
}

const labelEvery = (rows: number): number => (rows > 9 ? 2 : 1);

interface Frame {
  data: Heat;
  start: number;
  end: number;
  room: number;
  row: number;
}

/** The rectangle in seconds and milliseconds; rows count whole. */
function rectangleOf(drag: { x0: number; y0: number; x1: number; y1: number }, { data, start, end, room, row: high }: Frame): Rectangle {
  const time = (px: number) => start + ((px - LEFT) / room) * (end - start);
  const row = (py: number) => Math.min(data.bounds.length - 1, Math.max(0, data.bounds.length - 1 - Math.floor(py / high)));
  const [top, bottom] = [row(Math.min(drag.y0, drag.y1)), row(Math.max(drag.y0, drag.y1))];
  const upper = data.bounds[top] ?? 1e9;
  return { t0: time(Math.min(drag.x0, drag.x1)), t1: time(Math.max(drag.x0, drag.x1)), d0: data.bounds[bottom - 1] ?? 0.001, d1: Number.isFinite(upper) ? upper : 1e9 };
}

function sums(data: Heat, { t0, t1, d0, d1 }: Rectangle, size: number): { count: number; failed: number } {
  const inside = data.cells.filter((cell) => {
    const end = data.times[cell.x] ?? 0;
    return end > t0 && end - size < t1 && (data.bounds[cell.y] ?? 0) <= d1 && (data.bounds[cell.y] ?? 0) > d0;
  });
  return { count: inside.reduce((sum, cell) => sum + cell.count, 0), failed: Math.round(inside.reduce((sum, cell) => sum + cell.failed, 0)) };
}
