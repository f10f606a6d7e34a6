// The sign of each state. Shapes differ, so that colour is never the only difference; and the glyph of each kind.
import type { JSX } from "preact";
import { STATUS_WORDS, type Status } from "../domain/status";
import { GLYPHS } from "../domain/glyphs";
import type { Glyph } from "../domain/topology";

const SHAPES: Record<Status, JSX.Element> = {
  critical: (
    <>
      <path d="M4.4.8h5.2l3.6 3.6v5.2l-3.6 3.6H4.4L.8 9.6V4.4z" fill="var(--crit-g)" />
      <path d="M7 3.4v4.4M7 9.6v1.4" stroke="var(--on-crit)" stroke-width="1.7" />
    </>
  ),
  warning: (
    <g fill="none" stroke="var(--warn-g)" stroke-width="1.5">
      <path d="M7 .9 13.6 12.6H.4z" stroke-linejoin="round" />
      <path d="M7 5v3.6M7 9.9v1.3" />
    </g>
  ),
  affected: (
    <g fill="none" stroke="var(--warn-g)" stroke-width="1.35">
      <circle cx="7" cy="7" r="5.7" />
      <path d="M4.6 4.6l4.6 4.600M9.4 5.600v3.800H5.600" />
    </g>
  ),
  no_data: <circle cx="7" cy="7" r="5.6" fill="none" stroke="var(--none-g)" stroke-width="1.5" stroke-dasharray="2 2.4" />,
  unknown: (
    <g fill="none" stroke="var(--none-g)" stroke-width="1.3">
      <circle cx="7" cy="7" r="5.7" />
      <path d="M5.2 5.6c0-2.3 3.6-2.3 3.6 0C8.8 7 7 6.9 7 8.3M7 9.8v1.2" />
    </g>
  ),
  ok: (
    <g fill="none" stroke="var(--ok)" stroke-width="1.4">
      <circle cx="7" cy="7" r="5.7" />
      <path d="M4.4 7.2 6.3 9l3.4-3.8" />
    </g>
  ),
};

export function Sign({ status, size = 14, quiet = false }: { status: Status; size?: number; quiet?: boolean }) {
  return (
    <svg class="gl" width={size} height={size} viewBox="0 0 14 14" role={quiet ? undefined : "img"} aria-hidden={quiet || undefined} aria-label={quiet ? undefined : STATUS_WORDS[status]}>
      {SHAPES[status]}
    </svg>
  );
}

export function KindGlyph({ glyph, size = 16 }: { glyph: Glyph; size?: number }) {
  return (
    <svg class="gl" width={size} height={size} viewBox="0 0 16 16" fill="none" stroke="var(--ink-2)" stroke-width="1.3" stroke-linejoin="round" aria-hidden="true">
      <path d={GLYPHS[glyph]} />
    </svg>
  );
}

export const Magnifier = ({ size = 14 }: { size?: number }) => (
  <svg class="gl" width={size} height={size} viewBox="0 0 14 14" fill="none" stroke="currentColor" stroke-width="1.5" aria-hidden="true">
    <circle cx="6" cy="6" r="4" />
    <path d="M9 9l4 4" />
  </svg>
);

export const Cross = () => (
  <svg width="12" height="12" viewBox="0 0 12 12" stroke="currentColor" stroke-width="1.6" aria-hidden="true">
    <path d="M2 2l8 8M10 2l-8 8" />
  </svg>
);
