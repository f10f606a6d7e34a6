// A part of a heat map, in the address: `sel=t0,t1,d0,d1`, Unix seconds and milliseconds.

export interface Rectangle {
  t0: number;
  t1: number;
  d0: number;
  d1: number;
}

export function parseRectangle(text: string): Rectangle | null {
  const [t0, t1, d0, d1] = text.split(",").map(Number);
  if (t0 === undefined || t1 === undefined || d0 === undefined || d1 === undefined) return null;
  return [t0, t1, d0, d1].every(Number.isFinite) && t1 > t0 && d1 > d0 ? { t0, t1, d0, d1 } : null;
}

/** Bounds are rounded outwards: what lies on one is inside. */
export const rectangleText = ({ t0, t1, d0, d1 }: Rectangle): string =>
  [Math.floor(t0 * 10) / 10, Math.ceil(t1 * 10) / 10, Number((d0 * 0.9999).toPrecision(5)), Number((d1 * 1.0001).toPrecision(5))].join(",");
