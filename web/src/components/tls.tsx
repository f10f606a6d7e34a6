// What is known of encrypted connections without reading them: failed handshakes, their parameters, certificates.
import { fetchFacets } from "../api/facets";
import { count, plural, share } from "../domain/format";
import { alertParts, bySoonest, daysLeft, endOf, leftText, leftTone } from "../domain/tls";
import type { Certificate } from "../domain/topology";
import { interval } from "../state/clock";
import { href } from "../state/location";
import { useQuery } from "../state/query";
import { slowMoment, subject } from "../state/subject";

export function Alerts({ alerts }: { alerts: Record<string, number> }) {
  const all = Object.entries(alerts).sort((a, b) => b[1] - a[1]);
  if (all.length === 0) return null;
  return (
    <table class="carried">
      <thead><tr><th>Failed handshakes</th><th class="num">{count(all.reduce((sum, [, amount]) => sum + amount, 0))}</th></tr></thead>
      <tbody>
        {all.map(([code, amount]) => {
          const [name, meaning] = alertParts(code);
          return <tr key={code}><td class="w"><span class="mono crit">{name}</span> <span class="dim">{meaning}</span></td><td class="num crit">{count(amount)}</td></tr>;
        })}
      </tbody>
    </table>
  );
}

/** With the days that are left at the range's end. */
export function Left({ certificate }: { certificate: Certificate }) {
  const days = daysLeft(certificate, interval.value.end);
  return <span class={leftTone(days)}>{leftText(days)}</span>;
}

export function Certificates({ all }: { all: Certificate[] }) {
  const found = bySoonest(all);
  if (found.length === 0) return null;
  return (
    <table class="carried">
      <thead><tr><th>Certificate</th><th class="num">ends</th><th class="num">left</th></tr></thead>
      <tbody>
        {found.map((one) => (
          <tr key={`${one.subject} ${one.serverName}`}>
            <td class="w">{one.subject}{one.serverName && <span class="dim"> for {one.serverName}</span>}</td>
            <td class="num">{endOf(one)}</td>
            <td class="num"><Left certificate={one} /></td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const FACTS: [key: string, name: string][] = [
  ["tls.protocol.version", "version"], ["tls.cipher", "cipher"], ["tls.next_protocol", "ALPN"], ["tls.client.server_name", "names asked for"], ["tls.server.issuer", "issued by"],
];
const MOST_VALUES = 4;

/** Versions, ciphers and names are not in any metric: those of the handshakes that were kept as traces. */
export function TlsFacts({ q }: { q: string }) {
  const query = useQuery(subject(`tls ${q}`), slowMoment(30), (signal) => fetchFacets(q, "", [...FACTS.map(([key]) => key), "tls.resumed"].join(), interval.peek(), signal));
  const found = query.data;
  if (!found) return query.error ? <p class="sub">Versions and ciphers cannot be read: {query.error.message}.</p> : null;
  const valuesOf = (key: string) => found.facets.find((facet) => facet.key === key)?.values ?? [];
  const resumed = valuesOf("tls.resumed");
  const all = resumed.reduce((sum, one) => sum + one.traces, 0);
  const again = resumed.find((one) => one.value === "true")?.traces ?? 0;
  return (
    <>
      <dl class="kv">
        {FACTS.map(([key, name]) => {
          const values = valuesOf(key);
          const texts = values.slice(0, MOST_VALUES).map((one) => (values.length > 1 ? `${one.value} (${count(one.traces)})` : one.value));
          return values.length > 0 && [<dt key={key}>{name}</dt>, <dd key={`${key} value`}>{texts.join(", ")}{values.length > MOST_VALUES && `, ${values.length - MOST_VALUES} more`}</dd>];
        })}
        {all > 0 && <><dt>resumed</dt><dd>{share(again / all)}</dd></>}
      </dl>
      <p class="sub">{found.traces > 0 ? <>Of <a href={href("/traces", { q })}>{plural(found.traces, "trace")} with handshakes</a>{found.complete ? "" : ", of a part of the range"}.</> : "No handshake of it was kept as a trace: versions and ciphers are not known."}</p>
    </>
  );
}
