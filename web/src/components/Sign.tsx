// The sign of each state. Shapes differ, so that colour is never the only difference; and the glyph of each kind.
import type { JSX } from "preact";
import { STATUS_WORDS, type Status } from "../domain/status";
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

export const GLYPHS: Record<Glyph, string> = {
  service: "M8 1.600l5.600 3.200v6.400L8 14.400l-5.600-3.200V4.800z",
  gateway: "M2 3v10M14 3v10M4.500 8h7M8.800 5.200 11.600 8l-2.800 2.800",
  database: "M3 3.700a5 2 0 1 0 10 0a5 2 0 1 0-10 0v8.600c0 1.100 2.200 2 5 2s5-.9 5-2V3.700M3 8c0 1.100 2.200 2 5 2s5-.9 5-2",
  cache: "M2 5.200 8 2.400l6 2.800-6 2.800zM2 8l6 2.800L14 8M2 10.800l6 2.800 6-2.800",
  queue: "M1.500 4.500h13v7h-13zM5.800 4.500v7M10.200 4.500v7",
  external: "M14 8A6 6 0 1 1 2 8a6 6 0 1 1 12 0zM2 8h12M8 2c-4 4-4 8 0 12M8 2c4 4 4 8 0 12",
  dns: "M2 4.500h6M2 8h9M2 11.500h6M14.200 4.500a1.700 1.700 0 1 1-3.400 0a1.700 1.700 0 1 1 3.400 0M14.200 11.500a1.700 1.700 0 1 1-3.400 0a1.700 1.700 0 1 1 3.400 0",
  clients: "M10.800 5a2.800 2.800 0 1 1-5.600 0a2.800 2.800 0 1 1 5.600 0M2.500 14c.5-3.400 2.800-5 5.500-5s5 1.600 5.500 5",
  host: "M2 3h12v4H2zM2 9h12v4H2zM4.500 5h.1M4.500 11h.1",
};

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
