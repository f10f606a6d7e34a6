// Whose time a trace was, as one bar: services by their share of the time of all traces shown, violet what lies between
// a caller's view and the server's.
import type { TraceSummary } from "../../api/traces";
import { milliseconds } from "../../domain/format";
import { BETWEEN } from "../../domain/facets";

const TONES = ["--s-server", "--s-client", "--t-file", "--p50"];
const OTHER = "--t-sleep";
const BETWEEN_TONE = "--t-net";
const WIDTH = 260;

export const MOST_TONES = TONES.length;

const toneOf = (service: string | null, names: string[]): string => (service === null ? BETWEEN_TONE : (TONES[names.indexOf(service)] ?? OTHER));

export function TimeBar({ trace, names, longest }: { trace: TraceSummary; names: string[]; longest: number }) {
  const whole = Math.max(1.5, ((trace.durationMs ?? 0) / longest) * WIDTH);
  const sum = trace.time.reduce((total, part) => total + part.ms, 0) || 1;
  let from = 0;
  return (
    <svg class="gl" width={WIDTH} height="9" role="img" aria-label={trace.time.map((part) => `${part.service ?? BETWEEN} ${milliseconds(part.ms)}`).join(", ")}>
      {trace.time.length === 0 && <rect width={whole} height="9" fill="var(--t-sleep)" />}
      {trace.time.map((part) => {
        const wide = (part.ms / sum) * whole;
        const left = from;
        from += wide;
        return <rect key={part.service ?? ""} x={left} width={Math.max(0.5, wide - (wide > 3 ? 1 : 0))} height="9" fill={`var(${toneOf(part.service, names)})`} />;
      })}
    </svg>
  );
}

export function TimeKey({ names, traces }: { names: string[]; traces: TraceSummary[] }) {
  const parts = new Set(traces.flatMap((trace) => trace.time.map((part) => part.service)));
  const known: [string, string][] = names.map((name) => [name, toneOf(name, names)]);
  if ([...parts].some((name) => name !== null && !names.includes(name))) known.push(["others", OTHER]);
  if (parts.has(null)) known.push([BETWEEN, BETWEEN_TONE]);
  return (
    <span class="sub timekey">
      {known.map(([name, tone]) => (
        <span key={name}>
          <svg width="10" height="10" aria-hidden="true"><rect width="10" height="10" fill={`var(${tone})`} /></svg> {name}
        </span>
      ))}
    </span>
  );
}
