// How the traces found spread over their properties; a click narrows the search. Of a selection: what sets it apart.
import type { TraceSummary } from "../../api/traces";
import { apart, FACETS, values, type Facet, type Value } from "../../domain/facets";
import { count, MISSING, share } from "../../domain/format";
import { hasTerm, withTerm } from "../../domain/tracequery";
import { hrefHere } from "../../state/location";

interface Props {
  traces: TraceSummary[];
  text: string;
  selected: TraceSummary[] | null;
}

export function Facets({ traces, text, selected }: Props) {
  const ids = new Set(selected?.map((trace) => trace.id));
  return (
    <div class="col fc" tabIndex={0} role="region" aria-label="How the traces spread">
      {selected && <SetApart selected={selected} others={traces.filter((trace) => !ids.has(trace.id))} />}
      {FACETS.map((facet) => (
        <section key={facet.key}>
          <h2>{facet.name}</h2>
          {values(selected ?? traces, facet).map((value) => (
            <Line key={value.value} facet={facet} value={value} all={(selected ?? traces).length} text={text} />
          ))}
        </section>
      ))}
    </div>
  );
}

function Line({ facet, value, all, text }: { facet: Facet; value: Value; all: number; text: string }) {
  const content = (
    <>
      <span class="el" title={value.value}>{value.value || MISSING}</span>
      <span class="track" aria-hidden="true"><i class={value.failed * 2 >= value.count ? "bad" : ""} style={{ width: `${(value.count / Math.max(1, all)) * 100}%` }} /></span>
      <span class="num">{count(value.count)}</span>
    </>
  );
  const isSearchable = facet.term !== null && value.value !== "" && !(facet.term === "code" && /^(ok|failed)$/.test(value.value));
  if (!isSearchable || !facet.term || hasTerm(text, facet.term, value.value)) return <div class="fv">{content}</div>;
  // The root's name is the name of a span: "GET /" is looked for as it stands.
  const key = facet.key === "root" ? "name" : facet.term;
  return <a class="fv" href={hrefHere({ q: withTerm(text, key, value.value), sel: null })}>{content}</a>;
}

function SetApart({ selected, others }: { selected: TraceSummary[]; others: TraceSummary[] }) {
  const found = apart(selected, others);
  return (
    <section class="apart">
      <h2>What sets these traces apart</h2>
      <p class="sub">{count(selected.length)} selected against {count(others.length)} others</p>
      {found.length === 0 && <p class="sub">Nothing that is known of them differs by more than a tenth.</p>}
      {found.map((one) => (
        <div key={one.facet + one.value} class="ap">
          <span class="el"><span class="dim">{one.facet.toLowerCase()}</span><br /><b title={one.value}>{one.value}</b></span>
          <span aria-hidden="true"><i style={{ width: `${one.selected * 100}%` }} /><i class="o" style={{ width: `max(1px, ${one.others * 100}%)` }} /></span>
          <span class="num"><b>{share(one.selected)}</b><br /><span class="dim">{share(one.others)}</span></span>
        </div>
      ))}
    </section>
  );
}
