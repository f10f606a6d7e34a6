// A heat map: rows of durations, columns of time. A click on a cell or a drawn rectangle leads to what lies behind it;
// with the keyboard arrows move a cell, with Shift they widen it, Enter opens it. Diamonds are traces.
import { useRef, useState } from "preact/hooks";
import { clock, count, milliseconds, plural } from "../domain/format";
import { cellsIn, depth, isFailed, rectangleOfCells, type Heat, type Part } from "../domain/heat";
import { timeTicks, type Interval } from "../domain/range";
import type { Rectangle } from "../domain/rectangle";
import { crosshair, pointAt } from "../state/crosshair";
import { go, utc } from "../state/location";
import { useWidth } from "./useSize";

const LEFT = 56;
const FOOT = 18;

export interface Mark {
  id: string;
  at: number;
  duration: number;
  failed: boolean;
  href: string;
}

interface HeatCellsProps {
  data: Heat;
  /** Seconds of a column. */
  step: number;
  interval: Interval;
  label: string;
  /** What is counted: "request", "trace". */
  unit: string;
  selected?: Rectangle | null;
  marks?: Mark[];
  onSelect: (part: Rectangle) => void;
}

export function HeatCells({ data, step, interval: { start, end }, label, unit, selected, marks = [], onSelect }: HeatCellsProps) {
  const [box, width] = useWidth<HTMLDivElement>();
  const [part, setPart] = useState<Part | null>(null);
  const pressed = useRef(false);
  const rows = data.bounds.length;
  const row = rows <= 6 ? 22 : rows <= 12 ? 15 : 10;
  const high = rows * row;
  const room = Math.max(10, width - LEFT);
  const x = (at: number) => LEFT + ((at - start) / Math.max(1e-9, end - start)) * room;
  const y = (at: number) => (rows - 1 - at) * row;
  const cellAt = (event: PointerEvent): { x: number; y: number } => {
    const area = box.current?.getBoundingClientRect();
    const time = start + ((event.clientX - (area?.left ?? 0) - LEFT) / room) * (end - start);
    const column = data.times.findIndex((until) => time <= until);
    const line = rows - 1 - Math.floor((event.clientY - (area?.top ?? 0)) / row);
    return { x: column < 0 ? data.times.length - 1 : column, y: Math.min(rows - 1, Math.max(0, line)) };
  };
  const choose = (chosen: Part | null) => chosen && onSelect(rectangleOfCells(data, chosen, step));
  const down = (event: PointerEvent) => {
    if (event.button !== 0) return;
    pressed.current = true;
    (event.currentTarget as Element).setPointerCapture(event.pointerId);
    const at = cellAt(event);
    setPart({ x0: at.x, y0: at.y, x1: at.x, y1: at.y });
  };
  const move = (event: PointerEvent) => {
    const at = cellAt(event);
    pointAt((data.times[at.x] ?? start) - step / 2);
    if (pressed.current) setPart((now) => now && { ...now, x1: at.x, y1: at.y });
  };
  const up = () => {
    if (!pressed.current) return;
    pressed.current = false;
    setPart(null);
    if (part && cellsIn(data, part).count > 0) choose(part);
  };
  const keys = (event: KeyboardEvent) => {
    const by: Record<string, [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const step = by[event.key];
    if (step) setPart(movedPart(data, part, step, event.shiftKey));
    else if (event.key === "Enter") choose(part);
    else if (event.key === "Escape" && part) setPart(null);
    else return;
    event.preventDefault();
  };
  const total = data.cells.reduce((sum, cell) => sum + cell.count, 0);
  const inside = part && cellsIn(data, part);
  const frame = (of: Part) => {
    const [left, right] = [Math.min(of.x0, of.x1), Math.max(of.x0, of.x1)];
    const [low, top] = [Math.min(of.y0, of.y1), Math.max(of.y0, of.y1)];
    const from = Math.max(LEFT, x((data.times[left] ?? start) - step));
    return { x: from, y: y(top), width: Math.max(2, x(data.times[right] ?? end) - from), height: (top - low + 1) * row };
  };
  const said = inside ? `Selected: ${plural(Math.round(inside.count), unit)}, ${count(inside.failed)} failed` : "";
  return (
    <div ref={box} class="heat" style={{ height: `${high + FOOT}px` }} role="application" aria-label={`${label}: ${plural(Math.round(total), unit)}. Arrow keys move a cell, Shift widens it, Enter opens its traces.`} tabIndex={0} onKeyDown={keys} onBlur={() => !pressed.current && setPart(null)}>
      <svg width={width} height={high + FOOT} aria-hidden="true" onPointerDown={down} onPointerMove={move} onPointerUp={up} onPointerLeave={() => pointAt(null)} onPointerCancel={() => { pressed.current = false; setPart(null); }}>
        {data.bounds.slice(0, -1).map((bound, at) => (
          <text key={bound} x={LEFT - 6} y={y(at) + 4} text-anchor="end" font-size="11" fill="var(--ink-3)">{at % labelEvery(rows) === 0 ? milliseconds(bound).replace(/\.0+(?=\D)/, "") : ""}</text>
        ))}
        {Object.entries(pathsOf(data, step, { start, end }, x, y, row)).map(([kind, path]) => <path key={kind} class={kind} d={path} />)}
        {timeTicks({ start, end }, Math.max(2, Math.floor(room / 110)), utc.value).map((tick) => (
          <text key={tick} x={x(tick)} y={high + 13} text-anchor="middle" font-size="11" fill="var(--ink-3)">{x(tick) > LEFT + 16 && x(tick) < width - 16 ? clock(tick, utc.value, end - start < 300 ? "seconds" : "minutes") : ""}</text>
        ))}
        {selected && <Chosen part={selected} data={data} x={x} left={LEFT} right={width} high={high} row={row} />}
        {part && <rect {...frame(part)} fill="var(--accent)" fill-opacity=".12" stroke="var(--accent)" stroke-width="1.500" />}
        <Crosshair x={x} high={high} left={LEFT} right={width} />
        {marks.map((mark) => (
          <path key={mark.id} class="mark" d="M0-4.500l4.500 4.500-4.500 4.500-4.500-4.500z" fill="var(--surface)" stroke={mark.failed ? "var(--crit-g)" : "var(--ink)"} stroke-width="1.300"
            transform={`translate(${Math.min(width - 5, Math.max(LEFT, x(mark.at))).toFixed(1)} ${heightOf(data, mark.duration, row).toFixed(1)})`} onPointerDown={(event) => { event.stopPropagation(); go(mark.href); }} />
        ))}
      </svg>
      <p class="vh" role="status">{said}</p>
      {inside && <span class="sub heatsel">{said}</span>}
    </div>
  );
}

const labelEvery = (rows: number): number => (rows > 16 ? 4 : rows > 9 ? 2 : 1);

/** From nothing the newest, slowest cell that holds something. */
function movedPart(data: Heat, part: Part | null, [dx, dy]: [number, number], widen: boolean): Part {
  const last = data.cells.reduce<Heat["cells"][number] | null>((best, cell) => (!best || cell.x > best.x || (cell.x === best.x && cell.y > best.y) ? cell : best), null);
  if (!part) return { x0: last?.x ?? 0, y0: last?.y ?? 0, x1: last?.x ?? 0, y1: last?.y ?? 0 };
  const x1 = Math.min(data.times.length - 1, Math.max(0, part.x1 + dx));
  const y1 = Math.min(data.bounds.length - 1, Math.max(0, part.y1 + dy));
  return widen ? { ...part, x1, y1 } : { x0: x1, y0: y1, x1, y1 };
}

/** One path for each depth of colour: thousands of cells are a few elements. */
function pathsOf(data: Heat, step: number, { start, end }: Interval, x: (at: number) => number, y: (row: number) => number, row: number): Record<string, string> {
  const paths: Record<string, string> = {};
  const room = x(end) - x(start);
  const wide = Math.max(1, (step / Math.max(1e-9, end - start)) * room - 1);
  for (const cell of data.cells) {
    const kind = isFailed(cell) ? "hf" : `h${depth(cell.count, data.most)}`;
    const left = x(data.times[cell.x] ?? start) - wide - 1;
    if (left + wide < x(start)) continue;
    paths[kind] = `${paths[kind] ?? ""}M${Math.max(x(start), left).toFixed(1)} ${y(cell.y) + 0.5}h${wide.toFixed(1)}v${row - 1}h${(-wide).toFixed(1)}z`;
  }
  return paths;
}

/** Where a duration stands: between the bounds of its row, by the logarithm. */
function heightOf(data: Heat, duration: number, row: number): number {
  const rows = data.bounds.length;
  const at = data.bounds.findIndex((bound) => duration <= bound);
  if (at < 0) return row / 2;
  const upper = data.bounds[at] ?? 1;
  const lower = data.bounds[at - 1] ?? upper / 2;
  const share = Number.isFinite(upper) ? Math.min(1, Math.max(0, Math.log(Math.max(duration, 1e-6) / lower) / Math.log(upper / lower))) : 0.5;
  return (rows - at - share) * row;
}

function Chosen({ part, data, x, left, right, high, row }: { part: Rectangle; data: Heat; x: (at: number) => number; left: number; right: number; high: number; row: number }) {
  const from = Math.min(right, Math.max(left, x(part.t0)));
  const to = Math.min(right, Math.max(left, x(part.t1)));
  const top = part.d1 >= (data.bounds.at(-1) ?? 0) ? 0 : heightOf(data, part.d1, row);
  const low = Math.min(high, heightOf(data, part.d0, row));
  return <rect x={from} y={top} width={Math.max(2, to - from)} height={Math.max(2, low - top)} fill="none" stroke="var(--accent)" stroke-width="1.500" />;
}

function Crosshair({ x, high, left, right }: { x: (at: number) => number; high: number; left: number; right: number }) {
  const at = crosshair.value;
  if (at === null || x(at) < left || x(at) > right) return null;
  return <line x1={x(at)} x2={x(at)} y1="0" y2={high} stroke="var(--line-2)" stroke-dasharray="3 3" />;
}

/** What the colours mean. */
export function HeatKey({ most, failed, marks = false }: { most: number; failed: boolean; marks?: boolean }) {
  const amounts = [1, 2, 3, 4].map((level) => Math.max(1, Math.round(Math.expm1((Math.log1p(Math.max(1, most)) * level) / 4))));
  return (
    <span class="sub heatkey">
      <svg width="60" height="11" aria-hidden="true">{amounts.map((_, index) => <rect key={index} x={index * 15} width="14" height="11" class={`h${index + 1}`} />)}</svg>
      {[...new Set(amounts)].map((amount) => count(amount)).join(", ")} ok
      {failed && <><svg width="13" height="11" aria-hidden="true"><rect width="12" height="11" fill="var(--crit-g)" /></svg> half or more failed</>}
      {marks && <><svg width="11" height="11" aria-hidden="true"><path d="M5.500 1l4.500 4.500-4.500 4.500L1 5.500z" fill="none" stroke="var(--ink)" stroke-width="1.300" /></svg> trace</>}
    </span>
  );
}
