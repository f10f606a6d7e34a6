// Encrypted connections of an edge: read or not and why, and what is known in either case.
import { fetchStatus, type Agent } from "../../api/status";
import { count, milliseconds, share } from "../../domain/format";
import { whyUnread } from "../../domain/tls";
import { isUnread, serviceParts, type EdgeTls as Handshakes, type Figures, type MapEdge, type Neighbourhood } from "../../domain/topology";
import { term } from "../../domain/tracequery";
import { now } from "../../state/clock";
import { useQuery } from "../../state/query";
import { Alerts, Certificates, TlsFacts } from "../tls";
import { Sides, type Row } from "./Sides";

export function EdgeTls({ edge, tls, around }: { edge: MapEdge; tls: Handshakes; around: Neighbourhood }) {
  const unread = isUnread(edge);
  return (
    <div class="sec">
      <div class="hd"><h2>Encryption</h2><span class="sub">{unread ? "not read" : "read in plaintext"}</span></div>
      {unread && <Why edge={edge} />}
      <Sides sides={tls} rows={ROWS} />
      <Alerts alerts={tls.alerts} />
      <Certificates all={tls.certificates} />
      <TlsFacts q={handshakesOf(edge, around)} />
    </div>
  );
}

/** What was seen of both ends is told by one. */
function handshakesOf(edge: MapEdge, around: Neighbourhood): string {
  const [source, target] = [serviceParts(edge.source)?.name, serviceParts(edge.target)?.name];
  const name = (id: string) => around.byId.get(id)?.name ?? "";
  const ends = source ? [term("service", source), target ? term("peer", target) : edge.attributes["server.address"] ? term("server.address", edge.attributes["server.address"].split(",")[0] ?? "") : ""] : [term("service", target ?? name(edge.target))];
  return [...ends, term("protocol", edge.protocol === "quic" ? "quic" : "tls")].filter(Boolean).join(" ");
}

function Why({ edge }: { edge: MapEdge }) {
  const status = useQuery("health", String(Math.floor(now.value / 15)), fetchStatus);
  if (!status.data) return <p class="sub">{status.error ? `Why is not known: the status cannot be read: ${status.error.message}.` : "Reading why"}</p>;
  return <WhyLines edge={edge} agents={status.data.agents} />;
}

function WhyLines({ edge, agents }: { edge: MapEdge; agents: Agent[] }) {
  const lines = whyUnread(edge, agents);
  if (!lines) return <p class="sub">No handshake succeeded: there was nothing to read.</p>;
  return <dl class="kv" style={{ marginBottom: "8px" }}>{lines.map(([name, why]) => [<dt key={name}>{name}</dt>, <dd key={`${name} why`}>{why}</dd>])}</dl>;
}

const ROWS: Row<Figures>[] = [
  { name: "handshakes", cell: (side) => count(side.requests) },
  { name: "failed", cell: (side) => share(failedPart(side)), tone: (side) => (failedPart(side) >= 0.05 ? "crit b" : failedPart(side) >= 0.01 ? "warn b" : "") },
  { name: "time p50", cell: (side) => milliseconds(side.p50) },
  { name: "time p95", cell: (side) => milliseconds(side.p95) },
];

const failedPart = (side: Figures): number => (side.requests ? (side.errors ?? 0) / side.requests : 0);
