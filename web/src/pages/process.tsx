// One process: how its requests went, what it is, what it may use, whom it talks to, and the starts of its service.
import { useMemo } from "preact/hooks";
import { fetchEntity, fetchRelated } from "../api/services";
import { fetchTopology } from "../api/topology";
import { CarriedPart } from "../components/entity/Carried";
import { Connections } from "../components/entity/Connections";
import { Against, Facts, type Fact } from "../components/entity/Facts";
import { Removed } from "../components/entity/Removed";
import { hasEnded, Runs } from "../components/entity/Runs";
import { entityHref, onMapHref } from "../components/links";
import { Attributes, Neighbours } from "../components/map/NodeDetail";
import { Reasons } from "../components/Reasons";
import { Sentence } from "../components/Sentence";
import { Compare, pastOf, useCompareKey, useThen } from "../components/Compare";
import { Figures } from "../components/service/Figures";
import { Sign } from "../components/Sign";
import { Busy, FailureLine, Nothing } from "../components/states";
import { leadingReason } from "../domain/findings";
import { bytes, clock, count, day, span } from "../domain/format";
import { used } from "../domain/processes";
import { neighbourhood, serviceParts, type Topology } from "../domain/topology";
import { term } from "../domain/tracequery";
import { interval, now } from "../state/clock";
import { href, path, pathParts, utc } from "../state/location";
import { useQuery } from "../state/query";
import { moment, slowMoment, subject } from "../state/subject";
import { queryAt } from "../api/series";
import { processUse } from "../domain/promql";

const EMPTY: Topology = { nodes: [], edges: [] };
/** So far back are the starts of its service looked for. */
const HISTORY_SECONDS = 7 * 86_400;

