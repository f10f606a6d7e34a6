// What is watched, what is not and why, what was lost, and what Limpid itself costs.
import { fetchStatus, type Agent, type Collector, type Loss, type Program, type RunState, type Status } from "../api/status";
import { fetchTopology } from "../api/topology";
import { Sign } from "../components/Sign";
import { Busy, FailureLine, Nothing } from "../components/states";
import { headline, troubles, worstLoss } from "../domain/health";
import { between, bytes, clock, count, day, MISSING, plural, share, span } from "../domain/format";
import type { Status as Shown } from "../domain/status";
import { seenOf } from "../domain/topology";
import { interval, now } from "../state/clock";
import { hrefHere, param, utc } from "../state/location";
import { useQuery } from "../state/query";
import { moment, subject } from "../state/subject";

const SIGNS: Record<RunState, Shown | null> = { running: "ok", partly: "warning", off: null, failed: "critical", unknown: "unknown" };

export function StatusPage() {
  const query = useQuery("status", String(Math.floor(now.value / 5)), fetchStatus);
  const status = query.data;
  if (!status) return <div class="col grow"><Nothing what="Status" query={query} /></div>;
  const agent = status.agents.find((one) => one.host === param("host")) ?? status.agents[0];
  return (
    <>
      <Busy on={query.stale} />
      <div class="col grow" tabIndex={0} role="region" aria-label="Status">
        <FailureLine what="Status" query={query} />
        <div class="pad">
          <Headline status={status} />
          <Hosts status={status} chosen={agent} />
          {agent && <Collectors agent={agent} />}
          {agent && <LeftOut agent={agent} />}
        </div>
      </div>
      <aside class="col side statuscol" tabIndex={0} aria-label="Losses and cost">
        <Requests />
        <Losses status={status} />
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
        <p class="sub">{status.processes !== null && `${plural(status.processes, "process", "processes")} watched. `}{worst ? `Counted most since the start: ${worst.what}, ${count(worst.count)}.` : "Nothing was lost since the start."}</p>
      </div>
    </div>
  );
}

