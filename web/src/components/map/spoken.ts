// The map in words, for those who do not see it. The visible words of a node are the start of its name.
import { differenceText } from "../../domain/difference";
import { milliseconds, plural, rate, share } from "../../domain/format";
import type { Plate } from "../../domain/geometry";
import { isBad, STATUS_WORDS } from "../../domain/status";
import { isGone, isNew, type Level, type MapNode, type Topology } from "../../domain/topology";
import { plateTexts } from "./texts";

export function spoken(node: MapNode, plate: Plate, room: number, below: string): string {
  const texts = plateTexts(node, plate, room);
  const isMark = plate.detail === "mark" && isBad(node.status) ? "!" : "";
  const visible = [isMark, texts.name, texts.runtime, texts.left?.text, texts.right?.text, texts.change, texts.badge, plate.detail === "ring" || plate.detail === "mark" ? "" : below].filter(Boolean).join(" ");
  const reasons = node.reasons.length ? plural(node.reasons.length, "reason") : "";
  const failed = (node.errorRatio ?? 0) > 0 ? `${share(node.errorRatio)} failed` : "";
  const life = isGone(node) ? "gone" : isNew(node) ? "new" : texts.change ? "" : differenceText(node.difference);
  const members = node.members ? `group of ${node.members.length}` : "";
  const rest = [members, life,texts.name === node.name ? "" : node.name, STATUS_WORDS[node.status], reasons, rate(node.rate), failed, node.p95 === null ? "" : `p95 ${milliseconds(node.p95)}`];
  return [visible, ...rest].filter(Boolean).join(", ");
}

const WORD: Record<Level, [string, string]> = { host: ["host", "hosts"], service: ["service", "services"], process: ["process", "processes"] };

export const levelCount = (topology: Topology, level: Level): string => plural(topology.nodes.reduce((sum, node) => sum + (node.members?.length ?? (node.kind === "clients" ? 0 : 1)), 0), ...WORD[level]);

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
