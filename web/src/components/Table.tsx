// A table: worst first by default, sorted by a click on a head, a second click turns round; where it is asked for, the
// order stands in the address. Of long ones only the rows in the window are drawn. What it shows can be copied as
// tab-separated text.
import type { ComponentChildren, RefObject } from "preact";
import { useMemo, useRef, useState } from "preact/hooks";
import { count, plural } from "../domain/format";
import { parseSort, sortedBy, sortText, toggled, type Direction, type Sort, type Sortable } from "../domain/sort";
import { tsv } from "../domain/tsv";
import { param, setParams } from "../state/location";
import { CopyButton } from "./Copy";
import { memo } from "./memo";
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
  /** The parameter of the address that says the order. */
  sortParam?: string;
}

export function Table<T>({ rows, columns, initial, rowKey, label, most = Infinity, sortParam }: TableProps<T>) {
  const [sort, setSort] = useSort(initial, columns.map((column) => column.key), sortParam);
  const table = useRef<HTMLTableElement>(null);
  const by = columns.find((column) => column.key === sort.key) ?? columns[0];
  const sorted = useMemo(() => (by ? sortedBy(rows, by.value, rowKey, sort.direction) : rows).slice(0, most), [rows, columns, sort.key, sort.direction, most]);
  const copied = () => tsv(columns.map((column) => column.head), sorted.map((row) => columns.map((column) => column.text?.(row) ?? column.value(row))));
  return (
    <>
      <table aria-label={label} ref={table} aria-rowcount={sorted.length > VIRTUAL_FROM ? sorted.length + 1 : undefined}>
        <thead>
          <tr aria-rowindex={sorted.length > VIRTUAL_FROM ? 1 : undefined}>
            {columns.map((column) => (
              <th key={column.key} class={classOf(column)} aria-sort={sort.key === column.key ? sort.direction : undefined} scope="col">
                <button onClick={() => setSort(toggled(sort, column.key, column.first ?? (column.numeric ? "descending" : "ascending")))}>
                  {column.head} <span class="ar" aria-hidden="true">{sort.key === column.key ? (sort.direction === "ascending" ? "↑" : "↓") : ""}</span>
                </button>
              </th>
            ))}
          </tr>
        </thead>
        <Body<T> table={table} rows={sorted} columns={columns} rowKey={rowKey} />
      </table>
      {sorted.length > 1 && (
        <p class="tsv sub">
          <span>{sorted.length < rows.length ? `${plural(sorted.length, "row")} of ${count(rows.length)}` : plural(sorted.length, "row")}</span>
          <CopyButton what={label} text={copied}>Copy as TSV</CopyButton>
        </p>
      )}
    </>
  );
}

function useSort(initial: Sort, keys: string[], name: string | undefined): [Sort, (next: Sort) => void] {
  const [own, setOwn] = useState(initial);
  if (!name) return [own, setOwn];
  return [parseSort(param(name), keys) ?? initial, (next) => setParams({ [name]: sortText(next) === sortText(initial) ? null : sortText(next) })];
}

const classOf = <T,>(column: Column<T>, row?: T): string | undefined =>
  [column.numeric ? "num" : "", column.optional ?? "", row !== undefined && column.className ? column.className(row) : ""].filter(Boolean).join(" ") || undefined;

interface BodyProps<T> {
  table: RefObject<HTMLTableElement | null>;
  rows: T[];
  columns: Column<T>[];
  rowKey: (row: T) => string;
}

/** Apart from the table, so that scrolling sorts nothing. */
function Body<T>({ table, rows, columns, rowKey }: BodyProps<T>) {
  const { from, to, high } = useRowWindow(table, rows.length);
  const [focused, setFocused] = useState<string | null>(null);
  const isLong = rows.length > VIRTUAL_FROM;
  // The row that has the focus stays, wherever the table is scrolled to: the keyboard must not lose its place.
  const held = focused === null || !isLong ? -1 : rows.findIndex((row) => rowKey(row) === focused);
  const shown = pieces(from, to, rows.length, held);
  const note = (event: FocusEvent) => setFocused((event.target as Element).closest("tr")?.getAttribute("data-row") ?? null);
  return (
    <tbody onFocusIn={note} onFocusOut={() => setFocused(null)}>
      {shown.map((piece) => {
        if ("gap" in piece) return <Gap key={`gap ${piece.at}`} high={piece.gap * high} wide={columns.length} />;
        const row = rows[piece.row] as T;
        return <Row key={rowKey(row)} name={rowKey(row)} row={row} columns={columns as Column<unknown>[]} index={isLong ? piece.row + 2 : undefined} />;
      })}
    </tbody>
  );
}

type Piece = { row: number } | { gap: number; at: "above" | "over" | "under" | "below" };

/** The rows in the window, the one that is held outside of it, and gaps for all others. */
function pieces(from: number, to: number, all: number, held: number): Piece[] {
  const out: Piece[] = [];
  const gap = (amount: number, at: "above" | "over" | "under" | "below") => amount > 0 && out.push({ gap: amount, at });
  const isAbove = held >= 0 && held < from;
  const isBelow = held >= to && held < all;
  gap(isAbove ? held : from, "above");
  if (isAbove) out.push({ row: held });
  if (isAbove) gap(from - held - 1, "over");
  for (let row = from; row < to; row += 1) out.push({ row });
  gap(isBelow ? held - to : all - to, "under");
  if (isBelow) out.push({ row: held });
  if (isBelow) gap(all - held - 1, "below");
  return out;
}

interface RowProps {
  name: string;
  row: unknown;
  columns: Column<unknown>[];
  index: number | undefined;
}

const Row = memo(function Row({ name, row, columns, index }: RowProps) {
  return (
    <tr class="a" data-row={name} aria-rowindex={index}>
      {columns.map((column) => <td key={column.key} class={classOf(column, row)}>{column.cell(row)}</td>)}
    </tr>
  );
});

/** Stands for the rows that are not drawn. */
const Gap = ({ high, wide }: { high: number; wide: number }) => (
  <tr aria-hidden="true"><td colSpan={wide} style={{ height: `${high}px`, padding: 0, border: 0 }} /></tr>
);
