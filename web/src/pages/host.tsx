// One host: its processes worst first, what it is, and the agent that watches it.
import { useMemo } from "preact/hooks";
import { queryAt } from "../api/series";
import { fetchEntity, fetchRelated, type Entity } from "../api/services";
import { fetchStatus } from "../api/status";
import { fetchTopology } from "../api/topology";
import { Facts, type Fact } from "../components/entity/Facts";
import { Removed } from "../components/entity/Removed";
import { hasEnded } from "../components/entity/Runs";
import { entityHref } from "../components/links";
import { Attributes, Neighbours } from "../components/map/NodeDetail";
import { shareTone } from "../components/service/tables";
import { Sign } from "../components/Sign";
import { Busy, FailureLine, Nothing } from "../components/states";
import { Table, type Column } from "../components/Table";
import { bytes, clock, count, day, milliseconds, perSecond, plural, rate, share, span } from "../domain/format";
import { used, type Used } from "../domain/processes";
import { processUse } from "../domain/promql";
import { isBad, severity } from "../domain/status";
import { neighbourhood, serviceParts, type MapNode, type Topology } from "../domain/topology";
import { interval, now } from "../state/clock";
import { href, path, pathParts, utc } from "../state/location";
import { useQuery } from "../state/query";
import { moment, slowMoment, subject } from "../state/subject";

const EMPTY: Topology = { nodes: [], edges: [] };

export function HostPage() {
  const id = `host:${pathParts("/host/").join("/")}`;
  const entity = useQuery(subject(id), slowMoment(15), (signal) => fetchEntity(id, interval.peek(), signal));
  const processes = useQuery(subject(`processes ${id}`), slowMoment(15), (signal) => fetchRelated(id, "instances", interval.peek(), signal));
  const map = useQuery(subject("topology process"), moment(), (signal) => fetchTopology(interval.peek(), "process", signal));
  const hosts = useQuery(subject("topology host"), slowMoment(15), (signal) => fetchTopology(interval.peek(), "host", signal));
  const status = useQuery("status", String(Math.floor(now.value / 15)), fetchStatus);
  const name = entity.data?.attributes["host.name"] ?? entity.data?.name ?? "";
  const use = useQuery(subject(`use ${id} ${name}`), slowMoment(10), async (signal) => (name ? used(await queryAt(processUse({ host: name }), interval.peek().end, signal)) : new Map<string, Used>()));
  const nodes = useMemo(() => new Map((map.data?.nodes ?? []).map((node) => [node.id, node])), [map.data]);
  const around = useMemo(() => neighbourhood(hosts.data ?? EMPTY), [hosts.data]);
  if (entity.error?.trouble === "missing") return <Removed what="The host" id={path.value} />;
  if (!entity.data) return <div class="col grow"><h1 class="vh">Host</h1><Nothing what="The host" query={entity} /></div>;
  const known = entity.data.attributes;
  const agent = status.data?.agents.find((one) => one.host === name);
  const list = processes.data ?? [];
  const seen = list.flatMap((one) => nodes.get(one.id) ?? []);
  const bad = seen.filter((node) => isBad(node.status)).length;
  const served = seen.reduce((sum, node) => sum + (node.rate ?? 0), 0);
  const number = (key: string) => (known[key] === undefined ? null : Number(known[key]));
  const facts: Fact[] = [
    ["kernel", [known["os.type"], known["os.version"]].filter(Boolean).join(" ")],
    ["system", known["os.description"]],
    ["architecture", known["host.arch"]],
    ["CPUs", number("limpid.host.cpus") && count(number("limpid.host.cpus"))],
    ["memory", number("limpid.host.memory_bytes") && bytes(number("limpid.host.memory_bytes"))],
    ["addresses", known["host.ip"] && <span class="mono">{known["host.ip"].split(",").join(", ")}</span>],
    ["machine id", known["host.id"] && <span class="mono">{known["host.id"]}</span>],
    ["up since", entity.data.start !== null && `${day(entity.data.start, utc.value)} ${clock(entity.data.start, utc.value, "minutes")}, ${span(now.value - entity.data.start)}`],
  ];
  const watched: Fact[] = agent ? [
    ["agent", <span class="st"><Sign status={agent.silent ? "no_data" : "ok"} quiet /> {agent.silent ? `silent since ${clock(agent.lastHeard, utc.value)}` : "running"} {agent.version}</span>],
    ["its memory", bytes(agent.memoryBytes)],
    ["collectors", agent.collectors.map((one) => `${one.name} ${one.state}`).join(", ")],
    ["more", <a href={href("/status", { host: name })}>Status of {name}</a>],
  ] : [];
  return (
    <>
      <Busy on={entity.stale || processes.stale} />
      <div class="col grow" tabIndex={0} role="region" aria-label={name}>
        <FailureLine what="The host" query={entity} />
        <div class="head">
          <div class="grow">
            <div class="pagehead" style={{ marginBottom: "2px" }}>
              <Sign status={agent?.silent ? "no_data" : bad ? "warning" : "ok"} size={17} />
              <h1>{name}</h1>
              <span class="sub el">{[known["os.description"], known["os.version"] && `kernel ${known["os.version"]}`, known["host.arch"]].filter(Boolean).join(" · ")}</span>
            </div>
            <p>{agent?.silent && <b class="nonec">Silent since {clock(agent.lastHeard, utc.value)}. </b>}{plural(list.length, "process", "processes")} of {plural(new Set(list.map((one) => one.attributes["limpid.service"])).size, "service")} seen, {rate(served)} served{bad ? <>, <b class="warn">{count(bad)} deviate</b></> : ", none deviates"}.</p>
          </div>
          <a class="btn" href={href("/map", { level: "host", sel: `node:${id}` })}>Show on map</a>
          <a class="btn" href={href("/traces", { q: `host:${name}` })}>Traces</a>
        </div>
        <div class="pad">
          <section class={processes.stale ? "dimmed" : ""}>
            <div class="hd"><h2>Processes</h2><span class="sub">worst first</span></div>
            <FailureLine what="Processes" query={processes} />
            {processes.data === null ? <Nothing what="Processes" query={processes} /> : list.length === 0 ? <p class="sub">No process of it was seen in this range.</p> : <Table label="Processes" rows={list} columns={columnsOf(nodes, use.data)} initial={{ key: "state", direction: "ascending" }} rowKey={(one) => one.id} />}
          </section>
          <div class="two">
            <Facts title="What it is" facts={facts} />
            <Facts title="Who watches it" facts={watched} />
          </div>
        </div>
      </div>
      <aside class="col side pn" tabIndex={0} aria-label="Context">
        <Neighbours title="Callers" edges={(around.incoming.get(id) ?? []).filter((edge) => edge.source !== id)} end="source" around={around} empty="No other host calls it in this range." toMap />
        <Neighbours title="Callees" edges={(around.outgoing.get(id) ?? []).filter((edge) => edge.target !== id)} end="target" around={around} empty="It calls no other host in this range." toMap />
        <Attributes attributes={known} />
      </aside>
    </>
  );
}

