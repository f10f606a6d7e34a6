// What the signs on the map mean: only those that can be seen now.
import type { JSX } from "preact";
import type { Detail } from "../../domain/geometry";
import { isGoneSince } from "../../domain/difference";
import type { Status } from "../../domain/status";
import { seenFromCallersOnly, type Neighbourhood, type Topology } from "../../domain/topology";
import { Sign } from "../Sign";

const Sample = ({ children, text, width = 26 }: { children: JSX.Element | JSX.Element[]; text: string; width?: number }) => (
  <span>
    <svg width={width} height="14" aria-hidden="true">
      {children}
    </svg>
    {text}
  </span>
);

const Arrow = ({ band }: { band: number }) => (
  <g>
    <path d="M0 7h19" stroke="var(--flow)" stroke-width={band} />
    <path d="M0 7h19" stroke="var(--edge)" stroke-width="1.300" />
    <path d="M26 7l-8-4v8z" fill="var(--edge)" />
  </g>
);

const WORDS: [Status, string][] = [["critical", "critical"], ["warning", "warning"], ["affected", "affected by a callee"], ["no_data", "no data"], ["unknown", "too few requests"]];

export function Legend({ detail, topology, around }: { detail: Detail; topology: Topology; around: Neighbourhood }) {
  const seen = new Set<Status>([...topology.nodes, ...topology.edges].map((thing) => thing.status));
  const compares = topology.nodes.some((node) => node.difference);
  const oneSided = topology.nodes.some((node) => seenFromCallersOnly(node, around.incoming.get(node.id) ?? []));
  return (
    <div class="leg" role="note" aria-label="Legend">
      <Sample text="3/s"><Arrow band={3.5} /></Sample>
      <Sample text="1 000/s"><Arrow band={9.8} /></Sample>
      {compares && <Sample text="pale: as it was" width={26}><g opacity=".5"><Arrow band={3.5} /></g></Sample>}
      {topology.edges.some(isGoneSince) && <Sample text="gone" width={26}><path d="M1 7h24" stroke="var(--none-g)" stroke-width="1.3" stroke-dasharray="1 5" stroke-linecap="round" /></Sample>}
      {WORDS.filter(([status]) => seen.has(status)).map(([status, text]) => (
        <span key={status}>
          <Sign status={status} size={12} quiet />
          {text}
        </span>
      ))}
      {oneSided && (
        <Sample text="seen from callers only" width={14}>
          <g fill="none" stroke-width="1.500">
            <path d="M7 1.500a5.500 5.500 0 0 0 0 11" stroke="var(--ok)" />
            <path d="M7 1.500a5.500 5.500 0 0 1 0 11" stroke="var(--none-g)" stroke-dasharray="2 2.400" />
          </g>
        </Sample>
      )}
      {detail === "full" && !compares && (
        <Sample text="rate, failures" width={22}>
          <g>
            <path d="M1 12V4h3v8zM6 12V2h3v10zM11 12V3h3v9zM16 12V5h3v7z" fill="var(--p50)" />
            <path d="M11 12V8h3v4zM16 12V8h3v4z" fill="var(--crit-g)" />
          </g>
        </Sample>
      )}
    </div>
  );
}
