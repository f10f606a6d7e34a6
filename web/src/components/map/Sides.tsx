// Figures of an edge as both ends saw them, side by side.
export interface Row<T> {
  name: string;
  cell: (side: T) => string | null;
  tone?: (side: T) => string;
}

interface SidesProps<T> {
  sides: { client: T | null; server: T | null };
  rows: Row<T>[];
  /** What stands where one side knows nothing. */
  unknown?: (row: Row<T>, side: T | null, index: number) => string;
}

export function Sides<T>({ sides, rows, unknown = () => "not known" }: SidesProps<T>) {
  return (
    <table>
      <thead>
        <tr>
          <th><span class="vh">Figure</span></th>
          <th class="num"><span style={{ color: "var(--s-client)" }} aria-hidden="true">◻</span> caller</th>
          <th class="num"><span style={{ color: "var(--s-server)" }} aria-hidden="true">◼</span> server</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={row.name}>
            <td>{row.name}</td>
            {[sides.client, sides.server].map((side, index) => {
              const text = side && row.cell(side);
              return <td key={index} class={`num ${text ? (side && row.tone?.(side)) ?? "" : "dim"}`}>{text ?? unknown(row, side, index)}</td>;
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
