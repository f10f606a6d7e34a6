// The whole trace as a few pixels per call: where in it one is.
import { endOf, startOf, type Call, type Tree } from "../../domain/tracetree";

const MOST = 600;

export function Overview({ tree }: { tree: Tree }) {
  const lines: { call: Call; depth: number }[] = [];
  const walk = (calls: Call[], depth: number) => {
    for (const call of calls) {
      if (lines.length >= MOST) return;
      lines.push({ call, depth });
      walk(call.children, depth + 1);
    }
  };
  walk(tree.roots, 0);
  const step = 28 / Math.max(4, lines.reduce((most, line) => Math.max(most, line.depth), 0) + 1);
  const share = (at: number) => `${(at / Math.max(tree.duration, 1e-6)) * 100}%`;
  return (
    <div class="mini" aria-hidden="true">
      <svg preserveAspectRatio="none">
        {lines.map(({ call, depth }) => (
          <rect key={call.id} x={share(startOf(call))} y={2 + depth * step} width={`max(1px, ${share(endOf(call) - startOf(call))})`} height={Math.max(1, Math.min(3, step - 1))} fill={call.failed ? "var(--crit-g)" : call.server ? "var(--s-server)" : "var(--s-client)"} />
        ))}
      </svg>
    </div>
  );
}
