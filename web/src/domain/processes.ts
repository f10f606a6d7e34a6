// What processes use, as the agents measure it.

interface Sample {
  labels: Record<string, string>;
  value: number | null;
}

export interface Used {
  memory: number | null;
  cpus: number | null;
  files: number | null;
  threads: number | null;
}

const FIELDS: Record<string, keyof Used> = { memory: "memory", cpu: "cpus", files: "files", threads: "threads" };

/** By process; the answer's label `of` says what a value is. */
export function used(samples: Sample[]): Map<string, Used> {
  const found = new Map<string, Used>();
  for (const { labels, value } of samples) {
    const field = FIELDS[labels["of"] ?? ""];
    const id = labels["instance"];
    if (!field || !id) continue;
    const known = found.get(id) ?? { memory: null, cpus: null, files: null, threads: null };
    known[field] = value;
    found.set(id, known);
  }
  return found;
}
