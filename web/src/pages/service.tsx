// One service: a sentence, rate, failures and duration over time, its operations, callers and callees, instances, and
// what changed against the time it is compared with.
import { useMemo } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { fetchOperations, fetchRelated, type Entity, type Operation } from "../api/services";
import { fetchTopology } from "../api/topology";
import { Compare, pastOf, PastLine, useCompareKey, useThen } from "../components/Compare";
import { onMapHref, tracesOf } from "../components/links";
import { Attributes, Neighbours } from "../components/map/NodeDetail";
import { Reasons } from "../components/Reasons";
import { Changes } from "../components/service/Changes";
import { Figures } from "../components/service/Figures";
import { HeatMap } from "../components/service/HeatMap";
import { Instances, Operations } from "../components/service/tables";
import { Sentence } from "../components/Sentence";
import { Sign } from "../components/Sign";
import { Busy, FailureLine, Nothing } from "../components/states";
import { Tabs } from "../components/Tabs";
import { Alerts, Certificates, TlsFacts } from "../components/tls";
import { WhereService } from "../components/WhereService";
import { callChanges, nodeChange, operationChanges, runChanges, type Change } from "../domain/changes";
import type { Past } from "../domain/compare";
import { leadingReason } from "../domain/findings";
import { added } from "../domain/groups";
import { between, count, day, clock, plural } from "../domain/format";
import { ofService } from "../domain/promql";
import { neighbourhood, runtimeOf, type MapEdge, type MapNode, type Neighbourhood, type Topology } from "../domain/topology";
import { term } from "../domain/tracequery";
import { interval } from "../state/clock";
import { oldest } from "../state/health";
import { href, param, pathParts, utc } from "../state/location";
import { useQuery, type Query } from "../state/query";
import { moment, slowMoment, subject } from "../state/subject";

const EMPTY: Topology = { nodes: [], edges: [] };
const MOST_OPERATIONS = 10;

export function ServicePage() {
  const [scope = "", ...rest] = pathParts("/service/");
  const name = rest.join("/");
  const id = `service:${scope}/${name}`;
  const past = pastOf();
  useCompareKey();
  const map = useQuery(subject("topology service"), moment(), (signal) => fetchTopology(interval.peek(), "service", signal));
  const processes = useQuery(subject("topology process"), slowMoment(15), (signal) => fetchTopology(interval.peek(), "process", signal));
  const operations = useQuery(subject(`operations ${id}`), moment(), (signal) => fetchOperations(scope, name, interval.peek(), signal));
  const instances = useQuery(subject(`instances ${id}`), slowMoment(15), (signal) => fetchRelated(id, "instances", interval.peek(), signal));
  const { query: then, known } = useThen(`service ${scope}/${name}`, async (at, signal): Promise<Known> => {
    const [topology, rows] = await Promise.all([fetchTopology(at, "service", signal), fetchOperations(scope, name, at, signal)]);
    return { around: neighbourhood(topology), operations: rows };
  });
  const around = useMemo(() => neighbourhood(map.data ?? EMPTY), [map.data]);
  const processNodes = useMemo(() => new Map((processes.data?.nodes ?? []).map((node) => [node.id, node])), [processes.data]);
  const node = around.byId.get(id);
  if (!map.data) return <div class="col grow"><h1 class="vh">{name}</h1><Nothing what="The service" query={map} /></div>;
  const incoming = around.incoming.get(id) ?? [];
  const outgoing = around.outgoing.get(id) ?? [];
  const side = incoming.length > 0 && incoming.every((edge) => edge.server === null) ? "client" : "server";
  const served = operations.data ?? [];
  const before = known?.around.byId.get(id);
  const changes = changesOf({ id, served, instances: instances.data ?? [], around, then: known, node });
  const tab = param("tab") || "overview";
  const isSeen = (node?.requests ?? 0) > 0;
  const operationsPart = (most?: number) => (
    <Part title="Operations" sub={side === "client" ? "as its callers see them" : "failing and slow first"} query={operations} empty={served.length === 0} emptyText="No operation was called in this range.">
      <Operations service={name} rows={served} side={side} before={known && past ? { rows: known.operations, name: past.name } : null} {...(most && { most })} />
    </Part>
  );
  const instancesPart = (
    <Part title="Instances" sub="side by side" query={instances} empty={instances.data?.length === 0} emptyText="No process of this service was seen in this range.">
      <Instances entities={instances.data ?? []} nodes={processNodes} service={name} />
    </Part>
  );
  return (
    <>
      <Busy on={map.stale || then.stale} />
      <div class="col grow" tabIndex={0} role="region" aria-label={name}>
        <FailureLine what="The service" query={map} />
        <FailureLine what="The time compared with" query={then} />
        {known && <PastLine past={past} unknown={before ? null : "this service"} />}
        <Head name={name} id={id} node={node} instances={instances.data?.length} past={past} />
        <Tabs tabs={[["overview", "Overview"], ["operations", `Operations ${count(served.length)}`], ["instances", `Instances ${count(instances.data?.length)}`], ["changes", `Changes ${count(changes.length)}`]]} />
        <div class="pad">
          {tab === "overview" && isSeen && <Figures key={id} name={name} node={node} of={ofService(name, side)} past={past} before={before} />}
          {tab === "overview" && isSeen && <HeatMap key={id} name={name} side={side} operations={served} />}
          {tab === "overview" && operationsPart(MOST_OPERATIONS)}
          {tab === "operations" && operationsPart()}
          {(tab === "overview" || tab === "instances") && instancesPart}
          {tab === "changes" && <ChangesPart changes={changes} past={past} />}
        </div>
      </div>
      <aside class="col side pn" tabIndex={0} aria-label="Context">
        {node && node.reasons.length > 0 && (
          <div class="sec">
            <div class="hd"><h2>Why</h2><span class="sub">most likely first</span></div>
            <Reasons reasons={node.reasons} />
          </div>
        )}
        {isSeen && outgoing.length > 0 && <WhereService key={id} name={name} />}
        <ServedTls name={name} edges={incoming} />
        <Neighbours title="Callers" edges={incoming} end="source" around={around} empty="Nothing calls it in this range." toMap />
        <Neighbours title="Callees" edges={outgoing} end="target" around={around} empty="It calls nothing in this range." toMap />
        {tab !== "changes" && changes.length > 0 && (
          <div class="sec">
            <div class="hd"><h2>What changed</h2><span class="sub">{past ? `against ${past.name}` : "in this range"}</span></div>
            <Changes changes={changes} most={8} />
          </div>
        )}
        {node && <Attributes attributes={node.attributes} />}
      </aside>
    </>
  );
}

