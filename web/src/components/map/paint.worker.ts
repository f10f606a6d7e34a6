// Draws large maps, off the page's thread: the page only moves what was drawn, so that no frame waits for it.
import type { Frame } from "../../domain/expand";
import type { Term } from "../../domain/filter";
import type { Size, View } from "../../domain/geometry";
import type { Layout, Point } from "../../domain/layout";
import { neighbourhood, type Neighbourhood, type Topology } from "../../domain/topology";
import { useFamily } from "../measure";
import { MARGIN } from "./margin";
import type { Colors } from "./brush";
import { paint } from "./paint";
import { scene } from "./scene";

export interface MapData {
  topology: Topology;
  layout: Layout;
  frames: Frame[];
}

export interface MapLook {
  terms: Term[];
  selection: string;
  reach: ReadonlySet<string> | null;
  colors: Colors;
  family: string;
}

export type PaintRequest = { kind: "data"; data: MapData } | { kind: "look"; look: MapLook } | { kind: "flight"; from: ReadonlyMap<string, Point> } | { kind: "view"; view: View; size: Size; ratio: number; share: number };
export interface Painted {
  view: View;
  size: Size;
  bitmap: ImageBitmap;
  /** Of the way to where everything stands. */
  share: number;
  /** Milliseconds that it took. */
  took: number;
}

let data: (MapData & { around: Neighbourhood }) | null = null;
let from: ReadonlyMap<string, Point> = new Map();
let look: MapLook | null = null;
let canvas: OffscreenCanvas | null = null;

addEventListener("message", ({ data: asked }: MessageEvent<PaintRequest>) => {
  if (asked.kind === "data") data = { ...asked.data, around: neighbourhood(asked.data.topology) };
  else if (asked.kind === "look") {
    if (asked.look.family !== look?.family) useFamily(asked.look.family);
    look = asked.look;
  } else if (asked.kind === "flight") from = asked.from;
  else draw(asked);
});

/** Where everything stands while it moves: what has no place to come from is there already. Lines go straight. */
function underWay(layout: Layout, view: View, share: number): Layout {
  const nodes: Record<string, Point> = { ...layout.nodes };
  for (const [id, began] of from) {
    const at = layout.nodes[id];
    if (!at) continue;
    const start = { x: (began.x - view.offsetX) / view.scaleX, y: (began.y - view.offsetY) / view.scaleY };
    nodes[id] = { x: start.x + (at.x - start.x) * share, y: start.y + (at.y - start.y) * share };
  }
  return { ...layout, nodes, bends: {} };
}

/** The picture reaches beyond the window, so that it can be moved a little before it is drawn anew. */
function draw({ view, size, ratio, share }: Extract<PaintRequest, { kind: "view" }>): void {
  const began = performance.now();
  if (!data || !look) return;
  const [width, height] = [size.width + 2 * MARGIN, size.height + 2 * MARGIN];
  const [across, down] = [Math.ceil(width * ratio), Math.ceil(height * ratio)];
  if (canvas?.width !== across || canvas.height !== down) canvas = new OffscreenCanvas(across, down);
  const pen = canvas.getContext("2d");
  if (!pen) return;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  const { terms, selection, reach, colors, family } = look;
  const shifted = { ...view, offsetX: view.offsetX + MARGIN, offsetY: view.offsetY + MARGIN };
  const drawn = scene({ ...data, layout: share < 1 ? underWay(data.layout, view, share) : data.layout, view: shifted, size: { width, height }, terms, selection, reach });
  paint({ pen, colors, family, around: data.around, selection }, drawn);
  const bitmap = canvas.transferToImageBitmap();
  postMessage({ view, size, bitmap, share, took: performance.now() - began } satisfies Painted, { transfer: [bitmap] });
}
