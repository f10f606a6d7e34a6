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
import { Sides, type Row } from "./Sides";

interface Props {
  edge: MapEdge;
  around: Neighbourhood;
}

type Sides = { client: Tcp | null; server: Tcp | null };

export function EdgeTcp({ edge, around }: Props) {
  // The socket below what was read in plaintext counts its bytes as those of TLS.
  const known = { ...edge, client: edge.client ?? edge.tls?.client ?? null, server: edge.server ?? edge.tls?.server ?? null };
  const below = (side: "client" | "server") => {
    const of = edgeMatchers(known, side, around);
    return of && edge.tls ? { ...of, protocol: [...new Set([edge.protocol, "tls", "quic"])] } : of;
  };
  const of = { client: below("client"), server: below("server") };
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
      {measured && !neverConnected(edge) && <Sides sides={sides} rows={rowsOf(knownSeconds(edge)).filter((row) => isTcp || !row.tcp)} unknown={unknown} />}
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
type TcpRow = Row<Tcp> & { tcp?: boolean };

const rowsOf = (seconds: number): TcpRow[] => [
  { name: "opened", cell: ({ opened }) => (opened === null ? null : rate(opened / seconds)) },
  { name: "open at the end", cell: ({ active }) => told(active, count) },
  { name: "time to connect p50", cell: ({ connectP50 }) => told(connectP50, milliseconds), tcp: true },
  { name: "time to connect p95", cell: ({ connectP95 }) => told(connectP95, milliseconds), tcp: true },
  { name: "round trip p50", cell: ({ roundTripP50 }) => told(roundTripP50, milliseconds), tcp: true },
  { name: "round trip p95", cell: ({ roundTripP95 }) => told(roundTripP95, milliseconds), tcp: true },
  { name: "sent again", cell: againText, tcp: true, tone: (tcp) => (isLossy(tcp) ? "warn b" : "") },
  { name: "resets", cell: ({ resets }) => told(resets, count), tcp: true },
  { name: "bytes sent", cell: ({ sent }) => told(sent, bytes) },
  { name: "bytes received", cell: ({ received }) => told(received, bytes) },
];

const told = (value: number | null, text: (value: number) => string): string | null => (value === null ? null : text(value));

/** As long as the map's rates are of: it knows since when anything was watched. */
function knownSeconds(edge: MapEdge): number {
  if (edge.requests && edge.rate) return edge.requests / edge.rate;
  const handshakes = edge.tls?.server?.requests ?? edge.tls?.client?.requests;
  if (handshakes && edge.tls?.rate) return handshakes / edge.tls.rate;
  return Math.max(1, interval.peek().end - interval.peek().start);
}

function againText(tcp: Tcp): string | null {
  const part = againShare(tcp);
  if (part === null) return null;
  return tcp.retransmits && tcp.retransmits >= 0.5 ? `${share(part)} (${count(tcp.retransmits)})` : "0";
}

/** Only who opens a connection knows how long it took. */
const unknown = ({ name }: Row<Tcp>, tcp: Tcp | null, side: number): string => (tcp && side === 1 && name.startsWith("time to connect") ? "–" : "not known");
