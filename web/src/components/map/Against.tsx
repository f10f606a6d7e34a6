// What differs from the time that the map is compared with: of one node or edge its figures side by side, of the whole
// map a list, what matters most first.
import { useMemo } from "preact/hooks";
import { beforeText, changeText, figureChanges, isPale, weightOf, written, type Difference, type Figured, type FigureName } from "../../domain/difference";
import { count, plural, rate } from "../../domain/format";
import { nameOf, neighbourhood, type Topology } from "../../domain/topology";
import { pastTime, ratioText } from "../../domain/compare";
import { hrefHere, utc } from "../../state/location";
import { pastOf } from "../Compare";

const MOST = 15;
const FIGURES: [FigureName, keyof Figured, string][] = [["rate", "rate", "per second"], ["failed", "errorRatio", "failed"], ["p95", "p95", "p95"]];

const title = (): string => {
  const past = pastOf();
  return past ? `Against ${past.name}` : "";
};

const time = (): string => {
  const past = pastOf();
  return past ? pastTime(past, utc.value) : "";
};

export function Against({ difference, now }: { difference: Difference | undefined; now: Figured }) {
  if (!difference) return null;
  const { before } = difference;
  return (
    <div class="sec">
      <div class="hd"><h2>{title()}</h2><span class="sub">{time()}</span></div>
      {before ? <Table now={now} before={before} gone={difference.kind === "gone"} /> : <p class="mid">It was not there.</p>}
      {difference.kind === "few" && <p class="sub">Too few requests, now or then, to say what has changed.</p>}
    </div>
  );
}

function Table({ now, before, gone }: { now: Figured; before: Figured; gone: boolean }) {
  const changed = new Set((figureChanges(now, before) ?? []).map((one) => one.figure));
  return (
    <table>
      <thead>
        <tr><th><span class="vh">Figure</span></th><th class="num">now</th><th class="num">then</th><th class="num">change</th></tr>
      </thead>
      <tbody>
        {FIGURES.map(([figure, key, name]) => (
          <tr key={figure} class={changed.has(figure) ? "b" : ""}>
            <td class={changed.has(figure) ? "" : "mid"}>{name}</td>
            <td class="num">{written(figure, now[key])}</td>
            <td class="num">{written(figure, before[key])}</td>
            <td class="num">{gone ? "gone" : changeOf(figure, now[key], before[key])}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Of shares the difference says more than how many times it is. */
function changeOf(figure: FigureName, now: number | null, before: number | null): string {
  if (now === null || before === null) return "–";
  if (figure !== "failed") {
    const text = ratioText(now, before);
    return text === null || text === "the same" ? (text ?? "–") : `${now > before ? "↑" : "↓"} ${text}`;
  }
  if (Math.abs(now - before) < 0.0005) return "the same";
  return `${now > before ? "↑" : "↓"} ${written("failed", Math.abs(now - before))}`;
}

export const GoneSince = () => <>Gone: nothing of it in the range that is looked at. It was there in {time()}.</>;

interface Line {
  selection: string;
  name: string;
  difference: Difference;
  weight: number;
}

function lines(topology: Topology): Line[] {
  const { byId } = neighbourhood(topology);
  const line = (selection: string, name: string, difference: Difference | undefined): Line[] => {
    const weight = weightOf(difference);
    return difference && weight !== null ? [{ selection, name, difference, weight }] : [];
  };
  return [
    ...topology.nodes.flatMap((node) => line(`node:${node.id}`, node.name, node.difference)),
    ...topology.edges.flatMap((edge) => line(`edge:${edge.id}`, `${nameOf(edge.source, byId)} → ${nameOf(edge.target, byId)}`, edge.difference)),
  ].sort((a, b) => b.weight - a.weight || Number(a.selection.startsWith("edge:")) - Number(b.selection.startsWith("edge:")) || a.name.localeCompare(b.name));
}

/** Everything that differs, for the panel beside a map without a selection. */
export function Differences({ topology }: { topology: Topology }) {
  const all = useMemo(() => lines(topology), [topology]);
  const judged = useMemo(() => [...topology.nodes, ...topology.edges].filter((thing) => thing.difference), [topology]);
  if (judged.length === 0) return null;
  const few = judged.filter((thing) => thing.difference?.kind === "few").length;
  const same = judged.filter((thing) => isPale(thing.difference)).length - few;
  return (
    <div class="fs">
      <h2>{title()}</h2>
      <p class="sub">{time()}. {plural(all.length, "difference")}, {count(same)} as then{few > 0 && `, ${count(few)} with too few requests to say`}.</p>
      {all.slice(0, MOST).map(({ selection, name, difference }) => (
        <a key={selection} class="fq" href={hrefHere({ sel: selection })}>
          <span class="el" title={name}>{name}</span>
          <Words difference={difference} />
        </a>
      ))}
      {all.length > MOST && <a class="fq" href={hrefHere({ view: "table", nodes: "-against", edges: "-against" })}>All {count(all.length)} in the table</a>}
    </div>
  );
}

function Words({ difference }: { difference: Difference }) {
  const [first] = difference.changes;
  if (first) return <span class="nw"><b>{changeText(first)}</b> <span class="dim">{beforeText(first)}</span></span>;
  return <span class="nw"><b>{difference.kind}</b>{difference.kind === "gone" && <span class="dim"> was {rate(difference.before?.rate)}</span>}</span>;
}