function Hosts({ status, chosen }: { status: Status; chosen: Agent | undefined }) {
  return (
    <section>
      <div class="hd"><h2>Hosts</h2><span class="sub">{count(status.agents.length)}</span></div>
      <table>
        <thead>
          <tr>
            <th>Host</th><th>Agent</th><th class="h1c">Kernel</th><th class="num">last heard</th><th class="num">CPU</th><th class="num">memory, Pss</th><th class="num">lost</th>
          </tr>
        </thead>
        <tbody>
          {status.agents.map((agent) => (
            <tr key={agent.host} class="a">
              <td class="b">{status.agents.length > 1 ? <a href={hrefHere({ host: agent.host })} aria-current={agent === chosen ? "true" : undefined}>{agent.host}</a> : agent.host}</td>
              <td><AgentState agent={agent} /></td>
              <td class="h1c">{agent.kernel ?? MISSING}</td>
              <td class={`num ${agent.silent ? "b warn" : ""}`}>{agent.lastHeard === null ? MISSING : span(Math.max(0, now.value - agent.lastHeard))}</td>
              <td class="num">{cpu(agent.cpuSeconds, agent.started)}</td>
              <td class="num">{bytes(agent.memoryBytes)}</td>
              <td class="num">{count(agent.losses.reduce((sum, loss) => sum + (loss.count ?? 0), 0))}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function AgentState({ agent }: { agent: Agent }) {
  return <span class="st"><Sign status={agent.silent ? "no_data" : "ok"} quiet />{agent.silent ? "silent" : "running"} <span class="dim">{agent.version}</span></span>;
}

/** Mean share of one core since the start; without a start only the seconds can be said. */
function cpu(seconds: number | null, started: number | null): string {
  if (seconds === null) return MISSING;
  if (started === null || now.value - started < 1) return `${seconds < 100 ? seconds.toFixed(1) : count(seconds)} s`;
  return share(seconds / (now.value - started));
}

function Collectors({ agent }: { agent: Agent }) {
  const onlyBad = param("only") === "bad";
  const all = param("programs") === "all";
  const spare = agent.collectors.flatMap((one) => one.programs).filter(isSpare).length;
  const isBad = (one: Collector) => one.state !== "running";
  const order: RunState[] = ["failed", "partly", "unknown", "running", "off"];
  const shown = agent.collectors.filter((one) => !onlyBad || isBad(one)).sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state) || a.name.localeCompare(b.name));
  return (
    <section>
      <div class="hd" style={{ alignItems: "center" }}>
        <h2>Collectors on {agent.host}</h2>
        <span class="sub">cost measured by the kernel, where its statistics are on</span>
        <div class="seg" role="group" aria-label="Which collectors">
          <a href={hrefHere({ only: null })} aria-current={onlyBad ? undefined : "true"}>All {agent.collectors.length}</a>
          <a href={hrefHere({ only: "bad" })} aria-current={onlyBad ? "true" : undefined}>Off or failed {agent.collectors.filter(isBad).length}</a>
        </div>
      </div>
      <table>
        <thead>
          <tr><th>Collector</th><th>State</th><th>Why, and what to do</th><th class="num h1c">runs</th><th class="num h1c">ns each</th></tr>
        </thead>
        <tbody>{shown.flatMap((one) => [<CollectorRow key={one.name} collector={one} />, ...one.programs.filter((program) => all || !isSpare(program)).map((program) => (
          <tr key={`${one.name} ${program.name}`} class="a">
            <td class="mono dim" style={{ paddingLeft: "16px" }}>{program.name}</td>
            <td><State state={program.state} /></td>
            <td class="w mid">{program.reason ?? (program.hook && <span class="mono dim">{program.hook}</span>)}</td>
            <td class="num h1c">{count(program.runs || null)}</td>
            <td class="num h1c">{each(program.runs, program.runNs)}</td>
          </tr>
        ))])}</tbody>
      </table>
      {spare > 0 && shown.length > 0 && (
        <p class="sub" style={{ paddingTop: "8px" }}>
          {plural(spare, "program")} for other kernels {spare === 1 ? "is" : "are"} not needed here. <a href={hrefHere({ programs: all ? null : "all" })}>{all ? "Hide them" : "Show them"}</a>
        </p>
      )}
      {shown.length === 0 && <p class="sub" style={{ paddingTop: "8px" }}>{agent.collectors.length === 0 ? "This agent has not reported its collectors." : "None is off or failed."}</p>}
    </section>
  );
}

/** What a person has switched off or excluded: it is missing on purpose. */
function LeftOut({ agent }: { agent: Agent }) {
  const spool = agent.spool;
  const waits = spool !== null && (spool.batches ?? 0) > 0;
  if (agent.unread.length + agent.exclusions.length === 0 && !waits && !spool?.problem) return null;
  return (
    <section>
      <div class="hd"><h2>Left out on {agent.host}</h2></div>
      <table>
        <tbody>
          {agent.unread.map((name) => <tr key={name} class="a"><td class="b">{name}</td><td class="w mid">switched off: connections and bytes are counted, requests are not read</td><td class="num">{MISSING}</td></tr>)}
          {agent.exclusions.map((one) => <tr key={one.rule} class="a"><td class="b mono">{one.rule}</td><td class="w mid">excluded: processes, or connections to the port, so far</td><td class="num">{count(one.matched)}</td></tr>)}
          {spool && waits && <tr class="a"><td class="b">waiting on disk</td><td class="w mid">batches of the time when the server was away, {bytes(spool.bytes)}</td><td class="num">{count(spool.batches)}</td></tr>}
          {spool?.problem && <tr class="a"><td class="b">spool</td><td class="w mid">cannot be written: {spool.problem}</td><td class="num">{MISSING}</td></tr>}
        </tbody>
      </table>
    </section>
  );
}

/** What stands by for another kernel is no news. */
const isSpare = (program: Program): boolean => program.state === "off" && (program.reason ?? "").startsWith("not needed");

const CollectorRow = ({ collector }: { collector: Collector }) => (
  <tr class="a">
    <td class="b">{collector.name}</td>
    <td><State state={collector.state} /></td>
    <td class="w mid">{collector.reason ?? ""}</td>
    <td class="num h1c">{collector.programs.length ? <span class="dim">{plural(collector.programs.filter((one) => one.state === "running").length, "program")}</span> : MISSING}</td>
    <td class="num h1c" />
  </tr>
);

function State({ state }: { state: RunState }) {
  const sign = SIGNS[state];
  return <span class="st">{sign ? <Sign status={sign} quiet /> : <span class="dim" style={{ width: "14px", textAlign: "center" }} aria-hidden="true">–</span>}{state}</span>;
}

const each = (runs: number | null, ns: number | null): string => (runs && ns !== null ? count(ns / runs) : MISSING);

function Losses({ status }: { status: Status }) {
  const groups: [string, Loss[]][] = [...status.agents.map((agent): [string, Loss[]] => [`agent, ${agent.host}`, agent.losses]), ["server", status.server?.losses ?? []], ["store", status.store?.losses ?? []]];
  const known = groups.filter(([, losses]) => losses.length > 0);
  return (
    <div class="sec">
      <div class="hd"><h2>Losses</h2><span class="sub">counted where they happen</span></div>
      {known.length === 0 && <p class="sub">No counter was reported.</p>}
      {known.map(([name, losses]) => (
        <table key={name} aria-label={`Losses of ${name}`} style={{ marginBottom: "8px" }}>
          <thead><tr><th>{name}</th><th class="num">count</th></tr></thead>
          <tbody>
            {[...losses].filter((loss) => loss.count !== 0).sort((a, b) => (b.count ?? 0) - (a.count ?? 0)).map((loss) => <LossLine key={loss.cause} loss={loss} />)}
            {losses.every((loss) => loss.count === 0) && <tr><td class="dim">nothing was lost</td><td class="num dim">0</td></tr>}
          </tbody>
        </table>
      ))}
      {known.some(([, losses]) => losses.some((loss) => loss.count === 0)) && (
        <details>
          <summary class="sub">{plural(known.flatMap(([, losses]) => losses).filter((loss) => loss.count === 0).length, "cause")} that did not happen</summary>
          {known.map(([name, losses]) => (
            <table key={name} aria-label={`What ${name} did not lose`}>
              <thead class="vh"><tr><th>{name}</th><th>count</th></tr></thead>
              <tbody>{losses.filter((loss) => loss.count === 0).map((loss) => <LossLine key={loss.cause} loss={loss} />)}</tbody>
            </table>
          ))}
        </details>
      )}
    </div>
  );
}

const LossLine = ({ loss }: { loss: Loss }) => (
  <tr>
    <td title={loss.cause}>{loss.help ?? loss.cause}</td>
    <td class={`num ${loss.count ? "b" : "dim"}`}>{count(loss.count)}</td>
  </tr>
);

/** What was seen of the range's requests, from the map's own figures. */
function Requests() {
  const { start, end } = interval.value;
  const query = useQuery(subject("topology service"), moment(), (signal) => fetchTopology(interval.peek(), "service", signal));
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
      </dl>
    </div>
  );
}

function Itself({ status }: { status: Status }) {
  const rows = [...status.agents.map((agent) => ({ name: `agent, ${agent.host}`, cpuSeconds: agent.cpuSeconds, memory: agent.memoryBytes, started: agent.started })), { name: "server", cpuSeconds: status.server?.cpuSeconds ?? null, memory: status.server?.memoryBytes ?? null, started: status.started }];
  return (
    <div class="sec">
      <div class="hd"><h2>Limpid itself</h2><span class="sub">{status.version ?? ""}</span></div>
      <table>
        <thead><tr><th><span class="vh">Part</span></th><th class="num">CPU</th><th class="num">memory</th><th class="num">up</th></tr></thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.name}>
              <td>{row.name}</td><td class="num">{cpu(row.cpuSeconds, row.started)}</td><td class="num">{bytes(row.memory)}</td><td class="num">{row.started === null ? MISSING : span(now.value - row.started)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function StorePart({ status }: { status: Status }) {
  const { store } = status;
  if (!store) return null;
  return (
    <div class="sec">
      <div class="hd"><h2>Store</h2><span class="sub">embedded, format {store.format ?? MISSING}</span></div>
      {store.problem && <p class="state"><Sign status="warning" /> <span>{store.problem}</span></p>}
      <dl class="kv">
        <dt>folder</dt><dd class="mono">{store.path ?? MISSING}</dd>
        <dt>size</dt><dd>{bytes(store.bytes)}</dd>
        <dt>free on disk</dt><dd>{bytes(store.freeBytes)}</dd>
        <dt>spans</dt><dd>{count(store.spans)}</dd>
        <dt>series</dt><dd>{count(store.series)}</dd>
        <dt>reaches back to</dt><dd>{store.oldest === null ? MISSING : `${day(store.oldest, utc.value)} ${clock(store.oldest, utc.value, "minutes")}`}</dd>
      </dl>
    </div>
  );
}
