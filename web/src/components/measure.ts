// Widths of text as the browser will draw it. Remembered, since the map asks for the same few thousand again and again.

const known = new Map<string, number>();
let pen: CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D | null = null;
let family = "";
const MOST = 20_000;

/** A worker has no page to ask for its fonts: it is told. */
export function useFamily(name: string): void {
  family = name;
  known.clear();
}

export const fontFamily = (): string => (family ||= getComputedStyle(document.documentElement).getPropertyValue("--sans") || "sans-serif");

const newPen = () => (typeof document === "undefined" ? new OffscreenCanvas(1, 1).getContext("2d") : document.createElement("canvas").getContext("2d"));

export function textWidth(text: string, size: number, weight = 400): number {
  const key = `${size} ${weight} ${text}`;
  const before = known.get(key);
  if (before !== undefined) return before;
  pen ??= newPen();
  if (!pen) return text.length * size * 0.58;
  pen.font = `${weight} ${size}px ${fontFamily()}`;
  const width = pen.measureText(text).width;
  if (known.size > MOST) known.clear();
  known.set(key, width);
  return width;
}

/** As much of a name as fits, shortened in the middle. */
export function fitText(text: string, width: number, size: number, weight: number, shorten: (text: string, most: number) => string): string {
  if (textWidth(text, size, weight) <= width) return text;
  let most = Math.max(3, Math.floor((text.length * width) / Math.max(1, textWidth(text, size, weight))));
  while (most > 3 && textWidth(shorten(text, most), size, weight) > width) most -= 1;
  return shorten(text, most);
}
