// Zoom, and the whole map small where only a part of it is in the window.
import { toScreen, type Size } from "../../domain/geometry";
import { bounds, type Layout } from "../../domain/layout";
import { isBad, type Status } from "../../domain/status";
import type { Topology } from "../../domain/topology";
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

function Small({ topology, layout, control, size }: { topology: Topology; layout: Layout; control: ViewControl; size: Size }) {
  const box = bounds(topology.nodes.flatMap((node) => layout.nodes[node.id] ?? []));
  const scaleX = (WIDTH - 24) / Math.max(1, box.right - box.left);
  const scaleY = (HEIGHT - 20) / Math.max(1, box.bottom - box.top);
  const at = (id: string) => {
    const point = layout.nodes[id];
    return point && { x: 12 + (point.x - box.left) * scaleX, y: 10 + (point.y - box.top) * scaleY };
  };
  const { view } = control;
  const left = 12 + (-view.offsetX / view.scaleX - box.left) * scaleX;
  const top = 10 + (-view.offsetY / view.scaleY - box.top) * scaleY;
  return (
    <svg width={WIDTH} height={HEIGHT} aria-hidden="true">
      {topology.edges.slice(0, 400).map((edge) => {
        const a = at(edge.source);
        const b = at(edge.target);
        if (!a || !b) return null;
        return <path key={edge.id} d={`M${a.x.toFixed(1)} ${a.y.toFixed(1)}L${b.x.toFixed(1)} ${b.y.toFixed(1)}`} stroke={FILL[edge.status] ?? "var(--line-2)"} stroke-width={isBad(edge.status) ? 1.2 : 0.6} />;
      })}
      {topology.nodes.map((node) => {
        const point = at(node.id);
        if (!point) return null;
        return <rect key={node.id} x={point.x - 7} y={point.y - 3} width="14" height="6" rx="1.500" fill={FILL[node.status] ?? "var(--p50)"} stroke={node.status === "no_data" ? "var(--none-g)" : "none"} />;
      })}
      <rect x={left} y={top} width={(size.width / view.scaleX) * scaleX} height={(size.height / view.scaleY) * scaleY} rx="2" fill="none" stroke="var(--accent)" />
    </svg>
  );
}
