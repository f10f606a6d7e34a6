// Draws large maps, off the page's thread: the page only moves what was drawn, so that no frame waits for it.
import type { Frame } from "../../domain/expand";
import type { Term } from "../../domain/filter";
import type { Size, View } from "../../domain/geometry";
import type { Layout } from "../../domain/layout";
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

export type PaintRequest = { kind: "data"; data: MapData } | { kind: "look"; look: MapLook } | { kind: "view"; view: View; size: Size; ratio: number };
export interface Painted {
  view: View;
  size: Size;
  bitmap: ImageBitmap;
}

let data: (MapData & { around: Neighbourhood }) | null = null;
let look: MapLook | null = null;
let canvas: OffscreenCanvas | null = null;

addEventListener("message", ({ data: asked }: MessageEvent<PaintRequest>) => {
  if (asked.kind === "data") data = { ...asked.data, around: neighbourhood(asked.data.topology) };
  else if (asked.kind === "look") {
    if (asked.look.family !== look?.family) useFamily(asked.look.family);
    look = asked.look;
  } else draw(asked.view, asked.size, asked.ratio);
});

/** The picture reaches beyond the window, so that it can be moved a little before it is drawn anew. */
function draw(view: View, size: Size, ratio: number): void {
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
  const drawn = scene({ ...data, view: shifted, size: { width, height }, terms, selection, reach });
  paint({ pen, colors, family, around: data.around, selection }, drawn);
  const bitmap = canvas.transferToImageBitmap();
  postMessage({ view, size, bitmap } satisfies Painted, { transfer: [bitmap] });
}
