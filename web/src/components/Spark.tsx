// A line without axes beside a figure: how it went over the range, on its own scale.
const WIDTH = 72;
const HEIGHT = 18;

export function Spark({ points, start, end }: { points: Map<number, number> | undefined; start: number; end: number }) {
  const shown = [...(points ?? [])].filter(([at]) => at >= start && at <= end).sort((a, b) => a[0] - b[0]);
  if (shown.length < 2) return <span class="dim">–</span>;
  const most = shown.reduce((high, [, value]) => Math.max(high, value), 0) || 1;
  const step = (shown[1]?.[0] ?? 0) - (shown[0]?.[0] ?? 0);
  let before = -Infinity;
  const path = shown.map(([at, value]) => {
    // A gap is a gap.
    const move = at - before > step * 1.5 ? "M" : "L";
    before = at;
    return `${move}${(((at - start) / Math.max(1, end - start)) * WIDTH).toFixed(1)} ${(HEIGHT - 1.5 - (value / most) * (HEIGHT - 3)).toFixed(1)}`;
  });
  return (
    <svg class="gl" width={WIDTH} height={HEIGHT} aria-hidden="true">
      <path d={path.join("")} fill="none" stroke="var(--p95)" stroke-width="1.2" />
    </svg>
  );
}
