// All certificates that servers have shown, the soonest to end first, with who shows them.
import { queryAt } from "../../api/series";
import { bySoonest, daysLeft, endOf } from "../../domain/tls";
import type { Certificate } from "../../domain/topology";
import { interval } from "../../state/clock";
import { useQuery } from "../../state/query";
import { slowMoment, subject } from "../../state/subject";
import { entityHref, serviceHref } from "../links";
import { FailureLine, Nothing } from "../states";
import { Table, type Column } from "../Table";
import { Left } from "../tls";

interface Shown extends Certificate {
  /** Who shows it, and where that is told of. */
  by: string;
  link: string;
}

const QUESTION = "max by (service, peer, peer_address, side, server_name, subject) (last_over_time(limpid_tls_certificate_not_after_seconds[5m]))";

const COLUMNS: Column<Shown>[] = [
  { key: "left", head: "Left", value: (row) => row.notAfter, text: (row) => `${Math.floor(daysLeft(row, interval.peek().end))} days`, cell: (row) => <Left certificate={row} />, first: "ascending" },
  { key: "by", head: "Shown by", value: (row) => row.by, cell: (row) => <a href={row.link}>{row.by}</a> },
  { key: "subject", head: "Certificate", value: (row) => row.subject, cell: (row) => <span class="el op" title={row.subject}>{row.subject}</span> },
  { key: "name", head: "Asked for as", optional: "h1c", value: (row) => row.serverName, cell: (row) => row.serverName || <span class="dim">no name</span> },
  { key: "end", head: "Ends", optional: "h1c", value: (row) => row.notAfter, text: endOf, cell: endOf },
];

/** The server is who it speaks for, else who it was called as. */
function shownBy(labels: Record<string, string>): Pick<Shown, "by" | "link"> {
  const service = labels["side"] === "server" ? labels["service"] : labels["peer"];
  const address = labels["peer_address"] ?? "";
  return service ? { by: service, link: serviceHref("default", service) } : { by: address || "not known", link: entityHref(`external:${address}`) };
}

export function CertificateList() {
  const query = useQuery(subject("certificates"), slowMoment(30), async (signal) => {
    const found = await queryAt(QUESTION, interval.peek().end, signal);
    return bySoonest(found.flatMap(({ labels, value }) => (value ? [{ ...shownBy(labels), subject: labels["subject"] ?? "", serverName: labels["server_name"] ?? "", notAfter: value }] : [])), (one) => one.by);
  });
  return (
    <section>
      <div class="hd"><h2>Certificates</h2><span class="sub">that servers have shown, soonest to end first; TLS 1.3 encrypts them, so those are not seen</span></div>
      <FailureLine what="Certificates" query={query} />
      {query.data === null ? <Nothing what="Certificates" query={query} /> : query.data.length === 0 ? <p class="sub">None was seen at the end of the range.</p> : <Table label="Certificates" rows={query.data} columns={COLUMNS} initial={{ key: "left", direction: "ascending" }} rowKey={(row) => [row.by, row.subject, row.serverName].join(" ")} sortParam="certs" />}
    </section>
  );
}