function columnsOf(nodes: Map<string, MapNode>, use: Map<string, Used> | null): Column<Entity>[] {
  const of = (one: Entity) => nodes.get(one.id);
  const statusOf = (one: Entity) => of(one)?.status ?? (hasEnded(one) ? "no_data" : "unknown");
  return [
    { key: "state", head: "State", value: (one) => severity(statusOf(one)) * 1e9 - (of(one)?.rate ?? 0), text: statusOf, cell: (one) => (of(one) ? <Sign status={statusOf(one)} /> : <span class="dim">{hasEnded(one) ? "ended" : "–"}</span>) },
    { key: "name", head: "Process", value: (one) => one.name, cell: (one) => <a href={entityHref(one.id)}>{one.name}</a> },
    { key: "service", head: "Service", value: (one) => serviceParts(one.attributes["limpid.service"] ?? "")?.name, cell: (one) => <a href={entityHref(one.attributes["limpid.service"] ?? "")}>{serviceParts(one.attributes["limpid.service"] ?? "")?.name ?? "–"}</a> },
    { key: "rate", head: "per s", numeric: true, value: (one) => of(one)?.rate, cell: (one) => perSecond(of(one)?.rate) },
    { key: "failed", head: "failed", numeric: true, value: (one) => of(one)?.errorRatio, cell: (one) => share(of(one)?.errorRatio), className: (one) => shareTone(of(one)?.errorRatio ?? null) },
    { key: "p95", head: "p95", numeric: true, value: (one) => of(one)?.p95, cell: (one) => milliseconds(of(one)?.p95) },
    { key: "cpu", head: "CPU", numeric: true, optional: "h1c", value: (one) => use?.get(one.id)?.cpus, cell: (one) => share(use?.get(one.id)?.cpus) },
    { key: "memory", head: "memory", numeric: true, optional: "h1c", value: (one) => use?.get(one.id)?.memory, cell: (one) => bytes(use?.get(one.id)?.memory) },
    { key: "up", head: "up", numeric: true, optional: "h2c", value: (one) => (one.start === null ? null : now.value - one.start), cell: (one) => (one.start === null ? "–" : span(((hasEnded(one) ? one.end : now.value) ?? now.value) - one.start)) },
  ];
}
