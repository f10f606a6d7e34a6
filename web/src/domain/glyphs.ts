// The glyph of each kind of node, as paths in a square of 16: for SVG and for the canvas alike.
import type { Glyph } from "./topology";

export const GLYPHS: Record<Glyph, string> = {
  service: "M8 1.600l5.600 3.200v6.400L8 14.400l-5.600-3.200V4.800z",
  gateway: "M2 3v10M14 3v10M4.500 8h7M8.800 5.200 11.600 8l-2.800 2.800",
  database: "M3 3.700a5 2 0 1 0 10 0a5 2 0 1 0-10 0v8.600c0 1.100 2.200 2 5 2s5-.9 5-2V3.700M3 8c0 1.100 2.200 2 5 2s5-.9 5-2",
  cache: "M2 5.200 8 2.400l6 2.800-6 2.800zM2 8l6 2.800L14 8M2 10.800l6 2.800 6-2.800",
  queue: "M1.500 4.500h13v7h-13zM5.800 4.500v7M10.200 4.500v7",
  external: "M14 8A6 6 0 1 1 2 8a6 6 0 1 1 12 0zM2 8h12M8 2c-4 4-4 8 0 12M8 2c4 4 4 8 0 12",
  dns: "M2 4.500h6M2 8h9M2 11.500h6M14.200 4.500a1.700 1.700 0 1 1-3.400 0a1.700 1.700 0 1 1 3.400 0M14.200 11.500a1.700 1.700 0 1 1-3.400 0a1.700 1.700 0 1 1 3.400 0",
  clients: "M10.800 5a2.800 2.800 0 1 1-5.600 0a2.800 2.800 0 1 1 5.600 0M2.500 14c.5-3.400 2.800-5 5.500-5s5 1.600 5.500 5",
  group: "M2 5V2.500h3.500M10.500 2.500H14V5M14 11v2.500h-3.500M5.500 13.500H2V11M5.500 6h5v4h-5z",
  host: "M2 3h12v4H2zM2 9h12v4H2zM4.500 5h.1M4.500 11h.1",
};
