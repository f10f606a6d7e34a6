// What is watched, what is not and why, what was lost, and what Limpid itself costs.
import { fetchFacets } from "../api/facets";
import { fetchStatus, type Status } from "../api/status";
import { fetchTopology } from "../api/topology";
import { CopyButton } from "../components/Copy";
import { Sign } from "../components/Sign";
import { Busy, FailureLine, Nothing } from "../components/states";
import { CertificateList } from "../components/status/CertificateList";
import { Collectors } from "../components/status/Collectors";
import { Encrypted } from "../components/status/Encrypted";
import { Hosts } from "../components/status/Hosts";
import { Itself, StorePart } from "../components/status/Itself";
import { Losses } from "../components/status/Losses";
import { NotWatched, Protocols } from "../components/status/Watched";
import { between, count, MISSING, share } from "../domain/format";
import { headline, troubles, worstLoss } from "../domain/health";
import { seenOf } from "../domain/topology";
import { interval, now } from "../state/clock";
import { href, param, utc } from "../state/location";
import { useQuery } from "../state/query";
import { moment, slowMoment, subject } from "../state/subject";

export function StatusPage() {
  const query = useQuery("status", String(Math.floor(now.value / 5)), fetchStatus);
  const processes = useQuery(subject("topology process"), slowMoment(30), (signal) => fetchTopology(interval.peek(), "process", signal));
  const status = query.data;
  if (!status) return <div class="col grow"><h1 class="vh">Status</h1><Nothing what="Status" query={query} /></div>;
  const agent = status.agents.find((one) => one.host === param("host")) ?? status.agents[0];
  const talking = processes.data?.nodes.filter((node) => node.kind === "process").length;
  const idle = talking === undefined || status.processes === null ? null : Math.max(0, status.processes - talking);
  return (
    <>
      <Busy on={query.stale} />
      <div class="col grow" tabIndex={0} role="region" aria-label="Status">
        <FailureLine what="Status" query={query} />
        <div class="pad">
          <Headline status={status} />
          <Hosts status={status} chosen={agent} />
          {agent && <Collectors agent={agent} />}
          {agent && <Encrypted agent={agent} />}
          <CertificateList />
        </div>
      </div>
      <aside class="col side statuscol" tabIndex={0} aria-label="Losses and cost">
        <Requests />
        <Losses status={status} />
        <NotWatched agent={agent} idle={idle} />
        <Protocols />
        <Itself status={status} />
        <StorePart status={status} />
      </aside>
    </>
  );
}

function Headline({ status }: { status: Status }) {
  const found = troubles(status);
  const worst = worstLoss(status);
  return (
    <div class="pagehead" style={{ alignItems: "flex-start" }}>
      <span style={{ paddingTop: "4px" }}><Sign status={found.length ? "warning" : "ok"} size={17} /></span>
      <div class="grow">
        <h1>{headline(status)}</h1>
        {found.length > 1 ? <ul class="mid">{found.slice(1).map((text) => <li key={text}>{text}</li>)}</ul> : null}
        <p class="sub">{worst ? `Counted most since the start: ${worst.what}, ${count(worst.count)}.` : "Nothing was lost since the start."}</p>
      </div>
      <span class="btn"><CopyButton text={() => JSON.stringify(status, null, 2)}>Copy as JSON</CopyButton></span>
    </div>
  );
}

/** What was seen of the range's requests, from the map's own figures, and how many were kept as traces. */
function Requests() {
  const { start, end } = interval.value;
  const query = useQuery(subject("topology service"), moment(), (signal) => fetchTopology(interval.peek(), "service", signal));
  const kept = useQuery(subject("kept traces"), slowMoment(60), (signal) => fetchFacets("", "", "", interval.peek(), signal));
  if (!query.data) return null;
  const seen = seenOf(query.data.edges);
  return (
    <div class="sec">
      <div class="hd"><h2>Requests</h2><span class="sub">{between(start, end, utc.value)}</span></div>
      <dl class="kv wide">
        <dt>seen and measured</dt><dd>{count(seen.all)}</dd>
        <dt>of them from both sides</dt><dd>{count(seen.both)}{seen.all > 0 && ` (${share(seen.both / seen.all)})`}</dd>
        <dt>from the caller only</dt><dd>{count(seen.client)}</dd>
        <dt>from the server only</dt><dd>{count(seen.server)}</dd>
        <dt>kept as traces</dt><dd>{kept.data ? <a href={href("/traces")}>{kept.data.complete ? "" : "over "}{count(kept.data.traces)}, all failed and slow</a> : MISSING}</dd>
      </dl>
    </div>
  );
}
