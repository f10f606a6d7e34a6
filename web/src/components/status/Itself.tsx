// Limpid itself: what its parts cost, and what its store holds.
import type { Status, StorePart } from "../../api/status";
import { bytes, clock, count, day, MISSING, span } from "../../domain/format";
import { now } from "../../state/clock";
import { utc } from "../../state/location";
import { Sign } from "../Sign";
import { useCpu } from "./cost";
import { cpuOf } from "./Hosts";

export function Itself({ status }: { status: Status }) {
  const cpu = useCpu();
  const rows = [
    ...status.agents.map((agent) => ({ name: `agent, ${agent.host}`, cpu: cpuOf(agent.cpuSeconds, agent.started, cpu.data?.get(agent.host)), memory: agent.memoryBytes, started: agent.started })),
    { name: "server", cpu: cpuOf(status.server?.cpuSeconds ?? null, status.started), memory: status.server?.memoryBytes ?? null, started: status.started },
  ];
  return (
    <div class="sec">
      <div class="hd"><h2>Limpid itself</h2><span class="sub">{status.version ?? ""}</span></div>
      <table aria-label="Limpid itself">
        <thead><tr><th><span class="vh">Part</span></th><th class="num">CPU</th><th class="num">memory</th><th class="num">up</th></tr></thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.name}>
              <td>{row.name}</td><td class="num">{row.cpu}</td><td class="num">{bytes(row.memory)}</td><td class="num">{row.started === null ? MISSING : span(now.value - row.started)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function StorePart({ status }: { status: Status }) {
  const { store } = status;
  if (!store) return null;
  const limit = store.maxBytes;
  const most = Math.max(1, ...store.parts.map((part) => part.bytes ?? 0));
  const size = limit ? `${bytes(store.bytes)} of ${bytes(limit)}` : bytes(store.bytes);
  return (
    <div class="sec">
      <div class="hd"><h2>Store</h2><span class="sub">embedded, format {store.format ?? MISSING}, {size}</span></div>
      {store.problem && <p class="state"><Sign status="warning" /> <span>{store.problem}</span></p>}
      {store.parts.length > 0 && (
        <table aria-label="What the store holds">
          <thead><tr><th>Part</th><th><span class="vh">Share</span></th><th class="num">size</th><th class="num">reaches back</th></tr></thead>
          <tbody>{store.parts.map((part) => <PartRow key={part.name} part={part} most={most} />)}</tbody>
        </table>
      )}
      <dl class="kv" style={{ marginTop: "8px" }}>
        <dt>kept for</dt><dd>{store.retention === null ? MISSING : store.retention === 0 ? "as long as there is room" : span(store.retention)}</dd>
        <dt>folder</dt><dd class="mono">{store.path ?? MISSING}</dd>
        <dt>free on disk</dt><dd>{bytes(store.freeBytes)}</dd>
        <dt>spans</dt><dd>{count(store.spans)}</dd>
        <dt>series</dt><dd>{count(store.series)}</dd>
        <dt>reaches back to</dt><dd>{store.oldest === null ? MISSING : `${day(store.oldest, utc.value)} ${clock(store.oldest, utc.value, "minutes")}`}</dd>
      </dl>
    </div>
  );
}

const PartRow = ({ part, most }: { part: StorePart; most: number }) => (
  <tr>
    <td>{part.name}</td>
    <td style={{ width: "40%" }}><span class="track" style={{ display: "block" }} aria-hidden="true"><i style={{ width: `${((part.bytes ?? 0) / most) * 100}%` }} /></span></td>
    <td class="num">{bytes(part.bytes)}</td>
    <td class="num">{part.oldest === null ? MISSING : span(now.value - part.oldest)}</td>
  </tr>
);
