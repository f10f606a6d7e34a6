// "Where the time goes": what the caller waits, and what of it is network, queue and server. While the arrival of the
// request at the server is not known, network and queue are one bar and are called so.
import { milliseconds, MISSING } from "../../domain/format";
import { slowReason } from "../../domain/findings";
import { isBad, tone } from "../../domain/status";
import type { MapEdge } from "../../domain/topology";

interface Bar {
  name: string;
  value: number | null;
  color: string;
  outline?: boolean;
  tone?: string;
  strong?: boolean;
}

function bars(edge: MapEdge): Bar[] {
  const slow = isBad(edge.status) && slowReason(edge) ? tone(edge.status) : "";
  const rows: Bar[] = [{ name: "client waits", value: edge.client?.p95 ?? null, color: "var(--s-client)", outline: true, strong: true, tone: edge.server ? "" : slow }];
  if (edge.network || edge.queue) {
    rows.push({ name: "network", value: edge.network?.p95 ?? null, color: "var(--t-net)" });
    rows.push({ name: "queue", value: edge.queue?.p95 ?? null, color: "var(--t-queue)" });
  } else if (edge.networkOrQueue) {
    rows.push({ name: "network or queue", value: edge.networkOrQueue.p95, color: "var(--t-net)" });
  }
  rows.push({ name: "server", value: edge.server?.p95 ?? null, color: "var(--s-server)", strong: true, tone: slow });
  return rows;
}

export function WhereTime({ edge }: { edge: MapEdge }) {
  const rows = bars(edge);
  const most = Math.max(...rows.map((row) => row.value ?? 0), 0.000001);
  let from = 0;
  return (
    <div class="tot">
      {rows.map((row) => {
        const share = row.value === null ? 0 : (row.value / most) * 100;
        // Percentiles do not add up exactly; a bar never leaves the picture for that.
        const start = row.outline ? 0 : Math.min(from, 100 - Math.min(100, share));
        if (!row.outline) from += share;
        return [
          <span key={row.name} class="mid">{row.name}</span>,
          <svg key={`${row.name} bar`} height="12" aria-hidden="true">
            {row.value !== null && (row.outline ? (
              <rect x=".6" y="1.600" width={`calc(${share}% - 1.200px)`} height="9" fill="none" stroke={row.color} stroke-width="1.200" />
            ) : (
              <rect x={`${start}%`} y="1" width={`max(1.500px, ${share}%)`} height="10" fill={row.color} />
            ))}
          </svg>,
          <span key={`${row.name} value`} class={`num ${row.strong ? "b" : ""} ${row.tone ?? ""}`}>{row.value === null ? (row.name === "server" || row.name === "client waits" ? "not watched" : MISSING) : milliseconds(row.value)}</span>,
        ];
      })}
    </div>
  );
}
