// The rows of a trace, only those in the window drawn. A treegrid: up and down move, left and right close and open.
import type { Signal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { count, milliseconds, plural } from "../../domain/format";
import { calleeOf, durationOf, endOf, startOf, type Call, type Row, type Times, type Tree } from "../../domain/tracetree";
import type { Glyph } from "../../domain/topology";
import { ratioText } from "../../domain/compare";
import { comparedCall, isUnusual, type Compared } from "../../domain/usual";
import { KindGlyph, Sign } from "../Sign";
import { useWidth } from "../useSize";
import { Bars, LABEL_ROOM } from "./Bars";
import type { View } from "./Overview";
import type { UsualOf } from "./useUsual";

const ROW = 29;
const SPARE = 12;

interface WaterfallProps {
  tree: Tree;
  rows: Row[];
  path: Map<string, Times[]>;
  /** What is usual, to stand beside each call; null while that is not shown or not known. */
  usual: UsualOf | null;
  selected: string;
  view: Signal<View>;
  /** Filled with what scrolls to a row. */
  scroll: { current: (row: number) => void };
  matches: (row: Row) => boolean;
  onSelect: (id: string) => void;
  onToggle: (row: Row, open: boolean) => void;
}

export function Waterfall({ tree, rows, path, usual, selected, view, scroll, matches, onSelect, onToggle }: WaterfallProps) {
  const box = useRef<HTMLDivElement>(null);
  const [scale, barWidth] = useWidth<HTMLDivElement>();
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    // On a narrow window the page scrolls instead of the rows.
    const ownScroll = () => getComputedStyle(element).overflowY !== "visible";
    const look = () => {
      const top = ownScroll() ? element.scrollTop : Math.max(0, -element.getBoundingClientRect().top);
      const seen = ((ownScroll() ? element.clientHeight : innerHeight) - ROW) / ROW;
      view.value = { top: top / ROW, seen: Math.max(1, seen) };
    };
    scroll.current = (row) => {
      if (ownScroll()) element.scrollTop = row * ROW;
      else scrollTo(0, scrollY + element.getBoundingClientRect().top + row * ROW);
    };
    look();
    const observer = new ResizeObserver(look);
    observer.observe(element);
    element.addEventListener("scroll", look, { passive: true });
    addEventListener("scroll", look, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener("scroll", look);
      removeEventListener("scroll", look);
    };
  }, []);
  const at = Math.max(0, rows.findIndex((row) => row.call.id === selected));
  // Steps of some rows: what is drawn changes now and then, not with every pixel.
  const from = Math.max(0, Math.floor(Math.min(view.value.top, rows.length) / SPARE) * SPARE - SPARE);
  const to = Math.min(rows.length, from + Math.ceil(view.value.seen) + 3 * SPARE);
  const ticks = useMemo(() => axis(tree.duration), [tree]);

  const show = (index: number) => {
    const row = rows[index];
    if (!row) return;
    onSelect(row.call.id);
    const { top, seen } = view.value;
    if (index < top) scroll.current(index);
    else if (index + 2 > top + seen) scroll.current(index + 2 - seen);
  };
  const keys = (event: KeyboardEvent) => {
    const row = rows[at];
    if (!row) return;
    const parent = () => rows.slice(0, at).findLastIndex((one) => one.depth < row.depth);
    if (event.key === "ArrowDown") show(Math.min(rows.length - 1, at + 1));
    else if (event.key === "ArrowUp") show(Math.max(0, at - 1));
    else if (event.key === "Home") show(0);
    else if (event.key === "End") show(rows.length - 1);
    else if (event.key === "ArrowRight") row.hasChildren && row.open ? show(at + 1) : onToggle(row, true);
    else if (event.key === "ArrowLeft") row.open ? onToggle(row, false) : show(Math.max(0, parent()));
    else return;
    event.preventDefault();
  };
  return (
    <div class={`wf${usual ? " usual" : ""}`} id="calls" ref={box} role="treegrid" aria-label="Calls" aria-rowcount={rows.length + 1} tabIndex={0} aria-activedescendant={selected ? `row-${selected}` : undefined} onKeyDown={keys}>
      <div class="ruler" role="row">
        <span class="t" role="columnheader">Call</span>
        <div class="scale" role="columnheader" aria-label="Time" ref={scale}>
          {ticks.map((tick) => (
            <span key={tick} style={{ left: `${((barWidth - LABEL_ROOM) * tick) / Math.max(tree.duration, 1e-6)}px` }}>{tick === 0 ? "0" : milliseconds(tick).replace(/\.0+(?=\D)/, "")}</span>
          ))}
        </div>
        {usual && <span class="u" role="columnheader">usually</span>}
      </div>
      <div role="presentation" style={{ height: `${from * ROW}px` }} />
      {rows.slice(from, to).map((row, index) => (
        <RowLine key={row.call.id} row={row} index={from + index} tree={tree} path={path.get(row.call.id) ?? []} width={barWidth} usual={usual} selected={row.call.id === selected} dimmed={!matches(row)} onSelect={onSelect} onToggle={onToggle} />
      ))}
      <div role="presentation" style={{ height: `${(rows.length - to) * ROW}px` }} />
    </div>
  );
}

