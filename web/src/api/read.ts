// Reading of JSON from outside: every field is checked where it enters, a missing one becomes null and stays null
// until it is drawn as missing. A body of another shape altogether is an error with its place.

export type Json = Record<string, unknown>;

export class ShapeError extends Error {}

export function object(value: unknown, where: string): Json {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Json;
  throw new ShapeError(`${where} is no object`);
}

/** Not there is an empty list; something else than a list is an error. */
export function list<T>(value: unknown, where: string, item: (value: Json, where: string) => T): T[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new ShapeError(`${where} is no list`);
  return value.map((one, index) => item(object(one, `${where}[${index}]`), `${where}[${index}]`));
}

export const number = (value: unknown): number | null =>
  typeof value === "number" && Number.isFinite(value) ? value : typeof value === "string" ? numeric(value) : null;

function numeric(text: string): number | null {
  const value = text.trim() === "" ? NaN : Number(text);
  return Number.isFinite(value) ? value : null;
}

export function string(value: unknown): string | null {
  if (typeof value === "string") return value;
  return typeof value === "number" && Number.isFinite(value) ? String(value) : null;
}

export const text = (value: unknown, otherwise = ""): string => string(value) ?? otherwise;

export const maybe = <T>(value: unknown, read: (value: Json) => T): T | null =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? read(value as Json) : null;

/** Attributes are shown as text, whatever they are. */
export function attributes(value: unknown): Record<string, string> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return {};
  const out: Record<string, string> = {};
  for (const [key, one] of Object.entries(value)) {
    if (one === null || one === undefined) continue;
    out[key] = typeof one === "object" ? JSON.stringify(one) : String(one);
  }
  return out;
}
