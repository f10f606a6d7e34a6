// What was lost, by cause and with its meaning: within the range, and since each part has started.
import type { Loss, Status } from "../../api/status";
import { bytes, count, plural } from "../../domain/format";
import { isBytes } from "../../domain/health";
import { lossKey, useLost } from "./cost";

interface Group {
  name: string;
  host: string | null;
  losses: Loss[];
}

export function Losses({ status }: { status: Status }) {
  const lost = useLost();
  const groups: Group[] = [
    ...status.agents.map((agent) => ({ name: `agent, ${agent.host}`, host: agent.host, losses: agent.losses })),
    { name: "server", host: null, losses: status.server?.losses ?? [] },
    { name: "store", host: null, losses: status.store?.losses ?? [] },
  ].filter((group) => group.losses.length > 0);
  const never = groups.flatMap((group) => group.losses).filter((loss) => loss.count === 0).length;
  const within = (group: Group, loss: Loss): number | null => (group.host === null ? null : (lost.data?.get(lossKey(group.host, loss.cause)) ?? null));
  return (
    <div class="sec">
      <div class="hd"><h2>Losses</h2><span class="sub">counted where they happen</span></div>
      {groups.length === 0 && <p class="sub">No counter was reported.</p>}
      {groups.map((group) => (
        <table key={group.name} aria-label={`Losses of ${group.name}`} style={{ marginBottom: "8px" }}>
          <thead><tr><th>{group.name}</th><th class="num">in range</th><th class="num">since start</th></tr></thead>
          <tbody>
            {[...group.losses].filter((loss) => loss.count !== 0).sort((a, b) => (b.count ?? 0) - (a.count ?? 0)).map((loss) => (
              <tr key={loss.cause}><Cause loss={loss} /><td class={`num ${within(group, loss) ? "b" : "dim"}`}>{amount(loss, within(group, loss))}</td><td class="num">{amount(loss, loss.count)}</td></tr>
            ))}
            {group.losses.every((loss) => loss.count === 0) && <tr><td class="dim">nothing was lost</td><td class="num dim">0</td><td class="num dim">0</td></tr>}
          </tbody>
        </table>
      ))}
      {never > 0 && (
        <details>
          <summary class="sub">{plural(never, "cause")} that did not happen</summary>
          {groups.map((group) => (
            <table key={group.name} aria-label={`What ${group.name} did not lose`}>
              <thead class="vh"><tr><th>{group.name}</th><th>count</th></tr></thead>
              <tbody>{group.losses.filter((loss) => loss.count === 0).map((loss) => <tr key={loss.cause}><Cause loss={loss} /><td class="num dim">0</td></tr>)}</tbody>
            </table>
          ))}
        </details>
      )}
    </div>
  );
}

const amount = (loss: Loss, value: number | null): string => (isBytes(loss.cause) ? bytes(value) : count(value));

/** Its meaning, and the name under which it is a metric. */
const Cause = ({ loss }: { loss: Loss }) => <td>{loss.help ?? loss.cause}{loss.help && <><br /><span class="mono dim">{loss.cause}</span></>}</td>;
