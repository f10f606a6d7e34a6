// Is Limpid itself in order? The sign beside "Status" on every page comes from here.
import { signal } from "@preact/signals";
import type { Agent } from "../api/status";

export const degraded = signal(false);
/** Agents that no longer report. */
export const silentAgents = signal<Agent[]>([]);
/** How many processes are watched; null while it is not known. */
export const watched = signal<number | null>(null);
/** The oldest moment that the store holds, Unix seconds. */
export const oldest = signal<number | null>(null);
/** The number of findings on the map, for the tab's title. */
export const findingCount = signal(0);
