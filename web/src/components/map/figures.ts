// The two figures of a node: the rate, or what is bad of a bad one; beside it p95.
import { connectsText, failReason, slowReason } from "../../domain/findings";
import { MISSING, milliseconds, rate, share } from "../../domain/format";
import { isBad, tone } from "../../domain/status";
import { isGone, type MapNode } from "../../domain/topology";

export interface Figure {
  text: string;
  tone: string;
  strong: boolean;
}

export function figuresOf(node: MapNode): { left: Figure; right: Figure | null } {
  if (node.status === "no_data") return { left: { text: "no data", tone: "nonec", strong: false }, right: null };
  if (isGone(node)) return { left: { text: "gone", tone: "nonec", strong: false }, right: null };
  const connects = connectsText(node);
  if (connects) return { left: { text: connects.replace("connects ", ""), tone: tone(node.status), strong: true }, right: node.p95 === null ? null : { text: milliseconds(node.p95), tone: "", strong: false } };
  if (node.made) {
    const right = node.made.p95 === null ? null : { text: milliseconds(node.made.p95), tone: "", strong: false };
    return { left: { text: `calls ${rate(node.made.rate)}`, tone: "", strong: false }, right };
  }
  // Judged by its handshakes alone.
  if (node.status === "ok" && node.requests === 0) return { left: { text: "encrypted", tone: "", strong: false }, right: null };
  const bad = isBad(node.status);
  const failing = bad && (failReason(node) !== undefined || (node.errorRatio ?? 0) >= 0.01) && (node.errorRatio ?? 0) > 0;
  const slow = bad && slowReason(node) !== undefined;
  const color = bad ? tone(node.status) : "";
  const left = failing
    ? { text: `${share(node.errorRatio)} failed`, tone: color, strong: true }
    : { text: rate(node.rate), tone: "", strong: false };
  const right = node.p95 === null ? { text: MISSING, tone: "", strong: false } : { text: milliseconds(node.p95), tone: slow ? color : "", strong: slow };
  return { left, right };
}
