// The map in words, for those who do not see it. The visible words of a node are the start of its name.
import { milliseconds, plural, rate, share } from "../../domain/format";
import { isBad, STATUS_WORDS } from "../../domain/status";
import { runtimeOf, type Level, type MapNode, type Topology } from "../../domain/topology";

export function spoken(node: MapNode): string {
  const reasons = node.reasons.length ? plural(node.reasons.length, "reason") : "";
  const figures = [
    node.rate === null ? "" : `${rate(node.rate)}`,
    (node.errorRatio ?? 0) > 0 ? `${share(node.errorRatio)} failed` : "",
    node.p95 === null ? "" : `p95 ${milliseconds(node.p95)}`,
  ];
  return [node.name, runtimeOf(node), STATUS_WORDS[node.status], reasons, ...figures].filter(Boolean).join(", ");
}

const WORD: Record<Level, [string, string]> = { host: ["host", "hosts"], service: ["service", "services"], process: ["process", "processes"] };

export const levelCount = (topology: Topology, level: Level): string => plural(topology.nodes.filter((node) => node.kind !== "clients").length, ...WORD[level]);

export function summary(topology: Topology, level: Level): string {
  const count = (status: string) => topology.nodes.filter((node) => node.status === status).length;
  const parts = (["critical", "warning", "affected", "no_data"] as const)
    .map((status) => [status, count(status)] as const)
    .filter(([, amount]) => amount > 0)
    .map(([status, amount]) => `${amount} ${STATUS_WORDS[status]}`);
  const bad = topology.edges.filter((edge) => isBad(edge.status)).length;
  const edges = `${plural(topology.edges.length, "edge")}${bad ? `, ${bad} of them bad` : ""}`;
  return `Map: ${levelCount(topology, level)}, ${edges}. ${parts.length ? parts.join(", ") : "nothing deviates"}`;
}
