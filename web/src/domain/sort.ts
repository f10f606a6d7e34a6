// Sorting of tables: worst first by default, a missing value always last, a second click turns round.

export type Direction = "ascending" | "descending";
export interface Sort {
  key: string;
  direction: Direction;
}

export type Sortable = number | string | null | undefined;

/** Made once: thousands of names are compared with it. */
const byWords = new Intl.Collator();

export function compare(a: Sortable, b: Sortable, direction: Direction): number {
  const missingA = a === null || a === undefined;
  const missingB = b === null || b === undefined;
  if (missingA || missingB) return Number(missingA) - Number(missingB);
  const order = typeof a === "number" && typeof b === "number" ? a - b : byWords.compare(String(a), String(b));
  return direction === "ascending" ? order : -order;
}

export const toggled = (now: Sort, key: string, first: Direction): Sort =>
  now.key === key ? { key, direction: now.direction === "ascending" ? "descending" : "ascending" } : { key, direction: first };

/** Each value is made once, however often it is compared; what is equal stays in the order of its keys. */
export function sortedBy<T>(rows: T[], value: (row: T) => Sortable, key: (row: T) => string, direction: Direction): T[] {
  const valued = rows.map((row) => ({ row, value: value(row), key: key(row) }));
  valued.sort((a, b) => compare(a.value, b.value, direction) || (a.key < b.key ? -1 : Number(a.key > b.key)));
  return valued.map(({ row }) => row);
}

/** In an address: `p95`, or `-p95` for the largest first. */
export const sortText = ({ key, direction }: Sort): string => (direction === "descending" ? `-${key}` : key);

export function parseSort(text: string, keys: string[]): Sort | null {
  const key = text.replace(/^-/, "");
  return keys.includes(key) ? { key, direction: text.startsWith("-") ? "descending" : "ascending" } : null;
}
