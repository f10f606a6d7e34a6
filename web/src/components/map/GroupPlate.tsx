// A collapsed group: its name, one figure, and one mark for each member, worst first.
import { groupSize, type Plate } from "../../domain/geometry";
import { isBad, tone, type Status } from "../../domain/status";
import type { MapNode } from "../../domain/topology";
import { groupMarks, groupTexts, MARK, NARROW } from "./marks";
import { memo } from "../memo";

interface Props {
  node: MapNode;
  plate: Plate;
  selected: boolean;
}

const BORDER: Partial<Record<Status, string>> = { critical: "var(--crit-g)", warning: "var(--warn-g)" };
const INK: Record<string, string> = { crit: "var(--crit)", warn: "var(--warn)", nonec: "var(--none)", "": "var(--ink-2)" };

export const GroupPlate = memo(function GroupPlate({ node, plate, selected }: Props) {
  const members = node.members ?? [];
  const { width, height } = groupSize(members.length, plate);
  const { name, figure } = groupTexts(node, width);
  const none = members.length > 0 && members.every((member) => member.status === "no_data");
  const [x, y] = [-width / 2, -height / 2];
  return (
    <g aria-hidden="true">
      {selected && <rect x={x - 3} y={y - 3} width={width + 6} height={height + 6} rx="10" fill="none" stroke="var(--accent)" stroke-width="3" opacity=".3" />}
      <rect class="pl" x={x} y={y} width={width} height={height} rx="5" fill={none ? "var(--bg)" : "var(--surface)"} stroke={selected ? "var(--accent)" : (BORDER[node.status] ?? (none ? "var(--none-g)" : "var(--line-2)"))}
        stroke-width={isBad(node.status) || selected ? 1.5 : 0.8} stroke-dasharray={none ? "3 3" : undefined} />
      <text x={x + (width < NARROW ? 4 : 8)} y={y + 15} font-size={width < NARROW ? 11 : 12} font-weight="650" fill={none ? "var(--none)" : "var(--ink)"}>{name}</text>{" "}
      {figure && <text x={x + width - 8} y={y + 15} font-size="11" text-anchor="end" font-weight={isBad(figure.status) ? 650 : 400} fill={INK[tone(figure.status)] ?? "var(--ink-2)"}>{figure.text}</text>}
      <Marks members={members} plate={plate} x={x} y={y} />
    </g>
  );
});

function Marks({ members, plate, x, y }: { members: MapNode[]; plate: Plate; x: number; y: number }) {
  const paths: Partial<Record<Status, string>> = {};
  for (const mark of groupMarks(members, plate)) paths[mark.kind] = (paths[mark.kind] ?? "") + mark.path;
  return (
    <g transform={`translate(${x} ${y})`}>
      {Object.entries(paths).map(([kind, path]) => {
        const look = MARK[kind as Status];
        return <path key={kind} d={path} fill={look.fill ? `var(${look.fill})` : "none"} stroke={look.stroke ? `var(${look.stroke})` : "none"} stroke-dasharray={look.dash} />;
      })}
    </g>
  );
}
