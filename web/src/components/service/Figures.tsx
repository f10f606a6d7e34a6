// Rate, failed and duration of one service over time, asked for in PromQL like anybody would; with the time that is
// compared with as dashed lines under them.
import type { ComponentChildren } from "preact";
import { queryRange, type Series } from "../../api/series";
import { moved, ratioText, type Past } from "../../domain/compare";
import { failReason, slowReason } from "../../domain/findings";
import { milliseconds, rate, share } from "../../domain/format";
import { failedShare, matchers, quantile, rateOf, step, windowOf, type Matchers } from "../../domain/promql";
import { isBad, tone } from "../../domain/status";
import type { MapNode } from "../../domain/topology";
import { interval } from "../../state/clock";
import { useQuery } from "../../state/query";
import { moment, slowMoment, subject } from "../../state/subject";
import { Chart, type Line } from "../Chart";
import { FailureLine } from "../states";

interface Lines {
  rate: Series | undefined;
  failed: Series | undefined;
  quantiles: (Series | undefined)[];
}

const QUANTILES: [number, string, string, number][] = [[0.5, "p50", "--p50", 1.5], [0.95, "p95", "--p95", 1.8], [0.99, "p99", "--p99", 1.5]];
const POINTS = 120;

/** What of a node, or of an edge, stands above the charts. */
type FiguredNode = Pick<MapNode, "rate" | "errorRatio" | "p50" | "p95" | "p99" | "status" | "reasons">;

interface FiguresProps {
  name: string;
  node: FiguredNode | undefined;
  /** Whose requests, as one side saw them. */
  of: Matchers;
  past: Past | null;
  /** The same thing then; undefined while it is not known. */
  before: FiguredNode | undefined;
}

export function Figures({ name, node, of, past, before }: FiguresProps) {
  const { start, end } = interval.value;
  const size = step(start, end, POINTS);
  const window = windowOf(size);
  const query = useQuery(subject(`series ${matchers(of)}`), moment(), async (signal): Promise<Lines> => {
    const ask = async (text: string) => (await queryRange(text, { start: Math.floor(start / size) * size, end }, size, signal))[0];
    const [total, failed, ...quantiles] = await Promise.all([
      ask(rateOf(of, window)),
      ask(failedShare(of, window)),
      ...QUANTILES.map(([share]) => ask(quantile(share, of, window))),
    ]);
    return { rate: total, failed, quantiles };
  });
  const then = usePast(of, past, size, window);
  const { data } = query;
  const none = new Map<number, number>();
  const bad = node && isBad(node.status) ? tone(node.status) : "";
  const dashed = (points: Map<number, number> | undefined): Line[] => (past ? [{ name: "", color: "--past", points: points ?? none, past: true }] : []);
  const quantileLines: Line[] = QUANTILES.map(([, label, color, width], index) => ({ name: label, color, width, points: inMilliseconds(data?.quantiles[index]?.points ?? none) }));
  const anyFailed = [...(data?.failed?.points.values() ?? [])].some((value) => value > 0);
  const common = { interval: interval.value, step: size };
  const was = (text: string | null) => (past && text ? `${past.name} ${text}` : "");
  const usualFailed = node && failReason(node)?.usual;
  const usualSlow = node && slowReason(node)?.usual;
  const beside = (...texts: (string | null | undefined | false)[]) => texts.filter(Boolean).join(" · ");
  return (
    <>
      <FailureLine what="The charts" query={query} />
      {query.error && !data && <p class="notice">The charts cannot be read: {query.error.message}. The figures above are not affected. <button class="btn s" onClick={query.again}>Try again</button></p>}
      <div class={`tri${query.stale ? " dimmed" : ""}`}>
        <Figure title="Rate" value={rate(node?.rate)} more={was(before ? rate(before.rate) : null)}>
          <Chart {...common} lines={[...dashed(then?.rate), { name: "rate", color: "--p95", points: data?.rate?.points ?? none }]} format={rate} sentence={`Requests per second of ${name}, now ${rate(node?.rate)}${before ? `, ${was(rate(before.rate))}` : ""}`} />
        </Figure>
        <Figure title="Failed" value={share(node?.errorRatio)} color={node && failReason(node) ? bad : ""} more={beside(usualFailed && `usually ${usualFailed}`, was(before ? share(before.errorRatio) : null))}>
          <Chart {...common} least={0.1} lines={[...dashed(then?.failed), { name: anyFailed ? "failed" : "none failed", color: anyFailed ? "--crit-g" : "--none-g", fill: anyFailed ? "--crit-soft" : undefined, points: data?.failed?.points ?? none }]} format={share} sentence={`Share of failed requests of ${name}, ${share(node?.errorRatio)}`} />
        </Figure>
        <Figure title="Duration" value={milliseconds(node?.p95)} more={beside("p95", usualSlow && `usually ${usualSlow}`, before && was(`${milliseconds(before.p95)}${ratioSaid(node?.p95, before.p95)}`), `p50 ${milliseconds(node?.p50)}`, `p99 ${milliseconds(node?.p99)}`)} color={node && slowReason(node) ? bad : ""}>
          <Chart {...common} named lines={[...dashed(then?.p95), ...quantileLines]} format={milliseconds} sentence={`Duration of requests of ${name}: p50 ${milliseconds(node?.p50)}, p95 ${milliseconds(node?.p95)}, p99 ${milliseconds(node?.p99)}`} />
        </Figure>
      </div>
    </>
  );
}

const ratioSaid = (now: number | null | undefined, before: number | null | undefined): string => {
  const ratio = ratioText(now, before);
  return ratio ? ` (${ratio})` : "";
};

interface PastLines {
  rate: Map<number, number>;
  failed: Map<number, number>;
  p95: Map<number, number>;
}

/** The same lines of the time compared with, moved under the range. */
function usePast(of: Matchers, past: Past | null, size: number, window: string): PastLines | null {
  const query = useQuery(subject(`past ${matchers(of)} ${past?.shift ?? ""}`), slowMoment(30), async (signal): Promise<PastLines | null> => {
    if (!past) return null;
    // On the grid of the range itself, so that both lines have the same times.
    const from = Math.floor((past.start + past.shift) / size) * size - past.shift;
    const ask = async (text: string) => moved((await queryRange(text, { start: from, end: past.end }, size, signal))[0]?.points ?? new Map(), past.shift);
    const [total, failed, p95] = await Promise.all([ask(rateOf(of, window)), ask(failedShare(of, window)), ask(quantile(0.95, of, window))]);
    return { rate: total, failed, p95: inMilliseconds(p95) };
  });
  return past ? query.data : null;
}

const inMilliseconds = (points: Map<number, number>): Map<number, number> => new Map([...points].map(([at, seconds]) => [at, seconds * 1000]));

function Figure({ title, value, more, color = "", children }: { title: string; value: string; more?: string; color?: string; children: ComponentChildren }) {
  return (
    <div>
      <div class="fig">
        <h2>{title}</h2>
        <b class={color}>{value}</b>
        <span class="sub">{more}</span>
      </div>
      {children}
    </div>
  );
}
