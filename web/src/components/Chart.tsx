// Lines over time, drawn by uPlot: y from 0, three grid lines, no legend (each line is named at its end), a gap stays
// a gap. Dragging selects the time for the whole console; the crosshair is shared by all charts of the page.
import uPlot from "uplot";
import { useEffect, useRef } from "preact/hooks";
import { clock } from "../domain/format";
import type { Interval } from "../domain/range";
import { columns } from "../domain/columns";
import { timeTicks } from "../domain/range";
import { crosshair, SYNC } from "../state/crosshair";
import { setRange, utc } from "../state/location";
import { theme } from "../state/theme";
import { textWidth } from "./measure";
import { useWidth } from "./useSize";

export interface Line {
  name: string;
  /** A colour token: `--p95`. */
  color: string;
  width?: number;
  fill?: string | undefined;
  /** Dashed: another time, not this one. */
  past?: boolean;
  points: Map<number, number>;
}

interface ChartProps {
  lines: Line[];
  interval: Interval;
  step: number;
  format: (value: number) => string;
  /** Said instead of the picture. */
  sentence: string;
  named?: boolean;
  /** How high the picture reaches when all values are 0. */
  least?: number;
}

const HEIGHT = 112;
const NAME_ROOM = 12;

const token = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim() || "gray";

export function Chart(props: ChartProps) {
  const [box, width] = useWidth<HTMLDivElement>();
  const plot = useRef<uPlot | null>(null);
  const { interval, lines, step } = props;
  const data = columns(lines, interval, step) as uPlot.AlignedData;
  const shape = `${lines.map((line) => line.name).join()} ${theme.value} ${utc.value} ${props.named ?? false} ${width > 0}`;
  useEffect(() => {
    if (!box.current || width === 0) return;
    const made = new uPlot(optionsOf(props, width, () => latest.current), data, box.current);
    plot.current = made;
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const redraw = () => made.redraw(false, true);
    dark.addEventListener("change", redraw);
    return () => {
      dark.removeEventListener("change", redraw);
      made.destroy();
      plot.current = null;
    };
  }, [shape]);
  const latest = useRef(props);
  latest.current = props;
  useEffect(() => plot.current?.setData(data), [data]);
  useEffect(() => plot.current?.setSize({ width, height: HEIGHT }), [width]);
  return <div ref={box} class="chart" role="img" aria-label={props.sentence} style={{ height: `${HEIGHT}px` }} />;
}

function optionsOf({ lines, named }: ChartProps, width: number, latest: () => ChartProps): uPlot.Options {
  const font = `11px ${token("--sans")}`;
  const axis = { font, stroke: () => token("--ink-3"), ticks: { show: false } };
  return {
    width,
    height: HEIGHT,
    padding: [8, named ? NAME_ROOM + Math.max(0, ...lines.map((line) => textWidth(line.name, 11))) : 18, 0, 0],
    legend: { show: false },
    cursor: { sync: { key: SYNC }, points: { size: 5 }, drag: { x: true, y: false, setScale: false } },
    scales: {
      x: { time: true, range: () => [latest().interval.start, latest().interval.end] },
      y: { range: (_plot, _low, high) => [0, high > 0 ? high * 1.12 : (latest().least ?? 1)] },
    },
    axes: [
      {
        ...axis, size: 20, gap: 3, grid: { show: false },
        splits: (_plot, _axis, low, high) => timeTicks({ start: low, end: high }, high - low < 300 ? 4 : 6, utc.peek()),
        values: (_plot, splits) => splits.map((at) => clock(at, utc.peek(), latest().interval.end - latest().interval.start < 300 ? "seconds" : "minutes")),
      },
      {
        ...axis, size: 52, gap: 5, grid: { stroke: () => token("--line"), width: 1 },
        splits: (_plot, _axis, _low, high) => yTicks(high),
        values: (_plot, splits) => splits.map((value) => (value === 0 ? "0" : latest().format(value).replace(/\.0+(?=\D)/, ""))),
      },
    ],
    series: [
      {},
      ...lines.map((line) => ({
        label: line.name, stroke: () => token(line.color), width: line.width ?? 1.5, fill: line.fill ? () => token(line.fill ?? "--flow") : undefined, spanGaps: false, points: { show: false }, ...(line.past && { dash: [4, 3] }),
      })),
    ],
    hooks: {
      setSelect: [selected],
      setCursor: [(plot) => (crosshair.value = (plot.cursor.left ?? -1) >= 0 ? plot.posToVal(plot.cursor.left ?? 0, "x") : null)],
      draw: named ? [(plot) => nameLines(plot, latest().lines)] : [],
    },
  };
}

/** Two round steps above 0: three grid lines in all. */
function yTicks(high: number): number[] {
  const rough = high / 2.02;
  const power = 10 ** Math.floor(Math.log10(rough || 1));
  const size = [1, 2, 2.5, 5, 10].map((factor) => factor * power).findLast((step) => step <= rough) ?? power;
  return [0, size, 2 * size].filter((value) => value <= high);
}

function selected(plot: uPlot): void {
  if (plot.select.width < 4) return;
  const start = plot.posToVal(plot.select.left, "x");
  const end = plot.posToVal(plot.select.left + plot.select.width, "x");
  plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
  if (end - start >= 1) setRange({ kind: "fixed", start: Math.round(start), end: Math.round(end) });
}

/** Each line's name at its end, kept apart from the next one's. */
function nameLines(plot: uPlot, lines: Line[]): void {
  const scale = devicePixelRatio;
  const { ctx } = plot;
  const ends = lines.flatMap((line, index) => {
    if (line.name === "") return [];
    const values = Array.from<number | null | undefined>(plot.data[index + 1] ?? []);
    const last = values.findLast((value) => value !== null && value !== undefined);
    return last === null || last === undefined ? [] : [{ line, y: plot.valToPos(last, "y", true) }];
  });
  ends.sort((a, b) => a.y - b.y);
  let lowest = -Infinity;
  ctx.save();
  ctx.font = `${11 * scale}px ${token("--sans")}`;
  ctx.textBaseline = "middle";
  ctx.textAlign = "left";
  ctx.fillStyle = token("--ink-2");
  for (const { line, y } of ends) {
    lowest = Math.max(y, lowest + 12 * scale);
    ctx.fillText(line.name, plot.bbox.left + plot.bbox.width + 5 * scale, lowest);
  }
  ctx.restore();
}
