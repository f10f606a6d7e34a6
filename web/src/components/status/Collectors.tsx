// The collectors of one agent and their programs in the kernel: what runs, what does not and why, and what each costs.
import type { ComponentChildren } from "preact";
import type { Agent, Collector, Program, RunState } from "../../api/status";
import { count, MISSING, perSecond, plural, share } from "../../domain/format";
import type { Status as Shown } from "../../domain/status";
import { hrefHere, param } from "../../state/location";
import { Sign } from "../Sign";
import { programKey, useCost, type Cost } from "./cost";

const SIGNS: Record<RunState, Shown | null> = { running: "ok", partly: "warning", off: null, failed: "critical", unknown: "unknown" };
const ORDER: RunState[] = ["failed", "partly", "unknown", "running", "off"];

export function Collectors({ agent }: { agent: Agent }) {
  const onlyBad = param("only") === "bad";
  const all = param("programs") === "all";
  const cost = useCost(agent.host);
  const spare = agent.collectors.flatMap((one) => one.programs).filter(isSpare).length;
  const isBad = (one: Collector) => one.state !== "running";
  const shown = agent.collectors.filter((one) => !onlyBad || isBad(one)).sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || a.name.localeCompare(b.name));
  const counts = (cost.data?.size ?? 0) > 0;
  const costOf = (collector: string, program: string) => cost.data?.get(programKey(collector, program));
  return (
    <section>
      <div class="hd" style={{ alignItems: "center" }}>
        <h2>Collectors on {agent.host}</h2>
        <span class="sub">{counts ? "cost in this range, measured by the kernel (bpf_stats)" : "the kernel does not count their cost"}</span>
        <div class="seg" role="group" aria-label="Which collectors">
          <a href={hrefHere({ only: null })} aria-current={onlyBad ? undefined : "true"}>All {agent.collectors.length}</a>
          <a href={hrefHere({ only: "bad" })} aria-current={onlyBad ? "true" : undefined}>Off or failed {agent.collectors.filter(isBad).length}</a>
        </div>
      </div>
      <table aria-label="Collectors">
        <thead>
          <tr><th>Collector</th><th>State</th><th>Why, and what to do</th><th class="num h1c">runs/s</th><th class="num h1c">ns each</th><th class="num">CPU</th></tr>
        </thead>
        <tbody>
          {shown.flatMap((one) => [
            <Row key={one.name} name={<b>{one.name}</b>} state={one.state} why={one.reason ?? plural(one.programs.filter((program) => program.state === "running").length, "program")} cost={sum(one.programs.map((program) => costOf(one.name, program.name)))} strong />,
            ...one.programs.filter((program) => all || !isSpare(program)).map((program) => (
              <Row key={`${one.name} ${program.name}`} name={<span class="mono dim prg">{program.name}</span>} state={program.state} why={program.reason ?? <span class="mono dim">{program.hook}</span>} cost={costOf(one.name, program.name)} />
            )),
          ])}
        </tbody>
      </table>
      {!counts && cost.data !== null && <p class="sub" style={{ paddingTop: "8px" }}><code>sysctl kernel.bpf_stats_enabled=1</code> makes it count runs and time of each program; that costs a little at each run.</p>}
      {spare > 0 && shown.length > 0 && (
        <p class="sub" style={{ paddingTop: "8px" }}>
          {plural(spare, "program")} for other kernels {spare === 1 ? "is" : "are"} not needed here. <a href={hrefHere({ programs: all ? null : "all" })}>{all ? "Hide them" : "Show them"}</a>
        </p>
      )}
      {shown.length === 0 && <p class="sub" style={{ paddingTop: "8px" }}>{agent.collectors.length === 0 ? "This agent has not reported its collectors." : "None is off or failed."}</p>}
    </section>
  );
}

interface RowProps {
  name: ComponentChildren;
  state: RunState;
  why: ComponentChildren;
  cost: Cost | undefined;
  strong?: boolean;
}

const Row = ({ name, state, why, cost, strong = false }: RowProps) => (
  <tr class="a">
    <td>{name}</td>
    <td><State state={state} /></td>
    <td class="w mid">{why}</td>
    <td class="num h1c">{cost ? perSecond(cost.runs) : MISSING}</td>
    <td class="num h1c">{cost && cost.runs > 0 ? count((cost.share * 1e9) / cost.runs) : MISSING}</td>
    <td class={`num ${strong ? "b" : ""}`}>{cost ? share(cost.share) : MISSING}</td>
  </tr>
);

function sum(costs: (Cost | undefined)[]): Cost | undefined {
  const known = costs.filter((cost) => cost !== undefined);
  return known.length === 0 ? undefined : known.reduce((all, cost) => ({ runs: all.runs + cost.runs, share: all.share + cost.share }), { runs: 0, share: 0 });
}

/** What stands by for another kernel is no news. */
const isSpare = (program: Program): boolean => program.state === "off" && (program.reason ?? "").startsWith("not needed");

export function State({ state, text = state }: { state: RunState; text?: string }) {
  const sign = SIGNS[state];
  return <span class="st">{sign ? <Sign status={sign} quiet /> : <span class="dim" style={{ width: "14px", textAlign: "center" }} aria-hidden="true">–</span>}{text}</span>;
}
