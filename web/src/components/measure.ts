// Widths of text as the browser will draw it. Remembered, since the map asks for the same few thousand again and again.

const known = new Map<string, number>();
let pen: CanvasRenderingContext2D | null = null;
const MOST = 20_000;

export function textWidth(text: string, size: number, weight = 400): number {
  const key = `${size} ${weight} ${text}`;
  const before = known.get(key);
  if (before !== undefined) return before;
  pen ??= document.createElement("canvas").getContext("2d");
  if (!pen) return text.length * size * 0.58;
  pen.font = `${weight} ${size}px ${getComputedStyle(document.documentElement).getPropertyValue("--sans") || "sans-serif"}`;
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
