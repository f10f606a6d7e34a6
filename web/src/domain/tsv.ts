// A table as tab-separated text, as spreadsheets take it.
import type { Sortable } from "./sort";

/** A cell that a spreadsheet would take for a formula is told to be text; tabs and line ends would break the table. */
export function tsvCell(value: Sortable): string {
  const text = value === null || value === undefined ? "" : String(value).replace(/[\t\r\n]+/g, " ");
  return typeof value === "string" && /^[=+@-]/.test(text) ? `'${text}` : text;
}

export const tsv = (head: string[], rows: Sortable[][]): string => [head, ...rows].map((row) => row.map(tsvCell).join("\t")).join("\n") + "\n";
