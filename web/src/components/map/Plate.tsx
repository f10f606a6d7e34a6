// A node of the map at each zoom: plate with pulse, small plate, ring with name, mark. Drawn round its own middle, so
// that panning only moves it.
import type { JSX } from "preact";
import { memo } from "../memo";
import type { Plate as PlateSize } from "../../domain/geometry";
import { isBad, tone, type Status } from "../../domain/status";
import { isGone, isNew, type Glyph, type MapNode } from "../../domain/topology";
import { changeSign } from "../../domain/difference";
import { GLYPHS } from "../../domain/glyphs";
import { pulsePaths } from "./pulse";
import { plateTexts } from "./texts";

export interface PlateProps {
  node: MapNode;
  glyph: Glyph;
  plate: PlateSize;
  callersOnly: boolean;
  dockedText: string;
  selected: boolean;
  room: number;
}

const RING: Record<Status, string> = {
  critical: "var(--crit-g)", warning: "var(--warn-g)", affected: "var(--warn-g)", no_data: "var(--none-g)", unknown: "var(--none-g)", ok: "var(--ok)",
};
const INK: Record<string, string> = { crit: "var(--crit)", warn: "var(--warn)", nonec: "var(--none)", "": "var(--ink-2)" };

function Ring({ node, glyph, x, y, radius, callersOnly, size }: { node: MapNode; glyph: Glyph; x: number; y: number; radius: number; callersOnly: boolean; size: number }) {
  const status: Status = isGone(node) ? "no_data" : node.status;
  const color = node.kind === "clients" ? "var(--line-2)" : RING[status];
  const fill = status === "critical" ? "var(--crit-soft)" : status === "warning" ? "var(--warn-soft)" : "none";
  const width = status === "critical" ? 3 : status === "warning" ? 2.6 : 1.5;
  const half = (sweep: 0 | 1) => `M${x} ${y - radius}a${radius} ${radius} 0 0 ${sweep} 0 ${2 * radius}`;
  return (
    <>
      {callersOnly && status === "ok" ? (
        <g fill="none" stroke-width="1.5">
          <path d={half(0)} stroke={color} />
          <path d={half(1)} stroke="var(--none-g)" stroke-dasharray="2.5 3" />
        </g>
      ) : (
        <circle cx={x} cy={y} r={radius} fill={fill} stroke={color} stroke-width={width} stroke-dasharray={status === "no_data" ? "2.5 3" : undefined} />
      )}
      <g transform={`translate(${x - size / 2} ${y - size / 2}) scale(${size / 16})`}>
        <path d={GLYPHS[glyph]} fill="none" stroke={status === "no_data" ? "var(--none-g)" : "var(--ink-2)"} stroke-width="1.3" stroke-linejoin="round" />
      </g>
    </>
  );
}

/** The sign on the corner: shape for the state, inside the number of reasons. */
export function Badge({ status, reasons, x, y }: { status: Status; reasons: number; x: number; y: number }): JSX.Element | null {
  const amount = reasons > 0 ? reasons : "";
  if (status === "critical") {
    return (
      <g transform={`translate(${x} ${y})`}>
        <path d="M-3.300-8h6.600l4.700 4.700v6.600l-4.700 4.700h-6.600l-4.700-4.700v-6.600z" fill="var(--crit-g)" stroke="var(--surface)" stroke-width="1.5" />
        <text y="4" text-anchor="middle" font-size="11" font-weight="700" fill="var(--on-crit)">{amount || "!"}</text>
      </g>
    );
  }
  if (status === "warning") {
    return (
      <g transform={`translate(${x} ${y})`}>
        <path d="M0-9.500l9.500 16.500h-19z" fill="var(--warn-soft)" stroke="var(--warn-g)" stroke-width="1.5" stroke-linejoin="round" />
        <text y="4.500" text-anchor="middle" font-size="10.500" font-weight="700" fill="var(--warn)">{amount || "!"}</text>
      </g>
    );
  }
  if (status !== "affected") return null;
  return (
    <g transform={`translate(${x} ${y})`} stroke="var(--warn-g)">
      <circle r="6.500" fill="var(--surface)" stroke-width="1.3" />
      <path d="M-2.500-2.500l5 5M2.600-1.400v4h-4" fill="none" stroke-width="1.4" />
    </g>
  );
}

function Mark({ node }: { node: MapNode }) {
  const bad = isBad(node.status);
  if (!bad) {
    const gone = node.status === "no_data" || isGone(node);
    const none = gone || node.status === "unknown";
    return (
      <rect x="-3.500" y="-3.500" width="7" height="7" rx="1.500" fill={none || node.status === "affected" ? "var(--bg)" : "var(--p50)"}
        stroke={node.status === "affected" ? "var(--warn-g)" : none ? "var(--none-g)" : "none"} stroke-dasharray={gone ? "2 1.500" : undefined} />
    );
  }
  return <Badge status={node.status} reasons={0} x={0} y={0} />;
}

function RingNode({ node, glyph, plate, callersOnly, room, selected }: PlateProps) {
  const { name } = plateTexts(node, plate, room);
  return (
    <>
      <circle class="pl" r="15" fill="var(--bg)" stroke={selected ? "var(--accent)" : "none"} stroke-width="4" />
      <Ring node={node} glyph={glyph} x={0} y={0} radius={13} callersOnly={callersOnly} size={14} />
      <text y="27" text-anchor="middle" font-size="11" font-weight={isBad(node.status) ? 650 : 400} class="halo" fill={deviatingInk(node)}>{name}</text>{" "}
      <Badge status={node.status} reasons={node.reasons.length} x={12} y={-11} />
      <ChangeSign node={node} />
    </>
  );
}

