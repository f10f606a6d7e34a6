// How the traces found spread over what is known of them, as the server counts it; a click narrows the search, a
// second look shows more values. Of a selection: what sets it apart.
import type { Difference, Exploration, Facet, FacetValue } from "../../api/facets";
import { facetOf, valueName } from "../../domain/facets";
import { count, MISSING, plural, share } from "../../domain/format";
import { hasTerm, term, withTerm, without } from "../../domain/tracequery";
import { hrefHere } from "../../state/location";

interface Props {
  found: Exploration;
  text: string;
  by: string;
}

export function Facets({ found, text, by }: Props) {
  return (
    <div class="col fc" tabIndex={0} role="region" aria-label="How the traces spread">
      {found.selects && <SetApart found={found} text={text} />}
      {found.facets.map((facet) => <FacetPart key={facet.key} facet={facet} all={found.selected} text={text} by={by} />)}
      {found.facets.length === 0 && <p class="sub">Nothing that is known of these traces differs.</p>}
    </div>
  );
}

function FacetPart({ facet, all, text, by }: { facet: Facet; all: number; text: string; by: string }) {
  const { name, own } = facetOf(facet.key);
  const more = facet.distinct - facet.values.length;
  const unknown = all - facet.traces;
  return (
    <section>
      <h2 class={own ? "" : "mono el"} title={own ? undefined : name}>{name}</h2>
      {facet.values.map((value) => <Line key={value.value} facet={facet} value={value} all={all} text={text} />)}
      {unknown > 0 && facet.key !== "limpid.failed_at" && <div class="fv dim"><span>not known</span><span /><span class="num">{count(unknown)}</span></div>}
      {more > 0 && <a class="sub" href={hrefHere({ by: facet.key })}>{plural(more, "more value")}</a>}
      {by === facet.key && <a class="sub" href={hrefHere({ by: null })}>Fewer values</a>}
    </section>
  );
}

function Line({ facet, value, all, text }: { facet: Facet; value: FacetValue; all: number; text: string }) {
  const key = facetOf(facet.key).term;
  const name = valueName(facet.key, value.value);
  const content = (
    <>
      <span class="el" title={value.value}>{name || MISSING}</span>
      <span class="track" aria-hidden="true"><i class={value.failed * 2 >= value.traces ? "bad" : ""} style={{ width: `${(value.traces / Math.max(1, all)) * 100}%` }} /></span>
      <span class="num">{count(value.traces)}</span>
    </>
  );
  if (!key || value.value === "") return <div class="fv">{content}</div>;
  if (hasTerm(text, key, value.value)) return <a class="fv on" aria-label={`Remove ${term(key, value.value)}`} href={hrefHere({ q: without(text, term(key, value.value)) })}>{content}</a>;
  return <a class="fv" href={hrefHere({ q: withTerm(text, key, value.value) })}>{content}</a>;
}

function SetApart({ found, text }: { found: Exploration; text: string }) {
  const others = found.traces - found.selected;
  return (
    <section class="apart">
      <h2>What sets these traces apart</h2>
      <p class="sub">{count(found.selected)} selected against {plural(others, "other")}</p>
      {others === 0 || found.selected === 0 ? <p class="sub">There is nothing to compare with.</p>
        : found.apart.length === 0 && <p class="sub">Nothing that is known of them differs by more than a tenth.</p>}
      {found.apart.map((one) => <ApartLine key={one.key + one.value} one={one} text={text} />)}
    </section>
  );
}

function ApartLine({ one, text }: { one: Difference; text: string }) {
  const { name, term: key } = facetOf(one.key);
  const value = <b title={one.value}>{valueName(one.key, one.value)}</b>;
  return (
    <div class="ap">
      <span class="el"><span class="dim" title={name}>{name}</span><br />{key ? <a href={hrefHere({ q: withTerm(text, key, one.value) })}>{value}</a> : value}</span>
      <span aria-hidden="true"><i style={{ width: `${one.selected * 100}%` }} /><i class="o" style={{ width: `max(1px, ${one.others * 100}%)` }} /></span>
      <span class="num"><b>{share(one.selected)}</b><br /><span class="dim">{share(one.others)}</span></span>
    </div>
  );
}
