// The whole trace at once, a line a row: where in it one is. It is the rows' scroll bar: a click or a drag goes there.
import { useMemo, useRef } from "preact/hooks";
import type { Signal } from "@preact/signals";
import { endOf, startOf, type Row, type Tree } from "../../domain/tracetree";

const MOST = 1500;
const HIGH = 34;
const WIDE = 1000;

export interface View {
  /** The first row in the window, and how many are. */
  top: number;
  seen: number;
}

interface OverviewProps {
  tree: Tree;
  rows: Row[];
  view: Signal<View>;
  onGo: (row: number) => void;
}

export function Overview({ tree, rows, view, onGo }: OverviewProps) {
  const paths = useMemo(() => pathsOf(tree, rows), [tree, rows]);
  const box = useRef<HTMLDivElement>(null);
  const { top, seen } = view.value;
  const all = Math.max(1, rows.length);
  const most = Math.max(0, rows.length - seen);
  const goTo = (event: PointerEvent) => {
    const area = box.current?.getBoundingClientRect();
    if (!area || event.buttons === 0) return;
    onGo(Math.min(most, Math.max(0, ((event.clientY - area.top) / area.height) * all - seen / 2)));
  };
  const keys = (event: KeyboardEvent) => {
    const to: Record<string, number> = { ArrowDown: top + 3, ArrowUp: top - 3, PageDown: top + seen, PageUp: top - seen, Home: 0, End: most };
    const row = to[event.key];
    if (row === undefined) return;
    event.preventDefault();
    onGo(Math.min(most, Math.max(0, row)));
  };
  return (
    <div class="mini" ref={box} role="scrollbar" aria-orientation="vertical" aria-controls="calls" aria-label="Overview of the trace" aria-valuemin={0} aria-valuemax={Math.max(1, most)} aria-valuenow={Math.round(Math.min(top, most))} tabIndex={0} onKeyDown={keys} onPointerMove={goTo}
      onPointerDown={(event) => { (event.currentTarget as Element).setPointerCapture(event.pointerId); goTo(event); }}>
      <svg viewBox={`0 0 ${WIDE} ${HIGH}`} preserveAspectRatio="none" aria-hidden="true">
        <path d={paths.client} fill="var(--s-client)" />
        <path d={paths.server} fill="var(--s-server)" />
        <path d={paths.failed} fill="var(--crit-g)" />
        {most > 0 && <rect x="0" width={WIDE} y={(top / all) * HIGH} height={Math.max(3, (seen / all) * HIGH)} fill="var(--accent)" fill-opacity=".16" stroke="var(--accent)" stroke-width="1" vector-effect="non-scaling-stroke" />}
      </svg>
    </div>
  );
}

/** Of very many rows some stand for all; failed ones are always drawn. */
function pathsOf(tree: Tree, rows: Row[]): Record<"client" | "server" | "failed", string> {
  const paths = { client: "", server: "", failed: "" };
  const every = Math.ceil(rows.length / MOST);
  const step = HIGH / Math.max(4, rows.length);
  const x = (at: number) => (at / Math.max(tree.duration, 1e-6)) * WIDE;
  rows.forEach(({ call }, index) => {
    if (index % every !== 0 && !call.failed) return;
    const kind = call.failed ? "failed" : call.server ? "server" : "client";
    const wide = Math.max(1, x(endOf(call)) - x(startOf(call)));
    const high = Math.max(0.6, Math.min(3, step - 0.5));
    paths[kind] += `M${x(startOf(call)).toFixed(1)} ${(0.5 + index * step).toFixed(2)}h${wide.toFixed(1)}v${high.toFixed(2)}h${(-wide).toFixed(1)}z`;
  });
  return paths;
}
