// What an edge says: protocol, rate and p95 at the callee's end; of a selected one both views along the line.
import type { Route } from "../../domain/geometry";
import type { PlacedLabel } from "../../domain/labels";
import { neverConnected, type MapEdge } from "../../domain/topology";
import { VIEW_LINE, viewLines, type LabelLines, type ViewLine } from "./edgeTexts";

const ink = (name: string, otherwise: string): string => (name ? `var(--${name})` : otherwise);

export function EdgeLabel({ label, lines, opacity }: { label: PlacedLabel; lines: LabelLines; opacity: number | undefined }) {
  return (
    <g class="lab" opacity={opacity} text-anchor={label.anchor}>
      <text class="halo" x={label.x} y={label.y - 14} font-size={lines.headTone ? 12 : 11} font-weight={lines.headTone ? 650 : 400} fill={ink(lines.headTone, "var(--ink-3)")}>
        {lines.head}
      </text>
      <text class="halo" x={label.x} y={label.y} font-size="11" fill="var(--ink-2)" xml:space="preserve">
        {lines.left}
        <tspan fill={ink(lines.rightTone, "var(--ink-2)")} font-weight={lines.rightTone ? 600 : 400}>
          {lines.right}
        </tspan>
      </text>
    </g>
  );
}

/** On a short edge the views stand together where there is room. */
export function ViewsBlock({ label, lines }: { label: PlacedLabel; lines: ViewLine[] }) {
  return (
    <g class="lab" font-size="11" fill="var(--ink-2)" text-anchor={label.anchor}>
      {lines.map((line, index) => (
        <text key={line.text} class="halo" x={label.x} y={label.y - (lines.length - 1 - index) * VIEW_LINE}>
          <ViewText line={line} />
        </text>
      ))}
    </g>
  );
}

/** Caller's p95 at its start, network in the middle, server's p95 at its end. */
export function BothViews({ edge, route }: { edge: MapEdge; route: Route }) {
  if (neverConnected(edge)) return <NothingThrough edge={edge} route={route} />;
  const lines = viewLines(edge);
  const [client, between, server] = [lines[0], lines.length > 2 ? lines[1] : undefined, lines.at(-1)];
  const from = route.at(0.2);
  const middle = route.at(0.52);
  const to = route.at(0.86);
  const away = route.start.x > route.end.x + 24 ? -1 : 1;
  return (
    <g class="lab" font-size="11" fill="var(--ink-2)">
      <text class="halo" x={from.x - 12 * away} y={from.y + 3} text-anchor={away > 0 ? "end" : "start"}>
        <ViewText line={client} />
      </text>
      {between && (
        <text class="halo" x={middle.x + 14} y={middle.y + 5}>
          {between.text}{between.value}
        </text>
      )}
      <text class="halo" x={to.x + 13} y={to.y + 3}>
        <ViewText line={server} />
      </text>
    </g>
  );
}

const ViewText = ({ line }: { line: ViewLine | undefined }) => <>{line?.text}<tspan font-weight="650" fill={ink(line?.tone ?? "", "var(--ink)")}>{line?.value}</tspan></>;

/** Where nobody answered there are no two views. */
function NothingThrough({ edge, route }: { edge: MapEdge; route: Route }) {
  const { x, y } = route.at(0.52);
  const [only] = viewLines(edge);
  return (
    <g class="lab" font-size="12">
      <text class="halo" x={x + 14} y={y + 5} font-weight="650" fill={ink(only?.tone ?? "", "var(--ink)")}>{only?.value}</text>
    </g>
  );
}

/** An edge that was not there before the range, or not at its beginning. */
export const NewTag = ({ at }: { at: { x: number; y: number } }) => (
  <g class="lab" transform={`translate(${at.x.toFixed(1)} ${at.y.toFixed(1)})`}>
    <rect x="-14" y="-8" width="28" height="15" rx="3" fill="var(--surface)" stroke="var(--line-2)" />
    <text y="3.500" font-size="11" text-anchor="middle" fill="var(--ink-2)">new</text>
  </g>
);
