// What TCP did on an edge, as both sides saw it: connects, failed ones with their errors, round trips, what was sent again.
import { queryAt } from "../../api/series";
import { bytes, count, milliseconds, rate, share } from "../../domain/format";
import { edgeMatchers } from "../../domain/operations";
import { windowOver, type Matchers } from "../../domain/promql";
import { againShare, isLossy, isOfTcp, readTcp, tcpOf, type Tcp } from "../../domain/tcp";
import { failedConnects, neverConnected, type MapEdge, type Neighbourhood } from "../../domain/topology";
import { term } from "../../domain/tracequery";
import { interval } from "../../state/clock";
import { useQuery } from "../../state/query";
import { slowMoment, subject } from "../../state/subject";
import { CopyButton } from "../Copy";
import { tracesOf } from "../links";
import { FailureLine } from "../states";

interface Props {
  edge: MapEdge;
  around: Neighbourhood;
}

type Sides = { client: Tcp | null; server: Tcp | null };

export function EdgeTcp({ edge, around }: Props) {
  const of = { client: edgeMatchers(edge, "client", around), server: edgeMatchers(edge, "server", around) };
  const query = useQuery(subject(`tcp ${edge.id}`), slowMoment(10), async (signal): Promise<Sides> => {
    const { start, end } = interval.peek();
    const ask = async (side: Matchers | null) => (side ? readTcp(await queryAt(tcpOf(side, windowOver({ start, end })), end, signal)) : null);
    const [client, server] = await Promise.all([ask(of.client), ask(of.server)]);
    return { client, server };
  });
  const sides = query.data;
  const measured = sides !== null && (sides.client !== null || sides.server !== null);
  if (sides !== null && !measured && failedConnects(edge) === 0) return <NotMeasured />;
  const isTcp = !measured || [sides.client, sides.server].some(isOfTcp);
  const asked = of.client ?? of.server;
  return (
    <div class="sec">
      <div class="hd">
        <h2>{isTcp ? "TCP" : "Connections"}</h2>
        {asked && <span class="sub"><CopyButton text={() => tcpOf(asked, windowOver(interval.peek()))} what="the question in PromQL">Copy PromQL</CopyButton></span>}
      </div>
      <FailureLine what="TCP" query={query} />
      <FailedConnects edge={edge} around={around} />
      {measured && !neverConnected(edge) && <TcpTable sides={sides} seconds={knownSeconds(edge)} rows={isTcp ? ROWS : ROWS.filter(([, , row]) => row === "any")} />}
      {measured && !isTcp && <p class="sub">No TCP of it was measured in this range: round trips and what was sent again are not known.</p>}
    </div>
  );
}

const NotMeasured = () => (
  <div class="sec">
    <h2>TCP</h2>
    <p class="sub">Not known: no TCP connection of it was measured in this range.</p>
  </div>
);

function FailedConnects({ edge, around }: Props) {
  const errors = Object.entries(edge.failedConnects).sort((a, b) => b[1] - a[1]);
  if (errors.length === 0) return null;
  const caller = around.byId.get(edge.source);
  return (
    <>
      <table class="carried">
        <thead><tr><th>Failed connects</th><th class="num">{count(failedConnects(edge))}</th></tr></thead>
        <tbody>
          {errors.map(([name, amount]) => (
            <tr key={name}><td class="w"><span class="mono crit">{name}</span> <span class="dim">{MEANINGS[name] ?? ""}</span></td><td class="num crit">{count(amount)}</td></tr>
          ))}
        </tbody>
      </table>
      {caller && <p class="sub"><a href={tracesOf(caller.name, [term("protocol", "tcp"), term("status", "error")].join(" "))}>Traces with failed connects</a></p>}
    </>
  );
}

const MEANINGS: Record<string, string> = {
  ECONNREFUSED: "nobody listens there", ETIMEDOUT: "no answer, as from a firewall or a dead host", EHOSTUNREACH: "no way to the host",
  ENETUNREACH: "no way to the network", ECONNRESET: "reset while connecting", EACCES: "not permitted", EPERM: "not permitted",
  unanswered: "the caller gave up waiting",
};

/** What only TCP has, and what any connection and flow of datagrams has. */
type Row = [name: string, cell: (tcp: Tcp, seconds: number) => string | null, of: "tcp" | "any", tone?: (tcp: Tcp) => string];

const ROWS: Row[] = [
  ["opened", (tcp, seconds) => (tcp.opened === null ? null : rate(tcp.opened / seconds)), "any"],
  ["open at the end", (tcp) => (tcp.active === null ? null : count(tcp.active)), "any"],
  ["time to connect p50", (tcp) => time(tcp.connectP50), "tcp"],
  ["time to connect p95", (tcp) => time(tcp.connectP95), "tcp"],
  ["round trip p50", (tcp) => time(tcp.roundTripP50), "tcp"],
  ["round trip p95", (tcp) => time(tcp.roundTripP95), "tcp"],
  ["sent again", againText, "tcp", (tcp) => (isLossy(tcp) ? "warn b" : "")],
  ["resets", (tcp) => (tcp.resets === null ? null : count(tcp.resets)), "tcp"],
  ["bytes sent", (tcp) => (tcp.sent === null ? null : bytes(tcp.sent)), "any"],
  ["bytes received", (tcp) => (tcp.received === null ? null : bytes(tcp.received)), "any"],
];

const time = (value: number | null): string | null => (value === null ? null : milliseconds(value));

/** As long as the map's rates are of: it knows since when anything was watched. */
function knownSeconds(edge: MapEdge): number {
  if (edge.requests && edge.rate) return edge.requests / edge.rate;
  return Math.max(1, interval.peek().end - interval.peek().start);
}

function againText(tcp: Tcp): string | null {
  const part = againShare(tcp);
  if (part === null) return null;
  return tcp.retransmits && tcp.retransmits >= 0.5 ? `${share(part)} (${count(tcp.retransmits)})` : "0";
}

function TcpTable({ sides, seconds, rows }: { sides: Sides; seconds: number; rows: Row[] }) {
  return (
    <table>
      <thead>
        <tr>
          <th><span class="vh">Figure</span></th>
          <th class="num"><span style={{ color: "var(--s-client)" }} aria-hidden="true">◻</span> caller</th>
          <th class="num"><span style={{ color: "var(--s-server)" }} aria-hidden="true">◼</span> server</th>
        </tr>
      </thead>
      <tbody>
        {rows.map(([name, cell, , tone]) => (
          <tr key={name}>
            <td>{name}</td>
            {[sides.client, sides.server].map((tcp, index) => {
              const text = tcp && cell(tcp, seconds);
              return <td key={index} class={`num ${text ? tcp && tone ? tone(tcp) : "" : "dim"}`}>{text ?? unknown(name, tcp, index)}</td>;
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Only who opens a connection knows how long it took. */
const unknown = (name: string, tcp: Tcp | null, side: number): string => (tcp && side === 1 && name.startsWith("time to connect") ? "–" : "not known");