/** What this service shows to those who call it encrypted. */
function ServedTls({ name, edges }: { name: string; edges: MapEdge[] }) {
  const all = edges.flatMap((edge) => edge.tls ?? []);
  if (all.length === 0) return null;
  const certificates = all.flatMap((tls) => tls.certificates);
  const shaken = all.reduce((sum, tls) => sum + ((tls.server ?? tls.client)?.requests ?? 0), 0);
  return (
    <div class="sec">
      <div class="hd"><h2>Encryption</h2><span class="sub">{plural(shaken, "handshake")} served</span></div>
      <Certificates all={certificates} />
      {certificates.length === 0 && <p class="sub">No certificate of it was seen: TLS 1.3 encrypts them.</p>}
      <Alerts alerts={added(all.map((tls) => tls.alerts))} />
      <TlsFacts q={`${term("service", name)} protocol:tls`} />
    </div>
  );
}

/** The map and the operations of the time compared with. */
interface Known {
  around: Neighbourhood;
  operations: Operation[];
}

interface Changing {
  id: string;
  served: Operation[];
  instances: Entity[];
  around: Neighbourhood;
  then: Known | null;
  node: MapNode | undefined;
}

function changesOf({ id, served, instances, around, then, node }: Changing): Change[] {
  const { start, end } = interval.value;
  const runs = runChanges(instances, start, end);
  const was = then?.around.byId.get(id);
  if (!then || !was) return runs;
  return [...runs, ...nodeChange(node, was), ...callChanges(id, around, then.around), ...operationChanges(served, then.operations)];
}

function ChangesPart({ changes, past }: { changes: Change[]; past: Past | null }) {
  return (
    <section>
      <div class="hd"><h2>What changed</h2><span class="sub">{past ? `in this range, and against ${past.name}` : "in this range; compare with another time to see more"}</span></div>
      {changes.length === 0 ? <p class="sub">{past ? "Nothing that is known of it differs: the same operations, callers and callees, and no process started or ended." : "No process started or ended."}</p> : <Changes changes={changes} />}
    </section>
  );
}

function Part({ title, sub, query, empty, emptyText, children }: { title: string; sub: string; query: Query<unknown>; empty: boolean; emptyText: string; children: ComponentChildren }) {
  return (
    <section class={query.stale ? "dimmed" : ""}>
      <div class="hd"><h2>{title}</h2><span class="sub">{sub}</span></div>
      <FailureLine what={title} query={query} />
      {query.data === null ? <Nothing what={title} query={query} /> : empty ? <p class="sub">{emptyText}</p> : children}
    </section>
  );
}

function Head({ name, id, node, instances, past }: { name: string; id: string; node: MapNode | undefined; instances: number | undefined; past: Past | null }) {
  const facts = node ? [runtimeOf(node), node.attributes["host.name"] ? `on ${node.attributes["host.name"]}` : "", instances === undefined ? "" : plural(instances, "instance")] : [];
  return (
    <div class="head">
      <div class="grow">
        <div class="pagehead" style={{ marginBottom: "2px" }}>
          {node && <Sign status={node.status} size={17} />}
          <h1>{name}</h1>
          <span class="sub el">{facts.filter(Boolean).join(" · ")}</span>
        </div>
        <Line node={node} />
      </div>
      <a class="btn" href={onMapHref(`node:${id}`)}>Show on map</a>
      <a class="btn" href={tracesOf(name)}>Traces</a>
      <Compare past={past} since={node ? (leadingReason(node)?.since ?? null) : null} />
    </div>
  );
}

function Line({ node }: { node: MapNode | undefined }) {
  const { start, end } = interval.value;
  if (node && ((node.requests ?? 0) > 0 || node.made)) return <p><Sentence of={node} /></p>;
  if (oldest.value !== null && end < oldest.value) {
    return <p class="mid">What was before {day(oldest.value, utc.value)} {clock(oldest.value, utc.value, "minutes")} is gone. <a href={href("/services")}>All services</a></p>;
  }
  return <p class="mid">No requests in {between(start, end, utc.value)}. <a href={href("/services")}>All services</a></p>;
}
