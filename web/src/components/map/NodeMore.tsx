// Operations and instances of a selected service, read when it is looked at.
import { fetchOperations, fetchRelated } from "../../api/services";
import { count, plural, span } from "../../domain/format";
import { interval, now } from "../../state/clock";
import { href } from "../../state/location";
import { useQuery } from "../../state/query";
import { slowMoment, subject } from "../../state/subject";
import { serviceHref } from "../links";
import { operationName } from "../service/tables";
import { FailureLine } from "../states";
import { CarriedTable } from "./EdgeMore";

const MOST = 8;

export function NodeOperations({ scope, name }: { scope: string; name: string }) {
  const query = useQuery(subject(`operations ${scope}/${name}`), slowMoment(10), (signal) => fetchOperations(scope, name, interval.peek(), signal));
  const rows = (query.data ?? [])
    .filter((row) => (row.requests ?? 0) > 0)
    .map((row) => ({ name: operationName(row), rate: row.rate ?? 0, errorRatio: row.errorRatio ?? 0, p95: row.p95, codes: [] }))
    .sort((a, b) => b.errorRatio - a.errorRatio || (b.p95 ?? 0) - (a.p95 ?? 0));
  if (rows.length === 0 && !query.error) return null;
  return (
    <div class="sec">
      <div class="hd"><h2>Operations</h2><span class="sub">failing and slow first</span></div>
      <FailureLine what="Operations" query={query} />
      <CarriedTable rows={rows.slice(0, MOST)} />
      {rows.length > MOST && <p class="sub"><a href={serviceHref(scope, name)}>{plural(rows.length - MOST, "more operation")}</a></p>}
    </div>
  );
}

export function NodeInstances({ id }: { id: string }) {
  const query = useQuery(subject(`instances ${id}`), slowMoment(15), (signal) => fetchRelated(id, "instances", interval.peek(), signal));
  const all = query.data ?? [];
  if (all.length === 0) return null;
  return (
    <div class="sec">
      <div class="hd"><h2>Instances</h2><span class="sub">{count(all.length)}</span></div>
      <dl class="kv">
        {all.slice(0, MOST).map((one) => [
          <dt key={one.id}><a href={href("/map", { level: "process", sel: `node:${one.id}` })}>{one.name}</a></dt>,
          <dd key={`${one.id} where`}>
            {[one.attributes["host.name"], one.attributes["limpid.listen"]].filter(Boolean).join(" ")}
            {one.start !== null && <span class="dim"> seen for {span(Math.max(0, Math.min(one.end ?? now.value, now.value) - one.start))}</span>}
          </dd>,
        ])}
      </dl>
      {all.length > MOST && <p class="sub">{plural(all.length - MOST, "more instance")}</p>}
    </div>
  );
}
