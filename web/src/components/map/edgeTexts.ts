// The texts of an edge, without how they are drawn: for SVG, and for the worker that draws the canvas.
import { connectsText, failReason, slowReason } from "../../domain/findings";
import { differenceText } from "../../domain/difference";
import { milliseconds, rate, share } from "../../domain/format";
import { isBad, tone } from "../../domain/status";
import { isUnread, neverConnected, protocolName, type MapEdge } from "../../domain/topology";
import { textWidth } from "../measure";

export interface LabelLines {
  head: string;
  headTone: string;
  left: string;
  right: string;
  rightTone: string;
  width: number;
}

export function labelLines(edge: MapEdge): LabelLines {
  const protocol = protocolName(edge.protocol);
  const bad = isBad(edge.status);
  const color = bad ? tone(edge.status) : "";
  const differs = differenceText(edge.difference);
  if (edge.difference?.kind === "gone") return sized({ head: protocol, headTone: "", left: "gone", right: "", rightTone: "" });
  if (edge.status === "no_data") return sized({ head: protocol, headTone: "", left: "no data", right: "", rightTone: "" });
  const connects = connectsText(edge);
  if (neverConnected(edge)) return sized({ head: connects ?? protocol, headTone: connects ? color : "", left: "nothing got through", right: "", rightTone: "" });
  if (isUnread(edge)) return sized({ head: connects ?? protocol, headTone: connects ? color : "", left: `${connects ? `${protocol} ` : ""}${rate(edge.tls?.rate)} handshakes`, right: "", rightTone: "" });
  if (connects) return sized({ head: connects, headTone: color, left: `${protocol} ${rate(edge.rate)} · `, right: milliseconds(edge.p95), rightTone: slowReason(edge) ? color : "" });
  if (bad && failReason(edge) && (edge.errorRatio ?? 0) > 0) {
    return sized({ head: `${share(edge.errorRatio)} failed`, headTone: color, left: `${protocol} ${rate(edge.rate)} · `, ...(differs ? { right: differs, rightTone: "ink" } : { right: milliseconds(edge.p95), rightTone: slowReason(edge) ? color : "" }) });
  }
  if (differs && edge.difference?.kind === "changed") return sized({ head: protocol, headTone: "", left: `${rate(edge.rate)}  `, right: differs, rightTone: bad && slowReason(edge) ? color : "ink" });
  const failed = (edge.errorRatio ?? 0) >= 0.01;
  return sized({
    head: protocol, headTone: "", left: `${rate(edge.rate)}  `, right: failed ? `${share(edge.errorRatio)} failed` : edge.p95 === null ? "" : milliseconds(edge.p95),
    rightTone: bad && slowReason(edge) ? color : failed ? "warn" : "",
  });
}

function sized(lines: Omit<LabelLines, "width">): LabelLines {
  const head = textWidth(lines.head, lines.headTone ? 12 : 11, lines.headTone ? 650 : 400);
  const second = textWidth(lines.left, 11) + textWidth(lines.right, 11, lines.rightTone ? 600 : 400) + 4;
  return { ...lines, width: Math.max(head, second) };
}

export interface ViewLine {
  text: string;
  value: string;
  tone: string;
}

/** The two views of an edge, and what lies between them. */
export function viewLines(edge: MapEdge): ViewLine[] {
  if (neverConnected(edge)) return [{ text: "", value: connectsText(edge) ?? "nothing got through", tone: isBad(edge.status) ? tone(edge.status) : "" }];
  const slow = isBad(edge.status) && slowReason(edge) ? tone(edge.status) : "";
  const of = isUnread(edge) ? edge.tls : edge;
  const what = isUnread(edge) ? "handshake " : "";
  const lines: ViewLine[] = [{ text: `client ${what}`, value: of?.client ? milliseconds(of.client.p95) : "not watched", tone: "" }];
  if (edge.network) lines.push({ text: "network ", value: milliseconds(edge.network.p95), tone: "" });
  else if (edge.networkOrQueue) lines.push({ text: "network or queue ", value: milliseconds(edge.networkOrQueue.p95), tone: "" });
  lines.push({ text: `server ${what}`, value: of?.server ? milliseconds(of.server.p95) : "not watched", tone: slow });
  return lines;
}

export const VIEW_LINE = 14;
export const viewsWidth = (lines: ViewLine[]): number => Math.max(...lines.map((line) => textWidth(line.text, 11) + textWidth(line.value, 11, 650)));
