// Connections that are open at the end of the range, by who is at the other end.
import { queryAt } from "../../api/series";
import { count } from "../../domain/format";
import { openConnections } from "../../domain/promql";
import { protocolName } from "../../domain/topology";
import { interval } from "../../state/clock";
import { useQuery } from "../../state/query";
import { slowMoment, subject } from "../../state/subject";
import { FailureLine, Nothing } from "../states";
import { Table, type Column } from "../Table";

interface Line {
  peer: string;
  protocol: string;
  side: string;
  open: number;
}

/** A series that was not sent for this long has ended. */
const WINDOW = "1m";

const COLUMNS: Column<Line>[] = [
  { key: "peer", head: "With", value: (row) => row.peer, cell: (row) => <span class="el op" title={row.peer}>{row.peer}</span> },
  { key: "side", head: "Opened by", value: (row) => row.side, cell: (row) => (row.side === "client" ? "itself" : "the other") },
  { key: "protocol", head: "Protocol", value: (row) => row.protocol, cell: (row) => protocolName(row.protocol) },
  { key: "open", head: "open", numeric: true, value: (row) => row.open, cell: (row) => count(row.open) },
];

export function Connections({ service }: { service: string }) {
  const query = useQuery(subject(`connections ${service}`), slowMoment(10), async (signal): Promise<Line[]> => {
    const found = await queryAt(openConnections(service, WINDOW), interval.peek().end, signal);
    const line = ({ labels, value }: (typeof found)[number]): Line => ({ peer: labels["peer"] || labels["peer_address"] || "not known", protocol: labels["protocol"] ?? "", side: labels["side"] ?? "", open: value ?? 0 });
    return found.map(line).filter((one) => one.open > 0);
  });
  return (
    <section>
      <div class="hd"><h2>Open connections</h2><span class="sub">of its service, those that were used; at the end of the range</span></div>
      <FailureLine what="Open connections" query={query} />
      {query.data === null ? <Nothing what="Open connections" query={query} /> : query.data.length === 0 ? <p class="sub">None that was used is open.</p> : <Table label="Open connections" rows={query.data} columns={COLUMNS} initial={{ key: "open", direction: "descending" }} rowKey={(row) => [row.peer, row.protocol, row.side].join(" ")} />}
    </section>
  );
}
