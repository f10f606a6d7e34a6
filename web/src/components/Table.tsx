// A table: worst first by default, sorted by a click on a head, a second click turns round. Long ones are cut with a
// line that says so.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { plural } from "../domain/format";
import { compare, toggled, type Direction, type Sort, type Sortable } from "../domain/sort";

export interface Column<T> {
  key: string;
  head: string;
  numeric?: boolean;
  /** CSS class: `h2c` drops the column under 1260 px, `h1c` under 760. */
  optional?: string;
  value: (row: T) => Sortable;
  cell: (row: T) => ComponentChildren;
  first?: Direction;
  className?: (row: T) => string;
}

interface TableProps<T> {
  rows: T[];
  columns: Column<T>[];
  initial: Sort;
  rowKey: (row: T) => string;
  label: string;
  most?: number;
}

export function Table<T>({ rows, columns, initial, rowKey, label, most = 200 }: TableProps<T>) {
  const [sort, setSort] = useState(initial);
  const [limit, setLimit] = useState(most);
  const by = columns.find((column) => column.key === sort.key) ?? columns[0];
  const sorted = by ? [...rows].sort((a, b) => compare(by.value(a), by.value(b), sort.direction) || rowKey(a).localeCompare(rowKey(b))) : rows;
  const css = (column: Column<T>, row?: T) => [column.numeric ? "num" : "", column.optional ?? "", row && column.className ? column.className(row) : ""].filter(Boolean).join(" ") || undefined;
  return (
    <>
      <table aria-label={label}>
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
          {sorted.slice(0, limit).map((row) => (
            <tr key={rowKey(row)} class="a">
              {columns.map((column) => (
                <td key={column.key} class={css(column, row)}>{column.cell(row)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > limit && (
        <p class="sub" style={{ padding: "8px 0" }}>
          {plural(rows.length - limit, "more row")}. <button class="btn s" onClick={() => setLimit(limit * 5)}>Show more</button>
        </p>
      )}
    </>
  );
}
