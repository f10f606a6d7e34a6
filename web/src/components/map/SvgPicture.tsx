// The map as SVG, up to some hundred plates. While it is moved the whole picture moves; it is drawn anew at rest.
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import type { JSX } from "preact";
import { plural } from "../../domain/format";
import { PITCH_X, type Layout } from "../../domain/layout";
import { deviates, severity, tone } from "../../domain/status";
import { glyphOf, isGone, seenFromCallersOnly, type MapNode, type Neighbourhood } from "../../domain/topology";
import { BothViews, EdgeLabel, NewTag, ViewsBlock } from "./EdgeLabel";
import { EdgeLine } from "./EdgeLine";
import { viewLines } from "./edgeTexts";
import { GroupPlate } from "./GroupPlate";
import { Plate } from "./Plate";
import { fly } from "./fly";
import type { DrawnFrame, Scene } from "./scene";
import { spoken } from "./spoken";
import type { Flight } from "./useFlight";
import { matrix, type ViewControl } from "./useView";

export interface PictureProps {
  drawn: Scene;
  around: Neighbourhood;
  layout: Layout;
  hubs: ReadonlySet<string>;
  flight: Flight | null;
  selection: string;
  control: ViewControl;
  rovingId: string | undefined;
  label: string;
  onFocus: (id: string) => void;
  onKeyDown: (event: KeyboardEvent) => void;
}

export function SvgPicture({ drawn, around, layout, hubs, flight, selection, control, rovingId, label, onFocus, onKeyDown }: PictureProps) {
  const box = useRef<SVGSVGElement>(null);
  useLayoutEffect(() => {
    const follow = () => {
      const { view } = control;
      const now = control.live();
      if (box.current) box.current.style.transform = now === view ? "" : matrix(view, now);
    };
    follow();
    return control.onLive(follow);
  }, [control.view]);
  useLayoutEffect(() => {
    if (box.current && flight) fly(box.current, flight, new Map(drawn.nodes.map(({ node, at }) => [node.id, at])));
  }, [flight]);
  const { plate } = drawn;
  const room = PITCH_X * plate.scaleX;
  const nodes = useMemo(() => [...drawn.nodes].sort((a, b) => tabOrder(a.node, b.node, layout)), [drawn]);
  return (
    <svg ref={box} class="m" role="group" aria-label={label} onKeyDown={onKeyDown}>
      {drawn.frames.map((frame) => <FrameBox key={frame.id} frame={frame} selected={selection === `node:${frame.id}`} />)}
      {drawn.edges.map(({ edge, route, opacity }) => (
        <EdgeLine key={edge.id} edge={edge} route={route} opacity={opacity} selected={selection === `edge:${edge.id}`} signs={plate.detail !== "mark"} />
      ))}
      {nodes.map(({ node, at, opacity }) => {
        const incoming = around.incoming.get(node.id) ?? [];
        const callersOnly = seenFromCallersOnly(node, incoming);
        const below = belowText(node, around, hubs);
        const selected = selection === `node:${node.id}`;
        return (
          <g key={node.id} class="node" role="button" data-node={node.id} tabIndex={node.id === rovingId || deviates(node.status) ? 0 : -1} aria-label={spoken(node, plate, room, below)}
            aria-pressed={selected} opacity={opacity} transform={`translate(${at.x.toFixed(1)} ${at.y.toFixed(1)})`} onFocus={() => onFocus(node.id)}>
            {node.members ? <GroupPlate node={node} plate={plate} selected={selected} /> : (
              <Plate node={node} glyph={glyphOf(node, incoming)} plate={plate} callersOnly={callersOnly} selected={selected} dockedText={below} room={room} />
            )}
          </g>
        );
      })}
      <g aria-hidden="true">
        {drawn.names.map(({ node, text, box: place }) => (
          <g key={`name ${node.id}`} class="lab">
            <rect x={place.left} y={place.top} width={place.right - place.left} height={place.bottom - place.top} fill="var(--bg)" />
            <text x={place.left + 2} y={place.bottom - 4} font-size="11" font-weight="650" fill={`var(--${tone(node.status)})`}>{text}</text>
          </g>
        ))}
        {drawn.labels.map(({ label: place, lines, opacity }) => (
          <EdgeLabel key={place.id} label={place} lines={lines} opacity={opacity} />
        ))}
        {drawn.tags.map((at) => <NewTag key={`new ${at.x} ${at.y}`} at={at} />)}
        {drawn.edges.filter(({ edge }) => selection === `edge:${edge.id}`).map(({ edge, route }) =>
          drawn.views ? <ViewsBlock key={edge.id} label={drawn.views} lines={viewLines(edge)} /> : <BothViews key={edge.id} edge={edge} route={route} />,
        )}
      </g>
    </svg>
  );
}

/** What stands below a plate, and is said with it. */
export function belowText(node: MapNode, around: Neighbourhood, hubs: ReadonlySet<string>): string {
  const incoming = around.incoming.get(node.id) ?? [];
  if (hubs.has(node.id)) return `called by ${plural(new Set(incoming.map((edge) => edge.source)).size, "service")}`;
  if (isGone(node)) return "";
  return seenFromCallersOnly(node, incoming) ? "seen from callers only" : "";
}

function FrameBox({ frame, selected }: { frame: DrawnFrame; selected: boolean }): JSX.Element {
  const { box, value, figure } = frame;
  const color = tone(figure.status);
  return (
    <g class="frame" data-node={frame.id}>
      <rect x={box.left} y={box.top} width={Math.max(20, box.right - box.left)} height={Math.max(20, box.bottom - box.top)} rx="8" fill="none" stroke={selected ? "var(--accent)" : "var(--line-2)"} stroke-width={selected ? 1.6 : 0.8}
        stroke-dasharray={frame.status === "no_data" ? "3 3" : undefined} />
      <text x={box.left + 12} y={box.top + 18} font-size="12" font-weight="650" fill="var(--ink)" class="halo">
        {value}
        <tspan dx="8" font-weight={color ? 650 : 400} font-size="11" fill={color ? `var(--${color === "nonec" ? "none" : color})` : "var(--ink-3)"}>{figure.text}</tspan>
      </text>
    </g>
  );
}

/** Findings first, then by rank and place, as one reads. */
export function tabOrder(a: MapNode, b: MapNode, layout: Layout): number {
  const bad = (node: MapNode) => (deviates(node.status) ? severity(node.status) : 9);
  const at = (node: MapNode) => layout.nodes[node.id] ?? { x: 0, y: 0 };
  return bad(a) - bad(b) || at(a).y - at(b).y || at(a).x - at(b).x;
}