/** Beside a ring there is no room for a figure: only which way it went. */
function ChangeSign({ node }: { node: MapNode }) {
  const sign = changeSign(node.difference);
  if (!sign) return null;
  return (
    <g transform="translate(-12 -11)">
      <circle r="7" fill="var(--surface)" stroke="var(--ink-2)" />
      <text y="4" text-anchor="middle" font-size="11" font-weight="700" fill="var(--ink)">{sign}</text>
    </g>
  );
}

const deviatingInk = (node: MapNode): string => (isBad(node.status) || node.status === "no_data" ? (INK[tone(node.status)] ?? "var(--ink)") : "var(--ink)");

function FullPlate({ node, glyph, plate, callersOnly, dockedText, selected }: PlateProps) {
  const compact = plate.detail === "compact";
  const isPill = node.kind === "clients" && !compact;
  const round = node.kind === "external" || node.kind === "clients";
  const none = node.status === "no_data" || isGone(node);
  const width = plate.width;
  const height = isPill ? 34 : plate.height;
  const x = -width / 2;
  const y = -height / 2;
  const bad = isBad(node.status);
  const indent = round ? 7 : 0;
  const { name, runtime, left, right, change, from: textX, to: rightX } = plateTexts(node, plate, 0);
  const size = compact ? 11 : 12;
  const border = selected ? "var(--accent)" : bad ? RING[node.status] : none ? "var(--none-g)" : "var(--line-2)";
  const ringY = isPill ? 0 : y + (compact ? 21 : 24);
  return (
    <>
      {selected && <rect x={x - 3} y={y - 3} width={width + 6} height={height + 6} rx={round ? height / 2 + 3 : 8} fill="none" stroke="var(--accent)" stroke-width="3" opacity=".3" />}
      <rect class="pl" x={x} y={y} width={width} height={height} rx={round ? height / 2 : 5} fill={none ? "var(--bg)" : "var(--surface)"} stroke={border}
        stroke-width={bad || selected ? 1.5 : 0.8} stroke-dasharray={none ? "3 3" : undefined} />
      <Ring node={node} glyph={glyph} x={x + (compact ? 18 : 23) + indent} y={ringY} radius={isPill ? 11 : compact ? 11 : 14} callersOnly={callersOnly} size={compact || isPill ? 13 : 16} />
      {" "}
      <text x={textX} y={y + (isPill ? 14 : 17)} font-size={compact || isPill ? 12 : 13} font-weight="650" fill={none ? "var(--none)" : "var(--ink)"}>{name}</text>
      {" "}
      {runtime && (
        <text x={rightX} y={y + (isPill ? 14 : 17)} font-size="11" text-anchor="end" fill={isNew(node) ? "var(--ink)" : "var(--ink-3)"} font-weight={isNew(node) ? 600 : 400}>{runtime}</text>
      )}{" "}
      <text x={textX} y={y + (isPill ? 28 : 32)} font-size={size} font-weight={left?.strong ? 650 : 400} fill={INK[left?.tone ?? ""]}>{left?.text}</text>{" "}
      {right && (
        <text x={rightX} y={y + (isPill ? 28 : 32)} font-size={size} text-anchor="end" font-weight={right.strong ? 650 : 400} fill={INK[right.tone]}>{right.text}</text>
      )}
      {" "}
      {change && <text x={textX} y={y + 49} font-size="11" font-weight={none ? 400 : 600} fill={none ? "var(--none)" : "var(--ink)"}>{change}</text>}
      {!compact && !isPill && !change && <Pulse node={node} x={textX} bottom={y + height - 6} width={rightX - textX} />}
      {" "}
      {node.status !== "no_data" && <Badge status={node.status} reasons={node.reasons.length} x={x + 5 + (round ? 4 : 0)} y={y + 3} />}
      {" "}
      {dockedText && <text y={y + height + 13} font-size="11" text-anchor="middle" fill="var(--ink-3)" class="halo">{dockedText}</text>}
    </>
  );
}

function Pulse({ node, x, bottom, width }: { node: MapNode; x: number; bottom: number; width: number }) {
  const paths = pulsePaths(node.pulse, width, 13);
  return (
    <g transform={`translate(${x.toFixed(1)} ${bottom})`}>
      <path d={paths.ok} fill={node.status === "no_data" || isGone(node) ? "var(--none-g)" : "var(--p50)"} />
      <path d={paths.slow} fill="var(--warn-g)" />
      <path d={paths.failed} fill="var(--crit-g)" />
      <path d={paths.none} fill="var(--none-g)" />
    </g>
  );
}

function drawing(props: PlateProps): JSX.Element {
  if (props.plate.detail === "mark") return <Mark node={props.node} />;
  if (props.plate.detail === "ring") return <RingNode {...props} />;
  return <FullPlate {...props} />;
}

export const Plate = memo(function Plate(props: PlateProps) {
  // The whole node is one button with a name of its own; what is drawn in it is not read out piece by piece.
  return <g aria-hidden="true">{drawing(props)}</g>;
});
