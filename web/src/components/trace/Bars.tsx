// One call as bars on the trace's axis: the outline is what its caller saw, the fill what the server did, pale where
// the server waits for a callee, brown while it waited in the queue; the ink line under it is the critical path.
import { milliseconds } from "../../domain/format";
import type { Compared } from "../../domain/usual";
import { durationOf, endOf, ownParts, type Call, type Times } from "../../domain/tracetree";

interface BarsProps {
  call: Call;
  duration: number;
  path: Times[];
  width: number;
  /** Said after the bars instead of the duration, and where they end: for folded calls. */
  label?: string | undefined;
  /** A line where such calls usually end. */
  usual?: Compared | null;
  until?: number | undefined;
}

export const LABEL_ROOM = 64;

export function Bars({ call, duration, path, width, label, usual, until }: BarsProps) {
  const room = Math.max(10, width - LABEL_ROOM);
  const x = (at: number) => (at / Math.max(duration, 1e-6)) * room;
  const wide = (part: Times, least = 1.5) => Math.max(least, x(part.end) - x(part.start));
  const { client, server, queue } = call;
  const clientOnly = client && !server;
  return (
    <>
      {server && <rect x={x(server.start)} y="9" width={wide(server)} height="9" fill="var(--s-server)" />}
      {server && ownParts(call).waits.map((wait) => <rect key={wait.start} x={x(wait.start)} y="9" width={wide(wait, 0.5)} height="9" fill="var(--wait)" />)}
      {server && queue !== null && queue > 0 && <rect x={x(Math.max(client?.start ?? 0, server.start - queue))} y="9" width={wide({ start: 0, end: queue })} height="9" fill="var(--t-queue)" />}
      {client && <rect x={x(client.start) - 1} y="7.500" width={wide(client, 2) + 2} height="12" fill="none" stroke="var(--s-client)" stroke-width="1.200" stroke-dasharray={clientOnly ? "3 2" : undefined} />}
      {path.map((part) => <rect key={part.start} x={x(part.start)} y="22.500" width={wide(part)} height="2" fill="var(--ink)" />)}
      {usual && <path d={`M${x((call[usual.side]?.start ?? 0) + usual.usual)} 4v17`} stroke="var(--ink)" stroke-width="1.5" />}
      <LengthLabel text={label ?? milliseconds(durationOf(call))} failed={call.failed} x={x(until ?? endOf(call)) + 8} room={room} />
    </>
  );
}

function LengthLabel({ text, failed, x, room }: { text: string; failed: boolean; x: number; room: number }) {
  return (
    <text x={Math.min(x, room + 8)} y="18" font-size="12" fill={failed ? "var(--crit)" : "var(--ink-2)"} font-weight={failed ? 650 : 400}>
      {text}
    </text>
  );
}
