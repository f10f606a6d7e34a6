// The scene on a canvas: for maps with more plates than SVG can move. The same geometry, texts and signs as in SVG.
import { isBad } from "../../domain/status";
import { color, inkOf, write, type Brush } from "./brush";
import { paintEdges, paintNewTags } from "./paintEdges";
import { paintNode } from "./paintNodes";
import type { Scene } from "./scene";

export function paint(brush: Brush, scene: Scene): void {
  paintFrames(brush, scene);
  paintEdges(brush, scene.edges, scene.plate);
  for (const { node, at, opacity } of scene.nodes) {
    brush.pen.save();
    brush.pen.translate(at.x, at.y);
    brush.pen.globalAlpha = opacity ?? 1;
    paintNode(brush, node, scene.plate);
    brush.pen.restore();
  }
  paintNewTags(brush, scene);
  for (const { node, text, box, opacity } of scene.names) {
    brush.pen.globalAlpha = opacity ?? 1;
    brush.pen.fillStyle = color(brush, "bg");
    brush.pen.fillRect(box.left, box.top, box.right - box.left, box.bottom - box.top);
    write(brush, text, box.left + 2, box.bottom - 4, { size: 11, weight: 650, ink: inkOf(brush, node.status, "ink") });
  }
  for (const { label, lines, opacity } of scene.labels) {
    brush.pen.globalAlpha = opacity ?? 1;
    const ink = (name: string, otherwise: string) => color(brush, name || otherwise);
    write(brush, lines.head, label.x, label.y - 14, { size: lines.headTone ? 12 : 11, weight: lines.headTone ? 650 : 400, ink: ink(lines.headTone, "ink-3"), align: label.anchor, halo: true });
    const text = lines.left + lines.right;
    write(brush, text, label.x, label.y, { size: 11, ink: color(brush, lines.rightTone || "ink-2"), align: label.anchor, halo: true });
  }
  brush.pen.globalAlpha = 1;
}

function paintFrames(brush: Brush, { frames }: Scene): void {
  const { pen } = brush;
  for (const { id, box, value, figure, status } of frames) {
    const selected = brush.selection === `node:${id}`;
    pen.strokeStyle = color(brush, selected ? "accent" : "line-2");
    pen.lineWidth = selected ? 1.6 : 0.8;
    pen.setLineDash(status === "no_data" ? [3, 3] : []);
    pen.beginPath();
    pen.roundRect(box.left, box.top, Math.max(20, box.right - box.left), Math.max(20, box.bottom - box.top), 8);
    pen.stroke();
    pen.setLineDash([]);
    const width = write(brush, value, box.left + 12, box.top + 18, { size: 12, weight: 650, ink: color(brush, "ink"), halo: true });
    write(brush, figure.text, box.left + 20 + width, box.top + 18, { size: 11, weight: isBad(figure.status) ? 650 : 400, ink: inkOf(brush, figure.status, "ink-3"), halo: true });
  }
}
