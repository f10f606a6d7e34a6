// The texts of a plate: what fits at its size. The button's name begins with exactly these, so that what is seen and
// what is said are the same.
import { shorten } from "../../domain/format";
import { groupSize, type Plate } from "../../domain/geometry";
import { isBad } from "../../domain/status";
import { runtimeOf, type MapNode } from "../../domain/topology";
import { fitText, textWidth } from "../measure";
import { figuresOf, type Figure } from "./figures";
import { groupTexts } from "./marks";

export interface PlateTexts {
  name: string;
  runtime: string;
  left: Figure | null;
  right: Figure | null;
  badge: string;
  /** Where the texts begin and end, from the plate's middle. */
  from: number;
  to: number;
}

export function plateTexts(node: MapNode, plate: Plate, room: number): PlateTexts {
  if (node.members) {
    const { name, figure } = groupTexts(node, groupSize(node.members.length, plate).width);
    return { name, runtime: figure?.text ?? "", left: null, right: null, badge: "", from: 0, to: 0 };
  }
  const badge = isBad(node.status) ? String(node.reasons.length || "!") : "";
  const bare = { runtime: "", left: null, right: null, badge, from: 0, to: 0 };
  if (plate.detail === "mark") return { ...bare, badge: "", name: isBad(node.status) ? shorten(node.name, 22) : "" };
  if (plate.detail === "ring") return { ...bare, name: fitText(node.name, Math.max(46, room - 8), 11, isBad(node.status) ? 650 : 400, shorten) };
  const compact = plate.detail === "compact";
  const indent = node.kind === "external" || node.kind === "clients" ? 7 : 0;
  const from = -plate.width / 2 + (compact ? 34 : 44) + indent;
  const to = plate.width / 2 - (compact ? 7 : 9) - indent;
  const size = compact ? 11 : 12;
  // What is new says so where the language stands otherwise.
  const whole = node.firstSeen !== null ? "new" : compact ? "" : runtimeOf(node);
  // The name comes first: the small word beside it gets what is left, or nothing.
  const spare = to - from - textWidth(node.name, compact ? 12 : 13, 650);
  const wanted = whole ? Math.min(textWidth(whole, 11) + 8, 60) : 0;
  const runtimeRoom = spare >= Math.min(wanted, 32) ? Math.min(wanted, spare) : 0;
  const { left, right } = figuresOf(node);
  const width = (figure: Figure) => textWidth(figure.text, size, figure.strong ? 650 : 400);
  const fits = right !== null && width(left) + width(right) + 6 <= to - from;
  return {
    name: fitText(node.name, to - from - runtimeRoom, compact ? 12 : 13, 650, shorten),
    runtime: runtimeRoom > 0 ? fitText(whole, runtimeRoom, 11, 400, shorten) : "",
    left, right: fits ? right : null, badge, from, to,
  };
}
