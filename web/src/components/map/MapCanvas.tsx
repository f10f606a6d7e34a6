// The map: an SVG whose nodes are buttons. Geometry comes from domain/, what is drawn at which zoom from the scene.
import { useMemo, useRef, useState } from "preact/hooks";
import type { Level, MapNode, Neighbourhood, Topology } from "../../domain/topology";
import { glyphOf, seenFromCallersOnly } from "../../domain/topology";
import type { Term } from "../../domain/filter";
import { plural } from "../../domain/format";
import { PITCH_X, type Layout, type Point } from "../../domain/layout";
import { deviates, severity } from "../../domain/status";
import { useSize } from "../useSize";
import { BothViews, EdgeLabel, ViewsBlock, viewLines } from "./EdgeLabel";
import { EdgeLine } from "./EdgeLine";
import { Legend } from "./Legend";
import { Overview } from "./Overview";
import { Plate } from "./Plate";
import { hubsOf, reachOf, scene } from "./scene";
import { spoken, summary } from "./spoken";
import { useMapKeys } from "./useMapKeys";
import { useView } from "./useView";

export interface MapCanvasProps {
  topology: Topology;
  around: Neighbourhood;
  layout: Layout;
  level: Level;
  terms: Term[];
  selection: string;
  show: string;
  stale: boolean;
  onSelect: (selection: string) => void;
  onMove: (id: string, to: Point) => void;
}

interface Grab {
  id: string | null;
  from: Point;
  last: Point;
  moved: boolean;
}

export function MapCanvas(props: MapCanvasProps) {
  const { topology, around, layout, selection, terms, show } = props;
  const [box, size] = useSize<HTMLDivElement>();
  const ids = useMemo(() => topology.nodes.map((node) => node.id), [topology]);
  const control = useView(layout, ids, size, box);
  const reach = useMemo(() => {
    const id = selection.startsWith("node:") ? selection.slice(5) : "";
    return id && (show === "upstream" || show === "downstream") ? reachOf(id, show, around) : null;
  }, [selection, show, around]);
  const drawn = useMemo(
    () => scene({ topology, around, layout, view: control.view, size, terms, selection, reach }),
    [topology, around, layout, control.view, size, terms, selection, reach],
  );
  const hubs = useMemo(() => hubsOf(topology, around), [topology, around]);
  const [focused, setFocused] = useState<string | null>(null);
  const keys = useMapKeys({ ...props, control, focused, setFocused, box });
  const grab = useRef<Grab | null>(null);

  const down = (event: PointerEvent) => {
    if (event.button !== 0) return;
    const node = (event.target as Element).closest("[data-node]");
    const at = { x: event.clientX, y: event.clientY };
    grab.current = { id: node?.getAttribute("data-node") ?? null, from: at, last: at, moved: false };
  };
  const move = (event: PointerEvent) => {
    const held = grab.current;
    if (!held || event.buttons === 0) return;
    const far = Math.hypot(event.clientX - held.from.x, event.clientY - held.from.y) > 4;
    if (!held.moved && !far) return;
    // Captured only now: a click must still reach what it was on.
    if (!held.moved) box.current?.setPointerCapture(event.pointerId);
    held.moved = true;
    const by = { x: event.clientX - held.last.x, y: event.clientY - held.last.y };
    held.last = { x: event.clientX, y: event.clientY };
    const at = held.id ? layout.nodes[held.id] : undefined;
    if (held.id && at) props.onMove(held.id, { x: at.x + by.x / control.view.scaleX, y: at.y + by.y / control.view.scaleY });
    else control.panBy(by.x, by.y);
  };
  const click = (event: MouseEvent) => {
    const dragged = grab.current?.moved;
    grab.current = null;
    if (dragged) return;
    const target = event.target as Element;
    const node = target.closest("[data-node]")?.getAttribute("data-node");
    if (node) props.onSelect(`node:${node}`);
    else if (!target.closest("[data-edge]") && selection) props.onSelect("");
  };

  const room = PITCH_X * control.view.scaleX;
  const rovingId = focused ?? topology.nodes.find((node) => deviates(node.status))?.id ?? topology.nodes[0]?.id;
  const nodes = [...drawn.nodes].sort((a, b) => tabOrder(a.node, b.node, layout));
  return (
    <div class={`cv${props.stale ? " dimmed" : ""}`} ref={box} onPointerDown={down} onPointerMove={move}>
      <svg class="m" role="group" aria-label={summary(topology, props.level)} onClick={click} onKeyDown={keys}>
        {drawn.edges.map(({ edge, route, dimmed }) => (
          <EdgeLine key={edge.id} edge={edge} route={route} dimmed={dimmed} selected={selection === `edge:${edge.id}`} signs={drawn.plate.detail !== "mark"}
            onSelect={(id) => !grab.current?.moved && props.onSelect(`edge:${id}`)} />
        ))}
        {nodes.map(({ node, at, dimmed }) => {
          const incoming = around.incoming.get(node.id) ?? [];
          const callersOnly = seenFromCallersOnly(node, incoming);
          const docked = hubs.has(node.id) ? `called by ${plural(new Set(incoming.map((edge) => edge.source)).size, "service")}` : "";
          return (
            <g key={node.id} class="node" role="button" data-node={node.id} tabIndex={node.id === rovingId || deviates(node.status) ? 0 : -1} aria-label={spoken(node, drawn.plate, room, docked || (callersOnly ? "seen from callers only" : ""))}
              aria-pressed={selection === `node:${node.id}`} opacity={dimmed ? 0.3 : undefined} transform={`translate(${at.x.toFixed(1)} ${at.y.toFixed(1)})`} onFocus={() => setFocused(node.id)}>
              <Plate node={node} glyph={glyphOf(node, incoming)} plate={drawn.plate} callersOnly={callersOnly} selected={selection === `node:${node.id}`}
                dockedText={docked} room={room} />
            </g>
          );
        })}
        <g aria-hidden="true">
          {drawn.labels.map(({ label, lines, dimmed }) => (
            <EdgeLabel key={label.id} label={label} lines={lines} dimmed={dimmed} />
          ))}
          {drawn.edges.filter(({ edge }) => selection === `edge:${edge.id}`).map(({ edge, route }) =>
            drawn.views ? <ViewsBlock key={edge.id} label={drawn.views} lines={viewLines(edge)} /> : <BothViews key={edge.id} edge={edge} route={route} />,
          )}
        </g>
      </svg>
      <Legend detail={drawn.plate.detail} topology={topology} around={around} />
      <Overview topology={topology} layout={layout} control={control} size={size} />
    </div>
  );
}

/** Findings first, then by rank and place, as one reads. */
function tabOrder(a: MapNode, b: MapNode, layout: Layout): number {
  const bad = (node: MapNode) => (deviates(node.status) ? severity(node.status) : 9);
  const at = (node: MapNode) => layout.nodes[node.id] ?? { x: 0, y: 0 };
  return bad(a) - bad(b) || at(a).y - at(b).y || at(a).x - at(b).x;
}