export function ProcessPage() {
  const id = `process:${pathParts("/process/").join("/")}`;
  const pid = id.replace(/^.*-/, "");
  const entity = useQuery(subject(id), slowMoment(15), (signal) => fetchEntity(id, interval.peek(), signal));
  const map = useQuery(subject("topology process"), moment(), (signal) => fetchTopology(interval.peek(), "process", signal));
  const service = entity.data?.attributes["limpid.service"] ?? "";
  const runs = useQuery(`runs ${service}`, slowMoment(30), async (signal) => {
    const until = Math.max(now.peek(), interval.peek().end);
    return service ? fetchRelated(service, "instances", { start: until - HISTORY_SECONDS, end: until }, signal) : [];
  });
  const use = useQuery(subject(`use ${id}`), slowMoment(10), async (signal) => used(await queryAt(processUse({ instance: id }), interval.peek().end, signal)).get(id) ?? null);
  const past = pastOf();
  useCompareKey();
  const { known: then } = useThen(`process ${id}`, async (at, signal) => ({ node: (await fetchTopology(at, "process", signal)).nodes.find((one) => one.id === id) }));
  const around = useMemo(() => neighbourhood(map.data ?? EMPTY), [map.data]);
  const node = around.byId.get(id);
  if (entity.error?.trouble === "missing" && !node) return <Removed what="The process" id={path.value} />;
  if (!entity.data) return <div class="col grow"><h1 class="vh">Process</h1><Nothing what="The process" query={entity} /></div>;
  const known = entity.data.attributes;
  const parts = serviceParts(service);
  const name = known["process.executable.name"] ?? entity.data.name;
  const isSeen = (node?.requests ?? 0) > 0;
  const incoming = around.incoming.get(id) ?? [];
  const outgoing = around.outgoing.get(id) ?? [];
  const ended = hasEnded(entity.data);
  const number = (key: string) => (known[key] === undefined ? null : Number(known[key]));
  const when = (at: number | null) => (at === null ? "" : `${day(at, utc.value)} ${clock(at, utc.value)}`);
  const runsAs: Fact[] = [
    ["service", parts && <a href={entityHref(service)}>{parts.name}</a>],
    ["host", known["host.name"] && <a href={entityHref(known["limpid.host"] ?? "")}>{known["host.name"]}</a>],
    ["command line", known["process.command_line"] && <span class="mono">{known["process.command_line"]}</span>],
    ["executable", known["process.executable.path"] && <span class="mono">{known["process.executable.path"]}</span>],
    ["runtime", known["process.runtime.name"]],
    ["owner", known["process.owner"]],
    ["container", known["container.name"] ?? known["container.id"]],
    ["listens on", known["limpid.listen"] && <span class="mono">{known["limpid.listen"].split(",").join(", ")}</span>],
    ["started", when(entity.data.start)],
    ["ended", ended ? `${when(entity.data.end)}; how is not recorded` : ""],
  ];
  const limits: Fact[] = [
    ["memory", (use.data || number("limpid.limit.memory_bytes") !== null) && <Against value={use.data?.memory ?? null} limit={number("limpid.limit.memory_bytes")} text={bytes(use.data?.memory)} limitText={bytes(number("limpid.limit.memory_bytes"))} />],
    ["CPU", (use.data || number("limpid.limit.cpus") !== null) && <Against value={use.data?.cpus ?? null} limit={number("limpid.limit.cpus")} text={`${(use.data?.cpus ?? 0).toFixed(2)} CPUs`} limitText={`${number("limpid.limit.cpus")} CPUs`} />],
    ["open files", (use.data?.files != null || number("limpid.limit.open_files") !== null) && <Against value={use.data?.files ?? null} limit={number("limpid.limit.open_files")} text={count(use.data?.files)} limitText={count(number("limpid.limit.open_files"))} />],
    ["threads", use.data?.threads != null && count(use.data.threads)],
    ["cgroup", known["limpid.cgroup.path"] && <span class="mono">{known["limpid.cgroup.path"]}</span>],
  ];
  return (
    <>
      <Busy on={entity.stale || map.stale} />
      <div class="col grow" tabIndex={0} role="region" aria-label={`${name} ${pid}`}>
        <FailureLine what="The process" query={entity} />
        <div class="head">
          <div class="grow">
            <div class="pagehead" style={{ marginBottom: "2px" }}>
              {node ? <Sign status={node.status} size={17} /> : ended ? <Sign status="no_data" size={17} /> : null}
              <h1>{name} <span class="dim">pid {pid}</span></h1>
              <span class="sub el">{[parts && `of ${parts.name}`, known["host.name"] && `on ${known["host.name"]}`, ended ? "ended" : entity.data.start !== null && `up ${span(now.value - entity.data.start)}`].filter(Boolean).join(" · ")}</span>
            </div>
            <p>{node && (isSeen || node.made) ? <Sentence of={node} /> : <span class="mid">{ended ? `It ended ${when(entity.data.end)}.` : "No request of it was seen in this range."}</span>}</p>
          </div>
          <a class="btn" href={href("/map", { level: "process", sel: `node:${id}` })}>Show on map</a>
          <a class="btn" href={href("/traces", { q: term("instance", id) })}>Traces</a>
          <Compare past={past} since={node ? (leadingReason(node)?.since ?? null) : null} />
        </div>
        <div class="pad">
          {isSeen && <Figures key={id} name={`${name} ${pid}`} node={node} of={{ instance: id, side: "server" }} past={past} before={then?.node} />}
          <div class="two">
            <Facts title="What it is" sub="secrets are taken out where it runs" facts={runsAs} />
            <Facts title="What it may use" sub="its own limits and those of its cgroup" facts={limits} />
          </div>
          {isSeen && <CarriedPart key={`${id} served`} title="Requests" sub="failing and slow first" of={{ instance: id, side: "server" }} empty="No operation was called in this range." whole={node?.rate ?? null} />}
          {outgoing.length > 0 && <CarriedPart key={`${id} calls`} title="Calls to others" sub="as this process sees them" of={{ instance: id, side: "client" }} empty="It called nothing in this range." whole={outgoing.reduce((sum, edge) => sum + (edge.rate ?? 0), 0)} />}
          {parts && <Connections service={parts.name} />}
          <section>
            <div class="hd"><h2>Starts of its service</h2><span class="sub">7 days, newest first; how a process ended is not recorded</span></div>
            {runs.data ? runs.data.length > 0 ? <Runs runs={runs.data} current={id} /> : <p class="sub">Nothing is known of them.</p> : <Nothing what="Starts" query={runs} />}
          </section>
        </div>
      </div>
      <aside class="col side pn" tabIndex={0} aria-label="Context">
        {node && node.reasons.length > 0 && <div class="sec"><div class="hd"><h2>Why</h2><span class="sub">most likely first</span></div><Reasons reasons={node.reasons} /></div>}
        {parts && <div class="sec"><a href={onMapHref(`node:${service}`)}>{parts.name} on the map</a></div>}
        <Neighbours title="Callers" edges={incoming} end="source" around={around} empty="Nothing calls it in this range." toMap />
        <Neighbours title="Callees" edges={outgoing} end="target" around={around} empty="It calls nothing in this range." toMap />
        <Attributes attributes={known} />
      </aside>
    </>
  );
}
