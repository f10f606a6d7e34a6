// Sorting of tables: worst first by default, a missing value always last, a second click turns round.

export type Direction = "ascending" | "descending";
export interface Sort {
  key: string;
  direction: Direction;
}

export type Sortable = number | string | null | undefined;

export function compare(a: Sortable, b: Sortable, direction: Direction): number {
  const missingA = a === null || a === undefined;
  const missingB = b === null || b === undefined;
  if (missingA || missingB) return Number(missingA) - Number(missingB);
  const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
  return direction === "ascending" ? order : -order;
}

export const toggled = (now: Sort, key: string, first: Direction): Sort =>
  now.key === key ? { key, direction: now.direction === "ascending" ? "descending" : "ascending" } : { key, direction: first };
