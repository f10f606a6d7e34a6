// The texts of a plate: what fits at its size. The button's name begins with exactly these, so that what is seen and
// what is said are the same.
import { beforeText, changeText, differenceText } from "../../domain/difference";
import { milliseconds, rate, shorten } from "../../domain/format";
import { groupSize, type Plate } from "../../domain/geometry";
import { isBad, tone } from "../../domain/status";
import { isNew, runtimeOf, type MapNode } from "../../domain/topology";
import { fitText, textWidth } from "../measure";
import { figuresOf, type Figure } from "./figures";
import { groupTexts } from "./marks";

export interface PlateTexts {
  name: string;
  runtime: string;
  left: Figure | null;
  right: Figure | null;
  badge: string;
  /** What differs from the time it is compared with, in the place of the pulse. */
  change: string;
  /** Where the texts begin and end, from the plate's middle. */
  from: number;
  to: number;
}

export function plateTexts(node: MapNode, plate: Plate, room: number): PlateTexts {
  if (node.members) {
    const { name, figure } = groupTexts(node, groupSize(node.members.length, plate).width);
    return { name, runtime: figure?.text ?? "", left: null, right: null, badge: "", change: "", from: 0, to: 0 };
  }
  const badge = isBad(node.status) ? String(node.reasons.length || "!") : "";
  const bare = { runtime: "", left: null, right: null, badge, change: "", from: 0, to: 0 };
  if (plate.detail === "mark") return { ...bare, badge: "", name: isBad(node.status) ? shorten(node.name, 22) : "" };
  if (plate.detail === "ring") return { ...bare, name: fitText(node.name, Math.max(46, room - 8), 11, isBad(node.status) ? 650 : 400, shorten) };
  const compact = plate.detail === "compact";
  const indent = node.kind === "external" || node.kind === "clients" ? 7 : 0;
  const from = -plate.width / 2 + (compact ? 34 : 44) + indent;
  const to = plate.width / 2 - (compact ? 7 : 9) - indent;
  const size = compact ? 11 : 12;
  // What is new says so where the language stands otherwise.
  const whole = isNew(node) ? "new" : compact ? "" : runtimeOf(node);
  // The name comes first: the small word beside it gets what is left, or nothing.
  const spare = to - from - textWidth(node.name, compact ? 12 : 13, 650);
  const wanted = whole ? Math.min(textWidth(whole, 11) + 8, 60) : 0;
  const runtimeRoom = spare >= Math.min(wanted, 32) ? Math.min(wanted, spare) : 0;
  const hasPulse = !compact && node.kind !== "clients";
  const { left, right } = shownFigures(node, hasPulse);
  const width = (figure: Figure) => textWidth(figure.text, size, figure.strong ? 650 : 400);
  const hasRoom = right !== null && width(left) + width(right) + 6 <= to - from;
  return {
    name: fitText(node.name, to - from - runtimeRoom, compact ? 12 : 13, 650, shorten),
    runtime: runtimeRoom > 0 ? fitText(whole, runtimeRoom, 11, 400, shorten) : "",
    left, right: hasRoom ? right : null, badge, change: hasPulse ? changeLine(node, to - from) : "", from, to,
  };
}

/** Where there is no room for a line of its own, the change stands in the place of the figures. */
function shownFigures(node: MapNode, hasPulse: boolean): { left: Figure; right: Figure | null } {
  const change = !hasPulse && node.difference?.kind === "changed" ? differenceText(node.difference) : "";
  return change ? { left: { text: change, tone: isBad(node.status) ? tone(node.status) : "", strong: true }, right: null } : figuresOf(node);
}

function changeLine({ difference }: MapNode, room: number): string {
  if (difference?.kind === "gone") return fits([`was ${rate(difference.before?.rate)}, p95 ${milliseconds(difference.before?.p95)}`, `was ${rate(difference.before?.rate)}`], room);
  const [first] = difference?.changes ?? [];
  return first ? fits([[changeText(first), beforeText(first)].filter(Boolean).join(", "), changeText(first)], room) : "";
}

/** The longest of some texts that there is room for. */
const fits = (texts: string[], room: number): string => texts.find((text) => textWidth(text, 11, 600) <= room) ?? texts.at(-1) ?? "";
