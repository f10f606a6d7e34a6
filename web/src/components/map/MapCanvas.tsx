// The map: pointer, wheel and keys, and around the picture its legend and overview. Up to some hundred plates the
// picture is SVG, above that a canvas that a worker draws.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Frame } from "../../domain/expand";
import type { Term } from "../../domain/filter";
import { plateAt } from "../../domain/geometry";
import type { Layout, Point } from "../../domain/layout";
import { deviates } from "../../domain/status";
import type { Level, Neighbourhood, Topology } from "../../domain/topology";
import { useSize } from "../useSize";
import { CanvasPicture } from "./CanvasPicture";
import { Legend } from "./Legend";
import { Overview } from "./Overview";
import { edgeAt, nodeAt } from "./hits";
import { hubsOf, reachOf, scene, type SceneInput } from "./scene";
import { summary } from "./spoken";
import { SvgPicture } from "./SvgPicture";
import { useFlight } from "./useFlight";
import { useMapKeys } from "./useMapKeys";
import { useView } from "./useView";

export interface MapCanvasProps {
  topology: Topology;
  around: Neighbourhood;
  layout: Layout;
  frames: Frame[];
  level: Level;
  /** Which picture this is: level, grouping, open groups, how often tidied. Another one is fitted anew. */
  picture: string;
  terms: Term[];
  selection: string;
  show: string;
  stale: boolean;
  onSelect: (selection: string) => void;
  onMove: (id: string, by: Point) => void;
  onOpen: (id: string) => void;
}

interface Grab {
  id: string | null;
  from: Point;
  last: Point;
  moved: boolean;
}

/** Above this a canvas draws what SVG would be too slow for. */
export const MOST_PLATES = 300;

/** So many plates are drawn within a frame. */
const QUICKLY_DRAWN = 80;

export function MapCanvas(props: MapCanvasProps) {
  const { topology, around, layout, frames, selection, terms, show } = props;
  const [box, size] = useSize<HTMLDivElement>();
  const isLarge = topology.nodes.length > MOST_PLATES;
  const ids = useMemo(() => topology.nodes.map((node) => node.id), [topology]);
  const control = useView({ layout, frames, ids, picture: props.picture, size, box, follows: isLarge ? "itself" : topology.nodes.length > QUICKLY_DRAWN ? "stretched" : "redrawn" });
  const reach = useMemo(() => {
    const id = selection.startsWith("node:") ? selection.slice(5) : "";
    return id && (show === "upstream" || show === "downstream") ? reachOf(id, show, around) : null;
  }, [selection, show, around]);
  const input: SceneInput = { topology, around, layout, frames, view: control.view, size, terms, selection, reach };
  const flight = useFlight(props.picture, input);
  const drawn = useMemo(() => (isLarge ? null : scene(input)), [topology, around, layout, frames, control.view, size, terms, selection, reach, isLarge]);
  const hubs = useMemo(() => hubsOf(topology, around), [topology, around]);
  const [focused, setFocused] = useState<string | null>(null);
  const keys = useMapKeys({ ...props, control, focused, setFocused, box });
  const grab = useRef<Grab | null>(null);

  /** The picture of a canvas is nothing that could be pointed at: what is there is computed. */
  const under = (event: MouseEvent) => {
    const area = box.current?.getBoundingClientRect();
    const at = { x: event.clientX - (area?.left ?? 0), y: event.clientY - (area?.top ?? 0) };
    return { at, input: { ...input, view: control.live() } };
  };
  const nodeUnder = (event: MouseEvent): string | null => {
    const element = (event.target as Element).closest("[data-node]")?.getAttribute("data-node");
    if (element || !isLarge || !isPicture(event)) return element ?? null;
    const found = under(event);
    return nodeAt(found.at, found.input)?.id ?? null;
  };
  const down = (event: PointerEvent) => {
    if (event.button !== 0 || !isPicture(event)) return;
    const at = { x: event.clientX, y: event.clientY };
    // Marks are too small to be taken: there the map is moved.
    const isMarks = plateAt(control.live().scaleX, control.live().scaleY).detail === "mark";
    grab.current = { id: isMarks ? null : nodeUnder(event), from: at, last: at, moved: false };
  };
  const move = (event: PointerEvent) => {
    const held = grab.current;
    if (!held || event.buttons === 0) {
      if (isLarge && box.current) box.current.style.cursor = nodeUnder(event) ? "pointer" : "";
      return;
    }
    const far = Math.hypot(event.clientX - held.from.x, event.clientY - held.from.y) > 4;
    if (!held.moved && !far) return;
    // Captured only now: a click must still reach what it was on.
    if (!held.moved) box.current?.setPointerCapture(event.pointerId);
    held.moved = true;
    const by = { x: event.clientX - held.last.x, y: event.clientY - held.last.y };
    held.last = { x: event.clientX, y: event.clientY };
    if (!held.id || !layout.nodes[held.id]) control.panBy(by.x, by.y);
    else if (!isLarge) drag(held.id, by);
  };
  const drag = (id: string, { x, y }: Point) => {
    const { scaleX, scaleY } = control.live();
    props.onMove(id, { x: x / scaleX, y: y / scaleY });
  };
  const up = (event: PointerEvent) => {
    const held = grab.current;
    // A large map is drawn anew once, when the node is let go.
    if (isLarge && held?.moved && held.id && layout.nodes[held.id]) drag(held.id, { x: event.clientX - held.from.x, y: event.clientY - held.from.y });
    control.rest();
  };
  const click = (event: MouseEvent) => {
    const dragged = grab.current?.moved;
    grab.current = null;
    if (dragged || !isPicture(event)) return;
    const node = nodeUnder(event);
    if (node) return props.onSelect(`node:${node}`);
    const edge = isLarge ? edgeAt(under(event).at, under(event).input) : (event.target as Element).closest("[data-edge]")?.getAttribute("data-edge");
    if (edge) props.onSelect(`edge:${edge}`);
    else if (selection) props.onSelect("");
  };
  const doubleClick = (event: MouseEvent) => {
    const id = nodeUnder(event);
    if (id?.startsWith("group:")) props.onOpen(id);
  };
  // A selection that comes from elsewhere, and something bad that is out of sight, are shown by the overview.
  useEffect(() => setFocused((id) => (id && around.byId.has(id) ? id : null)), [around]);

  const rovingId = focused ?? topology.nodes.find((node) => deviates(node.status))?.id ?? topology.nodes[0]?.id;
  const common = { around, layout, hubs, flight, selection, control, rovingId, label: summary(topology, props.level), onFocus: setFocused, onKeyDown: keys };
  return (
    <div class={`cv${props.stale ? " dimmed" : ""}`} ref={box} onPointerDown={down} onPointerMove={move} onPointerUp={up} onClick={click} onDblClick={doubleClick}>
      {drawn ? <SvgPicture {...common} drawn={drawn} /> : <CanvasPicture {...common} input={input} />}
      <Legend detail={drawn?.plate.detail ?? "ring"} topology={topology} around={around} />
      <Overview topology={topology} layout={layout} control={control} size={size} />
    </div>
  );
}

const isPicture = (event: Event): boolean => (event.target as Element).closest(".mm, .leg") === null;

