// Zoom, and the whole map small where only a part of it is in the window.
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { toScreen, type Size, type View } from "../../domain/geometry";
import { bounds, type Layout } from "../../domain/layout";
import { isBad, severity, type Status } from "../../domain/status";
import type { Topology } from "../../domain/topology";
import { memo } from "../memo";
import type { ViewControl } from "./useView";

const WIDTH = 166;
const HEIGHT = 100;
const FILL: Partial<Record<Status, string>> = { critical: "var(--crit-g)", warning: "var(--warn-g)", no_data: "var(--bg)" };

export function Overview({ topology, layout, control, size }: { topology: Topology; layout: Layout; control: ViewControl; size: Size }) {
  const box = bounds(topology.nodes.flatMap((node) => layout.nodes[node.id] ?? []));
  const topLeft = toScreen({ x: box.left, y: box.top }, control.view);
  const bottomRight = toScreen({ x: box.right, y: box.bottom }, control.view);
  const isWhole = topLeft.x >= -8 && topLeft.y >= -8 && bottomRight.x <= size.width + 8 && bottomRight.y <= size.height + 8;
  return (
    <div class="mm" role="group" aria-label="Overview">
      {!isWhole && <Small topology={topology} layout={layout} control={control} size={size} />}
      <div class="z">
        <button aria-label="Zoom out" onClick={() => control.zoom(1 / 1.3)}>−</button>
        <button title="Fit  0" onClick={control.fit}>Fit</button>
        <button aria-label="Zoom in" onClick={() => control.zoom(1.3)}>+</button>
        <button title="Text at its natural distance" onClick={control.whole}>100 %</button>
      </div>
    </div>
  );
}

interface Scaled {
  x: (at: number) => number;
  y: (at: number) => number;
}

function scaled(topology: Topology, layout: Layout): Scaled {
  const box = bounds(topology.nodes.flatMap((node) => layout.nodes[node.id] ?? []));
  const scaleX = (WIDTH - 24) / Math.max(1, box.right - box.left);
  const scaleY = (HEIGHT - 20) / Math.max(1, box.bottom - box.top);
  return { x: (at) => 12 + (at - box.left) * scaleX, y: (at) => 10 + (at - box.top) * scaleY };
}

function Small({ topology, layout, control, size }: { topology: Topology; layout: Layout; control: ViewControl; size: Size }) {
  const to = useMemo(() => scaled(topology, layout), [topology, layout]);
  const frame = useRef<SVGRectElement>(null);
  // The frame follows a gesture; the rest of the picture need not be drawn for it.
  useLayoutEffect(() => {
    const follow = ({ scaleX, scaleY, offsetX, offsetY }: View) => {
      const [left, top, right, bottom] = [to.x(-offsetX / scaleX), to.y(-offsetY / scaleY), to.x((size.width - offsetX) / scaleX), to.y((size.height - offsetY) / scaleY)];
      for (const [name, value] of [["x", left], ["y", top], ["width", right - left], ["height", bottom - top]] as const) frame.current?.setAttribute(name, value.toFixed(1));
    };
    follow(control.live());
    return control.onLive(follow);
  }, [control.view, to, size]);
  return (
    <svg width={WIDTH} height={HEIGHT} aria-hidden="true">
      <Whole topology={topology} layout={layout} to={to} />
      <rect ref={frame} rx="2" fill="none" stroke="var(--accent)" />
    </svg>
  );
}

/** Of large maps marks of one state are one path, and only bad edges are drawn. */
const MOST_SINGLE = 300;

const Whole = memo(function Whole({ topology, layout, to }: { topology: Topology; layout: Layout; to: Scaled }) {
  const at = (id: string) => {
    const point = layout.nodes[id];
    return point && { x: to.x(point.x), y: to.y(point.y) };
  };
  const isLarge = topology.nodes.length > MOST_SINGLE;
  const [wide, high] = isLarge ? [2, 2] : [14, 6];
  const lines = new Map<Status, string>();
  for (const edge of topology.edges) {
    const [a, b] = [at(edge.source), at(edge.target)];
    if (a && b && (!isLarge || isBad(edge.status))) lines.set(edge.status, `${lines.get(edge.status) ?? ""}M${a.x.toFixed(1)} ${a.y.toFixed(1)}L${b.x.toFixed(1)} ${b.y.toFixed(1)}`);
  }
  const marks = new Map<Status, string>();
  for (const node of topology.nodes) {
    const point = at(node.id);
    // What is bad is seen at any size.
    const more = isLarge && isBad(node.status) ? 2 : 0;
    if (point) marks.set(node.status, `${marks.get(node.status) ?? ""}M${(point.x - wide / 2 - more).toFixed(1)} ${(point.y - high / 2 - more).toFixed(1)}h${wide + 2 * more}v${high + 2 * more}h${-wide - 2 * more}z`);
  }
  const worstLast = <T,>(all: Map<Status, T>) => [...all].sort(([a], [b]) => severity(b) - severity(a));
  return (
    <>
      {worstLast(lines).map(([status, path]) => <path key={`line ${status}`} d={path} fill="none" stroke={FILL[status] ?? "var(--line-2)"} stroke-width={isBad(status) ? 1.2 : 0.6} />)}
      {worstLast(marks).map(([status, path]) => <path key={`mark ${status}`} d={path} fill={FILL[status] ?? "var(--p50)"} stroke={status === "no_data" ? "var(--none-g)" : "none"} />)}
    </>
  );
});
