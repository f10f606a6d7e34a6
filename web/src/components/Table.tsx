// A table: worst first by default, sorted by a click on a head, a second click turns round. Of long ones only the rows
// in the window are drawn. What it shows can be copied as tab-separated text.
import type { ComponentChildren } from "preact";
import { useRef, useState } from "preact/hooks";
import { plural } from "../domain/format";
import { compare, toggled, type Direction, type Sort, type Sortable } from "../domain/sort";
import { tsv } from "../domain/tsv";
import { CopyButton } from "./Copy";
import { useRowWindow, VIRTUAL_FROM } from "./useRowWindow";

export interface Column<T> {
  key: string;
  head: string;
  numeric?: boolean;
  /** CSS class: `h2c` drops the column under 1260 px, `h1c` under 760. */
  optional?: string;
  value: (row: T) => Sortable;
  cell: (row: T) => ComponentChildren;
  /** What is copied, where it is not the value. */
  text?: (row: T) => string;
  first?: Direction;
  className?: (row: T) => string;
}

interface TableProps<T> {
  rows: T[];
  columns: Column<T>[];
  initial: Sort;
  rowKey: (row: T) => string;
  label: string;
  /** Only the first so many; the rest is elsewhere. */
  most?: number;
}

export function Table<T>({ rows, columns, initial, rowKey, label, most = Infinity }: TableProps<T>) {
  const [sort, setSort] = useState(initial);
  const table = useRef<HTMLTableElement>(null);
  const by = columns.find((column) => column.key === sort.key) ?? columns[0];
  const sorted = (by ? [...rows].sort((a, b) => compare(by.value(a), by.value(b), sort.direction) || rowKey(a).localeCompare(rowKey(b))) : rows).slice(0, most);
  const { from, to, above, below } = useRowWindow(table, sorted.length);
  const isLong = sorted.length > VIRTUAL_FROM;
  const css = (column: Column<T>, row?: T) => [column.numeric ? "num" : "", column.optional ?? "", row && column.className ? column.className(row) : ""].filter(Boolean).join(" ") || undefined;
  const copied = () => tsv(columns.map((column) => column.head), sorted.map((row) => columns.map((column) => column.text?.(row) ?? column.value(row))));
  return (
    <>
      <table aria-label={label} ref={table} aria-rowcount={isLong ? sorted.length + 1 : undefined}>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column.key} class={css(column)} aria-sort={sort.key === column.key ? sort.direction : undefined} scope="col">
                <button onClick={() => setSort(toggled(sort, column.key, column.first ?? (column.numeric ? "descending" : "ascending")))}>
                  {column.head} <span class="ar" aria-hidden="true">{sort.key === column.key ? (sort.direction === "ascending" ? "↑" : "↓") : ""}</span>
                </button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {above > 0 && <Gap high={above} wide={columns.length} />}
          {sorted.slice(from, to).map((row, index) => (
            <tr key={rowKey(row)} class="a" aria-rowindex={isLong ? from + index + 2 : undefined}>
              {columns.map((column) => (
                <td key={column.key} class={css(column, row)}>{column.cell(row)}</td>
              ))}
            </tr>
          ))}
          {below > 0 && <Gap high={below} wide={columns.length} />}
        </tbody>
      </table>
      {sorted.length > 1 && (
        <p class="tsv sub">
          <span>{sorted.length < rows.length ? `${plural(sorted.length, "row")} of ${rows.length}` : plural(sorted.length, "row")}</span>
          <CopyButton what={label} text={copied}>Copy as TSV</CopyButton>
        </p>
      )}
    </>
  );
}

/** Stands for the rows that are not drawn. */
const Gap = ({ high, wide }: { high: number; wide: number }) => (
  <tr aria-hidden="true"><td colSpan={wide} style={{ height: `${high}px`, padding: 0, border: 0 }} /></tr>
);
