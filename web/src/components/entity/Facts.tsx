// What is known of a thing, in words; what is not known is left out, or said to be.
import type { ComponentChildren } from "preact";

export type Fact = [name: string, value: ComponentChildren];

export function Facts({ title, sub, facts }: { title: string; sub?: string; facts: Fact[] }) {
  const known = facts.filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== false);
  return (
    <section>
      <div class="hd"><h2>{title}</h2><span class="sub">{sub}</span></div>
      {known.length === 0 ? <p class="sub">Nothing of this is known.</p> : (
        <dl class="kv facts">{known.map(([name, value]) => [<dt key={name}>{name}</dt>, <dd key={`${name} value`}>{value}</dd>])}</dl>
      )}
    </section>
  );
}

/** A figure against its limit, as text and as a bar. */
export function Against({ value, limit, text, limitText }: { value: number | null; limit: number | null; text: string; limitText: string }) {
  if (limit === null) return <>{text}{value !== null && <span class="dim">, not limited</span>}</>;
  return (
    <span class="against">
      {value === null ? <span class="dim">at most {limitText}</span> : <>{text} of {limitText}</>}
      {value !== null && <span class="track" aria-hidden="true"><i class={value > limit * 0.9 ? "bad" : ""} style={{ width: `${Math.min(100, (value / Math.max(1e-9, limit)) * 100)}%` }} /></span>}
    </span>
  );
}
