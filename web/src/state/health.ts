// Is Limpid itself in order? The sign beside "Status" on every page comes from here.
import { signal } from "@preact/signals";

export const degraded = signal(false);
/** The number of findings on the map, for the tab's title. */
export const findingCount = signal(0);
