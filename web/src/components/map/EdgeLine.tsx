// An edge of the map: the pale band is the rate, the core says direction and state, the sign in the middle what is bad.
import { arrowAngle, bandWidth, coreWidth, type Route } from "../../domain/geometry";
import { isBad } from "../../domain/status";
import { isSilent, type MapEdge } from "../../domain/topology";

interface EdgeProps {
  edge: MapEdge;
  route: Route;
  selected: boolean;
  opacity: number | undefined;
  signs: boolean;
}

const CORE: Record<string, string> = { critical: "var(--crit-g)", warning: "var(--warn-g)", no_data: "var(--none-g)" };
const BAND: Record<string, string> = { critical: "var(--crit-soft)", warning: "var(--warn-soft)" };

export function EdgeLine({ edge, route, selected, opacity, signs }: EdgeProps) {
  const none = isSilent(edge);
  const color = none ? "var(--none-g)" : (CORE[edge.status] ?? "var(--edge)");
  const band = bandWidth(edge.rate);
  const { end } = route;
  return (
    <g class="edge" opacity={opacity} data-edge={edge.id}>
      {selected && <path d={route.path} fill="none" stroke="var(--accent)" stroke-width={band + 7} stroke-linecap="round" opacity=".28" />}
      {band > 0 && !none && <path d={route.path} fill="none" stroke={BAND[edge.status] ?? "var(--flow)"} stroke-width={band.toFixed(1)} />}
      <path d={route.path} fill="none" stroke={color} stroke-width={coreWidth(edge).toFixed(1)} stroke-dasharray={none ? "1 5" : undefined} stroke-linecap={none ? "round" : undefined} />
      <path d="M0 7l-4.500-9h9z" transform={`translate(${end.x.toFixed(1)} ${end.y.toFixed(1)}) rotate(${arrowAngle(route)})`} fill={none ? "var(--bg)" : color} stroke={color} stroke-width="1" />
      <path class="hit" d={route.path} fill="none" stroke="transparent" stroke-width="14" />
      {signs && isBad(edge.status) && <EdgeSign edge={edge} route={route} />}
    </g>
  );
}

function EdgeSign({ edge, route }: { edge: MapEdge; route: Route }) {
  const { x, y } = route.at(0.5);
  const place = `translate(${x.toFixed(1)} ${y.toFixed(1)})`;
  if (edge.status === "critical") {
    return (
      <g transform={place}>
        <path d="M-3.700-9h7.400l5.300 5.300v7.400l-5.300 5.300h-7.400l-5.300-5.300v-7.400z" fill="var(--crit-g)" stroke="var(--bg)" stroke-width="1.5" />
        <path d="M0-4.500v5.500M0 3v2" stroke="var(--on-crit)" stroke-width="2" />
      </g>
    );
  }
  return (
    <g transform={place} stroke="var(--warn-g)">
      <path d="M0-9l8.500 15h-17z" fill="var(--warn-soft)" stroke-width="1.6" stroke-linejoin="round" />
      <path d="M0-4v5M0 2.300v1.700" stroke-width="1.7" />
    </g>
  );
}
