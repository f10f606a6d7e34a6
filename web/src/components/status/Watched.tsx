// What is watched and what is not: protocols that are read, connections that are not, what is left alone.
import type { Agent } from "../../api/status";
import { queryAt } from "../../api/series";
import { count, MISSING, perSecond, plural } from "../../domain/format";
import { FAMILY, windowOver } from "../../domain/promql";
import { protocolName } from "../../domain/topology";
import { interval } from "../../state/clock";
import { href } from "../../state/location";
import { useQuery } from "../../state/query";
import { slowMoment, subject } from "../../state/subject";

/** Labels of connections whose protocol is not read. */
const UNREAD: Record<string, string> = { tcp: "TCP of no known protocol", unix: "Unix sockets of no known protocol", tls: "TLS, read or not", quic: "QUIC, not read", unknown: "not known yet" };

interface Line {
  protocol: string;
  rate: number | null;
  open: number | null;
}

export function Protocols() {
  const query = useQuery(subject("protocols"), slowMoment(15), async (signal): Promise<Line[]> => {
    const { start, end } = interval.peek();
    const [rates, open] = await Promise.all([
      queryAt(`max by (protocol) (sum by (protocol, side) (rate(${FAMILY}_count[${windowOver({ start, end })}])))`, end, signal),
      queryAt(`sum by (protocol) (last_over_time(limpid_connection_active[1m]))`, end, signal),
    ]);
    const found = new Map<string, Line>();
    const of = (protocol: string) => found.get(protocol) ?? found.set(protocol, { protocol, rate: null, open: null }).get(protocol);
    for (const one of rates) Object.assign(of(one.labels["protocol"] ?? "") ?? {}, { rate: one.value });
    for (const one of open) Object.assign(of(one.labels["protocol"] ?? "") ?? {}, { open: one.value });
    return [...found.values()].sort((a, b) => (b.rate ?? -1) - (a.rate ?? -1) || (b.open ?? 0) - (a.open ?? 0));
  });
  const lines = query.data ?? [];
  const read = lines.filter((line) => !UNREAD[line.protocol]);
  const unread = lines.filter((line) => UNREAD[line.protocol]);
  if (lines.length === 0) return null;
  return (
    <div class="sec">
      <div class="hd"><h2>Protocols</h2><span class="sub">{count(read.length)} read in this range</span></div>
      <table aria-label="Protocols">
        <thead><tr><th>Protocol</th><th class="num">requests/s</th><th class="num">connections</th></tr></thead>
        <tbody>
          {read.map((line) => <tr key={line.protocol}><td><a href={href("/map", { q: `proto:${line.protocol}` })}>{protocolName(line.protocol)}</a></td><td class="num">{perSecond(line.rate)}</td><td class="num">{count(line.open)}</td></tr>)}
          {unread.map((line) => <tr key={line.protocol}><td class="dim">{UNREAD[line.protocol]}</td><td class="num dim">{line.protocol === "tls" ? MISSING : "not read"}</td><td class="num">{count(line.open)}</td></tr>)}
        </tbody>
      </table>
    </div>
  );
}

interface NotWatchedProps {
  agent: Agent | undefined;
  /** Processes that are watched and had no request in the range. */
  idle: number | null;
}

export function NotWatched({ agent, idle }: NotWatchedProps) {
  const lines: [string, string][] = [["Limpid's own processes", "always left alone"]];
  if (idle) lines.push([plural(idle, "process", "processes"), "watched, no request in range"]);
  for (const { rule, matched } of agent?.exclusions ?? []) lines.push([rule, matched === null ? "excluded by configuration" : `excluded by configuration, ${plural(matched, "match", "matches")}`]);
  for (const protocol of agent?.protocolsOff ?? []) lines.push([protocolName(protocol), "switched off by configuration"]);
  for (const one of agent?.collectors.filter((collector) => collector.state === "off") ?? []) lines.push([`collector ${one.name}`, one.reason ?? "off"]);
  const lossOf = (cause: string) => agent?.losses.find((loss) => loss.cause === cause)?.count ?? 0;
  if (lossOf("compat_call")) lines.push([plural(lossOf("compat_call"), "call"), "of 32-bit programs: counted, content not read"]);
  if (lossOf("no_payload")) lines.push([plural(lossOf("no_payload"), "call"), "by sendfile, splice or io_uring: content not readable"]);
  return (
    <div class="sec">
      <div class="hd"><h2>Not watched, not read</h2></div>
      <dl class="kv wide notw">{lines.map(([what, why]) => [<dt key={what}>{what}</dt>, <dd key={`${what} why`}>{why}</dd>])}</dl>
    </div>
  );
}
