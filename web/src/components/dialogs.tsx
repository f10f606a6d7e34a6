// The two dialogs that are on every page: jump to anything (`/`) and the list of keys (`?`).
import { signal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { fetchTopology } from "../api/topology";
import { worstFirst } from "../domain/status";
import { glyphOf, type Glyph, type MapNode } from "../domain/topology";
import { isTraceId } from "../domain/tracequery";
import { pages } from "../pages/table";
import { interval } from "../state/clock";
import { shownKeys } from "../state/keys";
import { go, href } from "../state/location";
import { useQuery } from "../state/query";
import { entityHref } from "./links";
import { KindGlyph, Magnifier, Sign } from "./Sign";

type Which = "jump" | "keys";
const open = signal<Which | null>(null);
export const openDialog = (which: Which): void => {
  open.value = which;
};

export function Dialogs() {
  if (open.value === "jump") return <Jump />;
  return open.value === "keys" ? <KeyList /> : null;
}

function Dialog({ which, label, children }: { which: Which; label: string; children: ComponentChildren }) {
  const box = useRef<HTMLDialogElement>(null);
  // Before anything else is typed: the next key belongs to the dialog.
  useLayoutEffect(() => {
    const before = document.activeElement;
    box.current?.showModal();
    return () => (before instanceof HTMLElement ? before.focus() : undefined);
  }, []);
  // The browser tells of a close later: by then another dialog may be open.
  const close = () => {
    if (open.value === which) open.value = null;
  };
  return (
    <dialog ref={box} aria-label={label} onClose={close} onClick={(event) => event.target === box.current && close()}>
      {children}
    </dialog>
  );
}

interface Target {
  name: string;
  what: string;
  href: string;
  sign?: MapNode["status"];
  glyph?: Glyph;
}

const MOST = 60;

function targets(services: MapNode[], text: string): Target[] {
  const wanted = text.trim().toLowerCase();
  const found: Target[] = [];
  if (isTraceId(wanted)) found.push({ name: wanted, what: "trace", href: href(`/trace/${wanted}`) });
  for (const page of pages()) found.push({ name: page.name, what: "page", href: href(page.path) });
  for (const node of services) {
    found.push({ name: node.name, what: node.kind, href: entityHref(node.id), sign: node.status, glyph: glyphOf(node, []) });
  }
  return found.filter((one) => one.name.toLowerCase().includes(wanted)).slice(0, MOST);
}

/** Everything that has a page: services and what is outside first, then processes and hosts. */
async function fetchThings(signal: AbortSignal): Promise<MapNode[]> {
  const levels = await Promise.all((["service", "process", "host"] as const).map((level) => fetchTopology(interval.peek(), level, signal)));
  const all = levels.flatMap((topology) => [...topology.nodes].sort(worstFirst));
  return [...new Map(all.map((node) => [node.id, node])).values()];
}

function Jump() {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const services = useQuery("jump", "", (signal) => fetchThings(signal));
  const list = targets(services.data ?? [], text);
  const chosen = list[Math.min(at, list.length - 1)];
  // Who types faster than the services come means the one that will stand first.
  const [entered, setEntered] = useState(false);
  const known = Boolean(services.data ?? services.error);
  const jump = () => {
    if (!chosen) return;
    open.value = null;
    go(chosen.href);
  };
  useEffect(() => {
    if (entered && known) jump();
  }, [entered, known]);
  const keys = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      setAt(Math.max(0, Math.min(list.length - 1, at + (event.key === "ArrowDown" ? 1 : -1))));
    }
    if (event.key === "Enter") setEntered(true);
  };
  return (
    <Dialog which="jump" label="Jump">
      <div class="ji">
        <Magnifier />
        <input
          autofocus aria-label="Service, process, host, page or trace id" placeholder="Service, process, host, page or trace id" value={text} onKeyDown={keys} spellcheck={false}
          onInput={(event) => {
            setText(event.currentTarget.value);
            setAt(0);
            setEntered(false);
          }}
        />
      </div>
      <div class="jl">
        {list.map((one) => (
          <a key={one.href} href={one.href} aria-current={one === chosen ? "true" : undefined} class={one === chosen ? "on" : ""} onClick={() => (open.value = null)}>
            {one.sign && one.sign !== "ok" ? <Sign status={one.sign} /> : one.glyph ? <KindGlyph glyph={one.glyph} size={14} /> : <span />}
            <span class="el">{one.name}</span>
            <span class="dim">{one.what}</span>
          </a>
        ))}
        {list.length === 0 && <div class="pad dim">Nothing is called “{text}”. A trace is opened by its whole id.</div>}
        {services.error && <div class="pad dim">Services cannot be read: {services.error.message}.</div>}
      </div>
    </Dialog>
  );
}

function KeyList() {
  return (
    <Dialog which="keys" label="Keys">
      <div class="ji">
        <h2 style={{ lineHeight: "40px" }}>Keys</h2>
      </div>
      <div class="keys">
        {shownKeys.value.map((key) => (
          <div key={key.keys}>
            <span>{key.what}</span>
            <span class="kbd">{key.keys}</span>
          </div>
        ))}
      </div>
    </Dialog>
  );
}
