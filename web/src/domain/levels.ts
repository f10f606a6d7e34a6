// Levels share their positions as far as possible: a process stands where its service does, hosts stand in the middle of
// the services, and what has the same id stays.
import { nearestFree, median, type Layout, type Point } from "./layout";
import type { Level, MapNode, Topology } from "./topology";

/** A first layout of a level from that of the services; null if it would be more crowd than map. */
export function seeded(services: Layout, topology: Topology, level: Level): Layout | null {
  if (level === "service" || topology.nodes.length > Object.keys(services.nodes).length * 2) return null;
  const nodes: Record<string, Point> = {};
  const spread = topology.nodes.flatMap((node) => {
    const at = services.nodes[node.id] ?? (level === "process" ? services.nodes[node.attributes["limpid.service"] ?? ""] : hostsPlace(services, node));
    return at ? [{ id: node.id, at }] : [];
  });
  for (const { id, at } of spread) nodes[id] = nearestFree(Object.values(nodes), at);
  return Object.keys(nodes).length ? { nodes, bends: {}, inner: {} } : null;
}

/** In the middle of the services; hosts beside each other from there on. */
function hostsPlace({ nodes }: Layout, host: MapNode): Point | null {
  const all = Object.entries(nodes).filter(([id]) => id.startsWith("service:")).map(([, at]) => at);
  if (host.kind !== "host" || all.length === 0) return null;
  return { x: median(all.map((at) => at.x)), y: median(all.map((at) => at.y)) };
}
