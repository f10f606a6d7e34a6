// How traces spread over their properties, and what sets a selection apart from the rest.

export interface Faceted {
  root: string;
  service: string;
  code: string | null;
  errors: number | null;
  time: { service: string | null; ms: number }[];
}

export interface Facet {
  key: "result" | "longest" | "service" | "root";
  name: string;
  /** The search term that narrows to a value; without one a value cannot be searched by. */
  term: "code" | "service" | "operation" | null;
  of: (trace: Faceted) => string;
}

export const BETWEEN = "network or queue";

export const FACETS: Facet[] = [
  { key: "result", name: "Result", term: "code", of: (trace) => trace.code ?? ((trace.errors ?? 0) > 0 ? "failed" : "ok") },
  { key: "longest", name: "Most of the time in", term: null, of: (trace) => (trace.time[0] ? (trace.time[0].service ?? BETWEEN) : "not known") },
  { key: "service", name: "Starts at", term: "service", of: (trace) => trace.service },
  { key: "root", name: "Root", term: "operation", of: (trace) => trace.root },
];

export interface Value {
  value: string;
  count: number;
  failed: number;
}

export function values(traces: Faceted[], facet: Facet, most = 8): Value[] {
  const found = new Map<string, Value>();
  for (const trace of traces) {
    const value = facet.of(trace);
    const known = found.get(value) ?? { value, count: 0, failed: 0 };
    found.set(value, known);
    known.count += 1;
    if ((trace.errors ?? 0) > 0) known.failed += 1;
  }
  return [...found.values()].sort((a, b) => b.count - a.count || a.value.localeCompare(b.value)).slice(0, most);
}

export interface Apart {
  facet: string;
  value: string;
  /** Shares among the selected ones and among all others. */
  selected: number;
  others: number;
}

const LEAST = 0.1;

/** The largest differences first, at most four, and only those that are more than a tenth. */
export function apart(selected: Faceted[], others: Faceted[]): Apart[] {
  if (selected.length === 0 || others.length === 0) return [];
  const found = FACETS.flatMap((facet) =>
    values(selected, facet, 20).map(({ value, count }): Apart => {
      const elsewhere = others.filter((trace) => facet.of(trace) === value).length;
      return { facet: facet.name, value, selected: count / selected.length, others: elsewhere / others.length };
    }),
  );
  return found.filter((one) => one.selected - one.others > LEAST).sort((a, b) => b.selected - b.others - (a.selected - a.others)).slice(0, 4);
}

/** The services that most of all time was spent in, for the bars' tones; at most so many as can be told apart. */
export function mostTime(traces: Faceted[], most: number): string[] {
  const sums = new Map<string, number>();
  for (const { time } of traces) for (const part of time) if (part.service) sums.set(part.service, (sums.get(part.service) ?? 0) + part.ms);
  return [...sums].sort((a, b) => b[1] - a[1]).slice(0, most).map(([name]) => name);
}
