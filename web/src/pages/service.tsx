// One service: a sentence, rate, failures and duration over time, its operations, callers and callees, instances.
import { useMemo } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { fetchOperations, fetchRelated } from "../api/services";
import { fetchTopology } from "../api/topology";
import { onMapHref, tracesOf } from "../components/links";
import { Attributes, Neighbours } from "../components/map/NodeDetail";
import { Reasons } from "../components/Reasons";
import { Figures } from "../components/service/Figures";
import { Instances, Operations } from "../components/service/tables";
import { HeatMap } from "../components/service/HeatMap";
import { Sentence } from "../components/Sentence";
import { Sign } from "../components/Sign";
import { WhereService } from "../components/WhereService";
import { Busy, FailureLine, Nothing } from "../components/states";
import { between, count, plural } from "../domain/format";
import { neighbourhood, runtimeOf, type MapNode } from "../domain/topology";
import { interval } from "../state/clock";
import { href, path, utc } from "../state/location";
import { useQuery, type Query } from "../state/query";
import { moment, slowMoment, subject } from "../state/subject";

/** A broken escape in an address is no reason to fail: it is shown as it stands. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function ServicePage() {
  const [scope = "", ...rest] = path.value.replace(/^\/service\//, "").split("/").map(decoded);
  const name = rest.join("/");
  const id = `service:${scope}/${name}`;
  const map = useQuery(subject("topology service"), moment(), (signal) => fetchTopology(interval.peek(), "service", signal));
  const processes = useQuery(subject("topology process"), slowMoment(15), (signal) => fetchTopology(interval.peek(), "process", signal));
  const operations = useQuery(subject(`operations ${id}`), moment(), (signal) => fetchOperations(scope, name, interval.peek(), signal));
  const instances = useQuery(subject(`instances ${id}`), slowMoment(15), (signal) => fetchRelated(id, "instances", interval.peek(), signal));
  const around = useMemo(() => neighbourhood(map.data ?? { nodes: [], edges: [] }), [map.data]);
  const processNodes = useMemo(() => new Map((processes.data?.nodes ?? []).map((node) => [node.id, node])), [processes.data]);
  const node = around.byId.get(id);
  if (!map.data) return <div class="col grow"><Nothing what="The service" query={map} /></div>;
  const incoming = around.incoming.get(id) ?? [];
  const outgoing = around.outgoing.get(id) ?? [];
  const side = incoming.length > 0 && incoming.every((edge) => edge.server === null) ? "client" : "server";
  const served = (operations.data ?? []).filter((row) => row.side !== "client");
  const called = (operations.data ?? []).filter((row) => row.side === "client");
  return (
    <>
      <Busy on={map.stale} />
      <div class="col grow" tabIndex={0} role="region" aria-label={name}>
        <FailureLine what="The service" query={map} />
        <Head name={name} id={id} node={node} instances={instances.data?.length} />
        <div class="pad">
          {(node?.requests ?? 0) > 0 && <Figures key={id} name={name} node={node} side={side} />}
          {(node?.requests ?? 0) > 0 && <HeatMap key={id} name={name} side={side} />}
          <Part title="Operations" sub={side === "client" ? "as its callers see them" : "failing and slow first"} query={operations} empty={served.length === 0} emptyText="No operation was called in this range.">
            <Operations service={name} rows={served} side={side} />
          </Part>
          {called.length > 0 && (
            <Part title="Calls to others" sub="as this service sees them" query={operations} empty={false} emptyText="">
              <Operations service={name} rows={called} side="client" />
            </Part>
          )}
          <Part title="Instances" sub={instances.data ? count(instances.data.length) : ""} query={instances} empty={instances.data?.length === 0} emptyText="No process of this service was seen in this range.">
            <Instances entities={instances.data ?? []} nodes={processNodes} />
          </Part>
        </div>
      </div>
      <aside class="col side pn" aria-label="Context">
        {node && node.reasons.length > 0 && (
          <div class="sec">
            <div class="hd"><h2>Why</h2><span class="sub">most likely first</span></div>
            <Reasons reasons={node.reasons} />
          </div>
        )}
        {(node?.requests ?? 0) > 0 && outgoing.length > 0 && <WhereService key={id} name={name} />}
        <Neighbours title="Callers" edges={incoming} end="source" around={around} empty="Nothing calls it in this range." toMap />
        <Neighbours title="Callees" edges={outgoing} end="target" around={around} empty="It calls nothing in this range." toMap />
        {node && <Attributes attributes={node.attributes} />}
      </aside>
    </>
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

function Head({ name, id, node, instances }: { name: string; id: string; node: MapNode | undefined; instances: number | undefined }) {
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
    </div>
  );
}

function Line({ node }: { node: MapNode | undefined }) {
  const { start, end } = interval.value;
  if (!node || (node.requests === 0 && !node.made)) {
    return <p class="mid">No requests in {between(start, end, utc.value)}. <a href={href("/services")}>All services</a></p>;
  }
  return <p><Sentence of={node} /></p>;
}