function axis(duration: number): number[] {
  const rough = duration / 4.5;
  const power = 10 ** Math.floor(Math.log10(rough || 1));
  const size = [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough) ?? power * 10;
  const ticks: number[] = [];
  for (let at = 0; at <= duration * 0.97 && ticks.length < 12; at += size) ticks.push(at);
  return ticks;
}

interface RowLineProps extends Pick<WaterfallProps, "tree" | "onSelect" | "onToggle"> {
  row: Row;
  index: number;
  path: Times[];
  width: number;
  usual: UsualOf | null;
  selected: boolean;
  dimmed: boolean;
}

const GLYPHS: Record<string, Glyph> = { postgresql: "database", mysql: "database", redis: "cache", memcached: "cache", kafka: "queue", amqp: "queue", nats: "queue", dns: "dns" };

function RowLine({ row, index, tree, path, width, usual, selected, dimmed, onSelect, onToggle }: RowLineProps) {
  const { call, folded } = row;
  const glyph: Glyph = call.server ? (GLYPHS[call.span.protocol ?? ""] ?? "service") : (GLYPHS[call.span.protocol ?? ""] ?? "external");
  const all = [call, ...folded];
  const compared = usual && comparedCall(call, usual);
  const total = all.reduce((sum, one) => sum + durationOf(one), 0);
  return (
    <div id={`row-${call.id}`} class="row" role="row" aria-level={row.depth + 1} aria-rowindex={index + 2} aria-selected={selected} aria-expanded={row.hasChildren ? row.open : undefined} style={dimmed ? { opacity: 0.4 } : undefined} onClick={() => onSelect(call.id)}>
      <div class="nm" role="gridcell" style={{ paddingLeft: `${12 + Math.min(row.depth, 14) * 13}px` }}>
        <span class="tw" aria-hidden="true" onClick={() => (row.hasChildren || folded.length > 0) && onToggle(row, !row.open)}>
          {row.hasChildren ? (row.open ? "▼" : "▶") : folded.length ? "▶" : ""}
        </span>
        <KindGlyph glyph={glyph} size={14} />
        {call.failed && <Sign status="critical" size={12} />}
        <span class="el" title={`${calleeOf(call)} ${call.span.name}`}>
          <b>{calleeOf(call)}</b> <span class="mid">{call.span.name}</span>
          {folded.length > 0 && <b> × {count(all.length)}</b>}{folded.length > 0 && <span class="dim">, {milliseconds(total)} in all, slowest {milliseconds(durationOf(call))}</span>}
        </span>
      </div>
      <div role="gridcell" aria-label={`${milliseconds(folded.length ? total : durationOf(call))} from ${milliseconds(startOf(call))}${folded.length ? `, ${plural(folded.length, "more call")} of this shape` : ""}`}>
        <svg class="bars" aria-hidden="true">
          <Bars call={call} duration={tree.duration} path={path} width={width} usual={compared} label={folded.length ? milliseconds(total) : undefined} until={folded.length ? all.reduce((most, one) => Math.max(most, endOf(one)), 0) : undefined} />
          {folded.length > 0 && <path d={ticksOf(folded, tree.duration, width - LABEL_ROOM)} stroke="var(--s-server)" stroke-width="1.200" opacity=".5" />}
        </svg>
      </div>
      {usual && <UsualCell compared={compared} duration={tree.duration} />}
    </div>
  );
}

/** Of folded calls it is the slowest that is compared. */
function UsualCell({ compared, duration }: { compared: Compared | null; duration: number }) {
  if (!compared) return <div class="u dim" role="gridcell" title="Too few requests like it, or none of all are counted">–</div>;
  const unusual = isUnusual(compared, duration);
  const ratio = ratioText(compared.own, compared.usual);
  return (
    <div class="u" role="gridcell" title={`Median of ${count(compared.requests)} such requests, as the ${compared.side === "client" ? "caller" : "server"} saw them`}>
      <span class="dim">{milliseconds(compared.usual)}</span> <span class={unusual ? "b" : "dim"}>{ratio === "the same" ? "" : ratio}</span>
    </div>
  );
}

/** Where the folded calls begin, each pixel once. */
function ticksOf(calls: Call[], duration: number, room: number): string {
  const at = new Set(calls.map((call) => Math.round((startOf(call) / Math.max(duration, 1e-6)) * Math.max(1, room))));
  return [...at].map((x) => `M${x} 9v9`).join("");
}
