// What the facets of traces are called, and how a search narrows to one of their values.

export interface Timed {
  time: { service: string | null; ms: number }[];
}

export const BETWEEN = "network or queue";

interface Known {
  name: string;
  /** The search term that narrows to a value; without one a value is only told. */
  term: string | null;
}

const KNOWN: Record<string, Known> = {
  code: { name: "Result", term: "code" },
  name: { name: "Call", term: "name" },
  service: { name: "Service", term: "service" },
  instance: { name: "Process", term: "instance" },
  host: { name: "Host", term: "host" },
  peer: { name: "Calls", term: "peer" },
  protocol: { name: "Protocol", term: "protocol" },
  "limpid.most_time": { name: "Most of the time in", term: null },
  "limpid.failed_at": { name: "Failed at", term: null },
  "limpid.passes": { name: "Passes through", term: null },
};

/** An attribute is called what it is called. */
export const facetOf = (key: string): Known & { own: boolean } => {
  const known = KNOWN[key];
  return known ? { ...known, own: true } : { name: key, term: key, own: false };
};

/** A process is told by its number, a long value by its ends. */
export const valueName = (key: string, value: string): string => (key === "instance" ? value.replace(/^process:.*-(\d+)$/, "pid $1") : value);

/** The services that most of all time was spent in, for the bars' tones; at most so many as can be told apart. */
export function mostTime(traces: Timed[], most: number): string[] {
  const sums = new Map<string, number>();
  for (const { time } of traces) for (const part of time) if (part.service) sums.set(part.service, (sums.get(part.service) ?? 0) + part.ms);
  return [...sums].sort((a, b) => b[1] - a[1]).slice(0, most).map(([name]) => name);
}
