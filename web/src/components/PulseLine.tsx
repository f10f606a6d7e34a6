// The pulse of a node as a small picture beside its figures.
import type { Pulse } from "../domain/topology";
import { pulsePaths } from "./map/pulse";

export function PulseLine({ pulse, width = 96, height = 16 }: { pulse: (Pulse | null)[]; width?: number; height?: number }) {
  if (pulse.length === 0) return <span class="dim">–</span>;
  const paths = pulsePaths(pulse, width, height);
  return (
    <svg class="gl" width={width} height={height} viewBox={`0 ${-height} ${width} ${height}`} aria-hidden="true">
      <path d={paths.ok} fill="var(--p50)" />
      <path d={paths.slow} fill="var(--warn-g)" />
      <path d={paths.failed} fill="var(--crit-g)" />
      <path d={paths.none} fill="var(--none-g)" />
    </svg>
  );
}
