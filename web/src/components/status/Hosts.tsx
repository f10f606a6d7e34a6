// The hosts that agents watch: how each agent is, and what it costs.
import type { Agent, Status } from "../../api/status";
import { bytes, clock, count, MISSING, plural, share, span } from "../../domain/format";
import { isBytes } from "../../domain/health";
import { interval, now } from "../../state/clock";
import { hrefHere, utc } from "../../state/location";
import { entityHref } from "../links";
import { Sign } from "../Sign";
import { Spark } from "../Spark";
import { lossKey, useCpu, useLost } from "./cost";

export function Hosts({ status, chosen }: { status: Status; chosen: Agent | undefined }) {
  const cpu = useCpu();
  const lost = useLost();
  const { start, end } = interval.value;
  const lostOf = (agent: Agent): number | null => (lost.data ? agent.losses.filter((loss) => !isBytes(loss.cause)).reduce((sum, loss) => sum + (lost.data?.get(lossKey(agent.host, loss.cause)) ?? 0), 0) : null);
  return (
    <section>
      <div class="hd"><h2>Hosts</h2><span class="sub">{plural(status.agents.length, "agent")}{status.processes !== null && `, ${plural(status.processes, "process", "processes")} watched`}</span></div>
      <table aria-label="Hosts">
        <thead>
          <tr>
            <th>Host</th><th>Agent</th><th class="h1c">Kernel</th><th class="num">last heard</th><th class="num">CPU</th><th class="h2c">{span(end - start)}</th><th class="num">memory, Pss</th><th class="num h1c">waits to be sent</th><th class="num">lost in range</th>
          </tr>
        </thead>
        <tbody>
          {status.agents.map((agent) => (
            <tr key={agent.host} class="a">
              <td class="b">{status.agents.length > 1 && agent !== chosen ? <a href={hrefHere({ host: agent.host })}>{agent.host}</a> : agent.hostId ? <a href={entityHref(`host:${agent.hostId}`)}>{agent.host}</a> : agent.host}</td>
              <td><AgentState agent={agent} /></td>
              <td class="h1c">{agent.kernel ?? MISSING}</td>
              <td class={`num ${agent.silent ? "b warn" : ""}`}>{agent.lastHeard === null ? MISSING : span(Math.max(0, now.value - agent.lastHeard))}</td>
              <td class="num">{agent.silent ? MISSING : cpuOf(agent.cpuSeconds, agent.started, cpu.data?.get(agent.host))}</td>
              <td class="h2c"><Spark points={cpu.data?.get(agent.host)} start={start} end={end} /></td>
              <td class="num">{agent.silent ? MISSING : bytes(agent.memoryBytes)}</td>
              <td class="num h1c" title={agent.queue?.lastError ?? undefined}>{agent.queue ? agent.queue.batches ? `${plural(agent.queue.batches, "message")}, ${bytes(agent.queue.bytes)}` : "nothing" : MISSING}</td>
              <td class={`num ${lostOf(agent) ? "b" : "dim"}`}>{agent.silent ? "not known" : count(lostOf(agent))}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {status.agents.filter((agent) => agent.silent).map((agent) => <p key={agent.host} class="sub" style={{ paddingTop: "6px" }}>{agent.host} is silent since {clock(agent.lastHeard, utc.value)}. Is the host up? <code>systemctl status limpid-agent</code></p>)}
      {status.agents.filter((agent) => agent.queue?.lastError).map((agent) => <p key={agent.host} class="sub" style={{ paddingTop: "6px" }}>{agent.host} could not send: {agent.queue?.lastError}</p>)}
    </section>
  );
}

function AgentState({ agent }: { agent: Agent }) {
  return <span class="st"><Sign status={agent.silent ? "no_data" : "ok"} quiet />{agent.silent ? "silent" : "running"} <span class="dim">{agent.version}</span></span>;
}

/** The newest share of one CPU; without series the mean since the start; without a start only the seconds. */
export function cpuOf(seconds: number | null, started: number | null, points?: Map<number, number>): string {
  const newest = points && [...points].reduce<[number, number] | null>((last, point) => (!last || point[0] > last[0] ? point : last), null);
  if (newest) return share(newest[1]);
  if (seconds === null) return MISSING;
  if (started === null || now.value - started < 1) return `${seconds < 100 ? seconds.toFixed(1) : count(seconds)} s`;
  return share(seconds / (now.value - started));
}
