// The bar on every page: pages, jump, time, theme.
import { signal } from "@preact/signals";
import { useState } from "preact/hooks";
import { between, span } from "../domain/format";
import { rangeParams, type Range } from "../domain/range";
import { pages, pageOf } from "../pages/table";
import { interval, live } from "../state/clock";
import { absoluteLink, href, hrefHere, path, range, utc } from "../state/location";
import { leave, role } from "../state/session";
import { nextTheme, theme } from "../state/theme";
import { degraded } from "../state/health";
import { Mark } from "./Mark";
import { Magnifier, Sign } from "./Sign";
import { openDialog } from "./dialogs";
import { usePopup } from "./usePopup";

export function TopBar() {
  const current = pageOf(path.value);
  return (
    <header class="top">
      <a class="brand" href={href("/map")} aria-label="limpid, to the map">
        <Mark />
        <span>limpid</span>
      </a>
      <nav class="nav" aria-label="Pages">
        {pages().map((page) => (
          <a key={page.name} href={href(page.path)} aria-current={page === current ? "page" : undefined}>
            {page.name}
            {page.path === "/status" && degraded.value && <Sign status="warning" size={12} />}
          </a>
        ))}
      </nav>
      <span class="grow" />
      <button class="jump" aria-label="Jump to a service, process, host, page or trace" onClick={() => openDialog("jump")}>
        <Magnifier />
        <span class="t">Jump to…</span>
        <span class="grow" />
        <span class="kbd">/</span>
      </button>
      <span class="sub answer" role="status">{answer.value}</span>
      <TimeButton />
      {role.value && <button class="btn" title={`Signed in as ${role.value}`} onClick={() => void leave()}>Sign out</button>}
      <button class="ib thm" aria-label={`Light or dark, now ${theme.value}`} title={`Light or dark: ${theme.value}  Shift D`} onClick={nextTheme}>
        <svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true">
          <circle cx="8" cy="8" r="5.5" fill="none" stroke="currentColor" stroke-width="1.4" />
          {theme.value === "system" ? <path d="M8 2.500a5.500 5.500 0 0 1 0 11z" fill="currentColor" /> : theme.value === "dark" ? <circle cx="8" cy="8" r="5.5" fill="currentColor" /> : null}
        </svg>
      </button>
    </header>
  );
}

const CHOICES = [300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 86_400, 7 * 86_400];

function TimeButton() {
  const { open, setOpen, box } = usePopup();
  const { start, end } = interval.value;
  return (
    <div class="times" ref={box}>
      <button class="btn" aria-haspopup="true" aria-expanded={open} onClick={() => setOpen(!open)}>
        {between(start, end, utc.value)}
        <span class="dim">{span(end - start)}</span>
      </button>
      {open && <TimeMenu close={() => setOpen(false)} />}
    </div>
  );
}

function TimeMenu({ close }: { close: () => void }) {
  const [copied, setCopied] = useState("");
  const isNow = (seconds: number) => live.value && range.value.kind === "last" && range.value.seconds === seconds;
  const last = (seconds: number): Range => ({ kind: "last", seconds });
  return (
    <div class="menu">
      {CHOICES.map((seconds) => (
        <a key={seconds} href={hrefHere(rangeParams(last(seconds)))} onClick={close} aria-current={isNow(seconds) ? "true" : undefined}>
          last {span(seconds)}
          {isNow(seconds) && <span class="dim">live</span>}
        </a>
      ))}
      <hr />
      <a href={hrefHere({ tz: utc.value ? null : "utc" })} onClick={close}>
        {utc.value ? "show times in this zone" : "show times in UTC"}
      </a>
      <button onClick={() => void copyLink().then(setCopied)}>
        {copied || "Copy link with these times"} <span class="kbd">y</span>
      </button>
    </div>
  );
}

const answer = signal("");

/** For the key, which has no place of its own to answer at: beside the times that the link holds. */
export async function answerCopy(): Promise<void> {
  answer.value = await copyLink();
  setTimeout(() => (answer.value = ""), ANSWER_MS);
}

const ANSWER_MS = 3000;

/** Answers in place: what happened is said where it was asked for. */
export async function copyLink(): Promise<string> {
  try {
    await navigator.clipboard.writeText(absoluteLink(interval.peek()));
    return "Link copied";
  } catch {
    return "The browser does not allow copying";
  }
}
