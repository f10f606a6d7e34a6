// Rate, failed and duration of one service over time, asked for in PromQL like anybody would.
import type { ComponentChildren } from "preact";
import { queryRange, type Series } from "../../api/series";
import { milliseconds, rate, share } from "../../domain/format";
import { failedShare, quantile, requestRate, step, windowOf } from "../../domain/promql";
import { tone, isBad } from "../../domain/status";
import type { MapNode } from "../../domain/topology";
import { failReason, slowReason } from "../../domain/findings";
import { interval } from "../../state/clock";
import { useQuery } from "../../state/query";
import { moment, subject } from "../../state/subject";
import { Chart, type Line } from "../Chart";
import { FailureLine } from "../states";

interface Lines {
  rate: Series | undefined;
  failed: Series | undefined;
  quantiles: (Series | undefined)[];
}

const QUANTILES: [number, string, string, number][] = [[0.5, "p50", "--p50", 1.5], [0.95, "p95", "--p95", 1.8], [0.99, "p99", "--p99", 1.5]];
const POINTS = 120;

export function Figures({ name, node, side }: { name: string; node: MapNode | undefined; side: "server" | "client" }) {
  const { start, end } = interval.value;
  const size = step(start, end, POINTS);
  const window = windowOf(size);
  const query = useQuery(subject(`series ${name} ${side}`), moment(), async (signal): Promise<Lines> => {
    const ask = async (text: string) => (await queryRange(text, { start: Math.floor(start / size) * size, end }, size, signal))[0];
    const [total, failed, ...quantiles] = await Promise.all([
      ask(requestRate(name, side, window)),
      ask(failedShare(name, side, window)),
      ...QUANTILES.map(([share]) => ask(quantile(share, name, side, window))),
    ]);
    return { rate: total, failed, quantiles };
  });
  const { data } = query;
  const none = new Map<number, number>();
  const bad = node && isBad(node.status) ? tone(node.status) : "";
  const quantileLines: Line[] = QUANTILES.map(([, label, color, width], index) => ({ name: label, color, width, points: inMilliseconds(data?.quantiles[index]?.points ?? none) }));
  const anyFailed = [...(data?.failed?.points.values() ?? [])].some((value) => value > 0);
  const common = { interval: interval.value, step: size };
  return (
    <>
      <FailureLine what="The charts" query={query} />
      {query.error && !data && <p class="notice">The charts cannot be read: {query.error.message}. The figures above are not affected. <button class="btn s" onClick={query.again}>Try again</button></p>}
      <div class={`tri${query.stale ? " dimmed" : ""}`}>
        <Figure title="Rate" value={rate(node?.rate)}>
          <Chart {...common} lines={[{ name: "rate", color: "--p95", points: data?.rate?.points ?? none }]} format={rate} sentence={`Requests per second of ${name}, now ${rate(node?.rate)}`} />
        </Figure>
        <Figure title="Failed" value={share(node?.errorRatio)} color={node && failReason(node) ? bad : ""}>
          <Chart {...common} least={0.1} lines={[{ name: anyFailed ? "failed" : "none failed", color: anyFailed ? "--crit-g" : "--none-g", fill: anyFailed ? "--crit-soft" : undefined, points: data?.failed?.points ?? none }]} format={share} sentence={`Share of failed requests of ${name}, ${share(node?.errorRatio)}`} />
        </Figure>
        <Figure title="Duration" value={milliseconds(node?.p95)} more={`p95 · p50 ${milliseconds(node?.p50)} · p99 ${milliseconds(node?.p99)}`} color={node && slowReason(node) ? bad : ""}>
          <Chart {...common} named lines={quantileLines} format={milliseconds} sentence={`Duration of requests of ${name}: p50 ${milliseconds(node?.p50)}, p95 ${milliseconds(node?.p95)}, p99 ${milliseconds(node?.p99)}`} />
        </Figure>
      </div>
    </>
  );
}

const inMilliseconds = (points: Map<number, number>): Map<number, number> => new Map([...points].map(([at, seconds]) => [at, seconds * 1000]));

function Figure({ title, value, more, color = "", children }: { title: string; value: string; more?: string; color?: string; children: ComponentChildren }) {
  return (
    <div>
      <div class="fig">
        <h2>{title}</h2>
        <b class={color}>{value}</b>
        <span class="sub el">{more}</span>
      </div>
      {children}
    </div>
  );
}
