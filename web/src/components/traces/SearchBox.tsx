// The search as chips: each part can be seen and removed; Enter adds what is typed, a trace id opens the trace.
import { useState } from "preact/hooks";
import { hasTerm, isTraceId, parseChips, withTerm, without } from "../../domain/tracequery";
import { go, setParams } from "../../state/location";
import { useKeys } from "../../state/keys";
import { useRef } from "preact/hooks";
import { traceHref } from "../links";
import { Cross } from "../Sign";

export function SearchBox({ query, suggested }: { query: string; suggested: string[] }) {
  const [text, setText] = useState("");
  const input = useRef<HTMLInputElement>(null);
  const chips = parseChips(query);
  const search = (q: string) => setParams({ q, sel: null }, "push");
  const failedOnly = hasTerm(query, "status", "error");
  useKeys(() => [{ keys: "f", what: "find on the page", run: () => input.current?.focus() }], []);
  const keys = (event: KeyboardEvent) => {
    if (event.key === "Backspace" && text === "" && chips.length > 0) search(without(query, chips.at(-1)?.text ?? ""));
    if (event.key !== "Enter" || text.trim() === "") return;
    if (isTraceId(text)) go(traceHref(text.trim().toLowerCase()));
    else search([query, text.trim()].filter(Boolean).join(" "));
    setText("");
  };
  return (
    <div class="q" role="search">
      <div class="qi">
        {chips.map((chip) => (
          <span key={chip.text} class="chip">
            {chip.key} <b>{chip.value}</b>
            <button aria-label={`Remove ${chip.text}`} onClick={() => search(without(query, chip.text))}><Cross /></button>
          </span>
        ))}
        <input ref={input} value={text} list="suggested" autocomplete="off" spellcheck={false} aria-label="Add to the search" placeholder={chips.length ? "Add: attribute, value or trace id" : "service:checkout duration:>1s status:error, or a trace id"} onKeyDown={keys} onInput={(event) => setText(event.currentTarget.value)} />
        <datalist id="suggested">{suggested.map((one) => <option key={one} value={one} />)}</datalist>
      </div>
      <button class="btn on" aria-pressed={failedOnly} onClick={() => search(failedOnly ? without(query, "status:error") : withTerm(query, "status", "error"))}>Failed only</button>
      <button class="btn on" aria-pressed={hasTerm(query, "duration", ">1s")} onClick={() => search(hasTerm(query, "duration", ">1s") ? without(query, "duration:>1s") : withTerm(query, "duration", ">1s"))}>Over 1 s</button>
    </div>
  );
}
