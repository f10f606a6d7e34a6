// What an edge says: protocol, rate and p95 at the callee's end; of a selected one both views along the line.
import { failReason, slowReason } from "../../domain/findings";
import { milliseconds, rate, share } from "../../domain/format";
import type { Route } from "../../domain/geometry";
import type { PlacedLabel } from "../../domain/labels";
import { isBad, tone } from "../../domain/status";
import { protocolName, type MapEdge } from "../../domain/topology";
import { textWidth } from "../measure";

export interface LabelLines {
  head: string;
  headTone: string;
  left: string;
  right: string;
  rightTone: string;
  width: number;
}

export function labelLines(edge: MapEdge): LabelLines {
  const protocol = protocolName(edge.protocol);
  const bad = isBad(edge.status);
  const color = bad ? tone(edge.status) : "";
  if (edge.status === "no_data") return sized({ head: protocol, headTone: "", left: "no data", right: "", rightTone: "" });
  if (bad && failReason(edge) && (edge.errorRatio ?? 0) > 0) {
    return sized({ head: `${share(edge.errorRatio)} failed`, headTone: color, left: `${protocol} ${rate(edge.rate)} · `, right: milliseconds(edge.p95), rightTone: slowReason(edge) ? color : "" });
  }
  const failed = (edge.errorRatio ?? 0) >= 0.01;
  return sized({
    head: protocol, headTone: "", left: `${rate(edge.rate)}  `, right: failed ? `${share(edge.errorRatio)} failed` : edge.p95 === null ? "" : milliseconds(edge.p95),
    rightTone: bad && slowReason(edge) ? color : failed ? "warn" : "",
  });
}

function sized(lines: Omit<LabelLines, "width">): LabelLines {
  const head = textWidth(lines.head, lines.headTone ? 12 : 11, lines.headTone ? 650 : 400);
  const second = textWidth(lines.left, 11) + textWidth(lines.right, 11, lines.rightTone ? 600 : 400) + 4;
  return { ...lines, width: Math.max(head, second) };
}

const ink = (name: string, otherwise: string): string => (name ? `var(--${name})` : otherwise);

export function EdgeLabel({ label, lines, dimmed }: { label: PlacedLabel; lines: LabelLines; dimmed: boolean }) {
  return (
    <g class="lab" opacity={dimmed ? 0.3 : undefined} text-anchor={label.anchor}>
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

export interface ViewLine {
  text: string;
  value: string;
  tone: string;
}

/** The two views of an edge, and what lies between them. */
export function viewLines(edge: MapEdge): ViewLine[] {
  const slow = isBad(edge.status) && slowReason(edge) ? tone(edge.status) : "";
  const lines: ViewLine[] = [{ text: "client ", value: edge.client ? milliseconds(edge.client.p95) : "not watched", tone: "" }];
  if (edge.network) lines.push({ text: "network ", value: milliseconds(edge.network.p95), tone: "" });
  else if (edge.networkOrQueue) lines.push({ text: "network or queue ", value: milliseconds(edge.networkOrQueue.p95), tone: "" });
  lines.push({ text: "server ", value: edge.server ? milliseconds(edge.server.p95) : "not watched", tone: slow });
  return lines;
}

export const VIEW_LINE = 14;
export const viewsWidth = (lines: ViewLine[]): number => Math.max(...lines.map((line) => textWidth(line.text, 11) + textWidth(line.value, 11, 650)));

/** On a short edge the views stand together where there is room. */
export function ViewsBlock({ label, lines }: { label: PlacedLabel; lines: ViewLine[] }) {
  return (
    <g class="lab" font-size="11" fill="var(--ink-2)" text-anchor={label.anchor}>
      {lines.map((line, index) => (
        <text key={line.text} class="halo" x={label.x} y={label.y - (lines.length - 1 - index) * VIEW_LINE}>
          {line.text}
          <tspan font-weight="650" fill={ink(line.tone, "var(--ink)")}>{line.value}</tspan>
        </text>
      ))}
    </g>
  );
}

/** Caller's p95 at its start, network in the middle, server's p95 at its end. */
export function BothViews({ edge, route }: { edge: MapEdge; route: Route }) {
  const slow = isBad(edge.status) && slowReason(edge) ? tone(edge.status) : "";
  const between = edge.network ? `network ${milliseconds(edge.network.p95)}` : edge.networkOrQueue ? `network or queue ${milliseconds(edge.networkOrQueue.p95)}` : "";
  const from = route.at(0.2);
  const middle = route.at(0.52);
  const to = route.at(0.86);
  const away = route.start.x > route.end.x + 24 ? -1 : 1;
  return (
    <g class="lab" font-size="11" fill="var(--ink-2)">
      <text class="halo" x={from.x - 12 * away} y={from.y + 3} text-anchor={away > 0 ? "end" : "start"}>
        client <tspan font-weight="650" fill="var(--ink)">{edge.client ? milliseconds(edge.client.p95) : "not watched"}</tspan>
      </text>
      {between && (
        <text class="halo" x={middle.x + 14} y={middle.y + 5}>
          {between}
        </text>
      )}
      <text class="halo" x={to.x + 13} y={to.y + 3}>
        server <tspan font-weight="650" fill={ink(slow, "var(--ink)")}>{edge.server ? milliseconds(edge.server.p95) : "not watched"}</tspan>
      </text>
    </g>
  );
}
