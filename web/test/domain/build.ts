// Builders of typed test data: only what a test is about is named.
import { readTopology } from "../../src/api/topology";
import type { Topology } from "../../src/domain/topology";
import type { Span } from "../../src/domain/tracetree";

export const service = (name: string): string => `service:default/${name}`;

/** `a>b b>c` with redis as the protocol where one is written: `a>b:redis`. Statuses by name. */
export function topology(links: string, statuses: Record<string, string> = {}): Topology {
  const edges = links.split(" ").filter(Boolean).map((text) => {
    const [, source = "", target = "", protocol = "http"] = /^([^>]+)>([^:]+)(?::(.+))?$/.exec(text) ?? [];
    return { source, target, protocol };
  });
  const names = new Set([...edges.flatMap((edge) => [edge.source, edge.target]), ...Object.keys(statuses).filter((name) => !name.includes(">"))]);
  return readTopology({
    nodes: [...names].map((name) => ({ id: service(name), kind: "service", name, status: statuses[name] ?? "ok", requests_per_second: 10, error_ratio: 0, p95_ms: 5, attributes: { "process.runtime.name": name === "go" ? "go" : "java" } })),
    edges: edges.map(({ source, target, protocol }) => ({ source: service(source), target: service(target), protocol, status: statuses[`${source}>${target}`] ?? "ok", requests_per_second: 10, client: { requests: 1 }, server: { requests: 1 } })),
  });
}

export const span = (id: string, parent: string | null, from: number, to: number, more: Partial<Span> = {}): Span => ({
  id, parent, name: `op ${id}`, service: "shop", instance: null, kind: "server", startNs: `${1763388540000000000n + BigInt(Math.round(from * 1e6))}`, durationNs: String(Math.round((to - from) * 1e6)), status: "ok",
  protocol: "http", operation: null, resource: null, code: null, peer: null, attributes: {}, resourceAttributes: {}, ...more,
});
