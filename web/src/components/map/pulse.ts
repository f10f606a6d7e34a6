// The pulse under a name: height is the rate, red the failed part, amber is slow, a flat grey line is no data.
import type { Pulse } from "../../domain/topology";

export interface PulsePaths {
  ok: string;
  slow: string;
  failed: string;
  none: string;
}

export function pulsePaths(pulse: (Pulse | null)[], width: number, height: number): PulsePaths {
  const paths: PulsePaths = { ok: "", slow: "", failed: "", none: "" };
  const most = pulse.reduce((max, bucket) => Math.max(max, bucket?.requests ?? 0), 0);
  const step = width / Math.max(1, pulse.length);
  pulse.forEach((bucket, index) => {
    const bar = (high: number) => `M${(index * step).toFixed(1)} 0v${(-high).toFixed(1)}h${Math.max(0.8, step - 1).toFixed(1)}V0z`;
    if (!bucket || bucket.requests <= 0) {
      paths.none += bar(1.2);
      return;
    }
    const high = Math.max(1.5, (bucket.requests / most) * height);
    const slow = bucket.slow * 2 > bucket.requests;
    if (slow) paths.slow += bar(high);
    else paths.ok += bar(high);
    if (bucket.errors > 0) paths.failed += bar(Math.min(high, Math.max(1.8, high * (bucket.errors / bucket.requests))));
  });
  return paths;
}
