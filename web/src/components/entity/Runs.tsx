// The processes that a service ran as, newest first: each start is a restart of it, or one more beside the others.
import type { Entity } from "../../api/services";
import { clock, day, span } from "../../domain/format";
import { now } from "../../state/clock";
import { utc } from "../../state/location";
import { entityHref } from "../links";
import { Table, type Column } from "../Table";

/** Agents tell of what lives once a minute. */
const GONE_SECONDS = 180;

export const hasEnded = (entity: Entity): boolean => entity.end !== null && now.value - entity.end > GONE_SECONDS;
const when = (at: number | null): string => (at === null ? "–" : `${day(at, utc.value)} ${clock(at, utc.value)}`);

export function Runs({ runs, current }: { runs: Entity[]; current: string }) {
  const columns: Column<Entity>[] = [
    { key: "start", head: "Started", value: (run) => run.start, cell: (run) => when(run.start), first: "descending" },
    { key: "name", head: "Process", value: (run) => run.name, cell: (run) => (run.id === current ? <b>{run.name}, this one</b> : <a href={entityHref(run.id)}>{run.name}</a>) },
    { key: "version", head: "Version", optional: "h1c", value: (run) => run.attributes["service.version"], cell: (run) => run.attributes["service.version"] ?? <span class="dim">–</span> },
    { key: "end", head: "Ended", value: (run) => (hasEnded(run) ? run.end : null), cell: (run) => (hasEnded(run) ? when(run.end) : <span class="okc">runs</span>) },
    { key: "for", head: "ran for", numeric: true, value: (run) => lived(run), cell: (run) => span(lived(run)) },
  ];
  return <Table label="Starts and ends" rows={runs} columns={columns} initial={{ key: "start", direction: "descending" }} rowKey={(run) => run.id} />;
}

const lived = (run: Entity): number | null => (run.start === null ? null : ((hasEnded(run) ? run.end : now.value) ?? now.value) - run.start);
