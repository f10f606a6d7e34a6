// What Limpid costs over the range, from its own metrics: CPU of agents, runs and time of programs in the kernel, losses.
import { queryAt, queryRange } from "../../api/series";
import { programRuns, programTime, step, windowOver } from "../../domain/promql";
import { interval } from "../../state/clock";
import { useQuery } from "../../state/query";
import { slowMoment, subject } from "../../state/subject";

export interface Cost {
  runs: number;
  /** Seconds of a CPU per second. */
  share: number;
}

export const programKey = (collector: string, program: string): string => `${collector}\u0000${program}`;

/** By program of one host; empty where the kernel does not count. */
export function useCost(host: string) {
  return useQuery(subject(`cost ${host}`), slowMoment(15), async (signal) => {
    const { start, end } = interval.peek();
    const window = windowOver({ start, end });
    const [times, runs] = await Promise.all([queryAt(programTime(host, window), end, signal), queryAt(programRuns(host, window), end, signal)]);
    const costs = new Map<string, Cost>();
    const keyOf = (labels: Record<string, string>) => programKey(labels["collector"] ?? "", labels["program"] ?? "");
    for (const one of times) costs.set(keyOf(one.labels), { share: one.value ?? 0, runs: 0 });
    for (const one of runs) {
      const cost = costs.get(keyOf(one.labels));
      if (cost) cost.runs = one.value ?? 0;
    }
    return costs;
  });
}

const POINTS = 60;

/** The agents' CPU over time, by host: shares of one CPU. */
export function useCpu() {
  return useQuery(subject("cpu of agents"), slowMoment(15), async (signal) => {
    const { start, end } = interval.peek();
    const size = step(start, end, POINTS);
    const lines = await queryRange(`sum by (host) (rate(process_cpu_time_seconds_total[${Math.max(60, size * 2)}s]))`, { start: Math.floor(start / size) * size, end }, size, signal);
    return new Map(lines.map((line) => [line.labels["host"] ?? "", line.points]));
  });
}

export const lossKey = (host: string, cause: string): string => `${host}\u0000${cause}`;

/** What agents lost within the range, by host and cause. */
export function useLost() {
  return useQuery(subject("lost"), slowMoment(15), async (signal) => {
    const { start, end } = interval.peek();
    const found = await queryAt(`sum by (host, cause) (increase(limpid_losses_total[${windowOver({ start, end })}]))`, end, signal);
    return new Map(found.map((one) => [lossKey(one.labels["host"] ?? "", one.labels["cause"] ?? ""), Math.round(one.value ?? 0)]));
  });
}
