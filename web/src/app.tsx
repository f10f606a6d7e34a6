// The shell: bar, ribbon, the page, and the keys that work everywhere.
import { useEffect } from "preact/hooks";
import { signInNeeded } from "./api/http";
import { fetchStatus } from "./api/status";
import { Dialogs, openDialog } from "./components/dialogs";
import { Ribbon } from "./components/Ribbon";
import { AwayLine, Center, PartialLine } from "./components/states";
import { answerCopy, TopBar } from "./components/TopBar";
import { isDegraded } from "./domain/health";
import { scale, shift } from "./domain/range";
import { LoginPage } from "./pages/login";
import { componentOf, pageOf, pages } from "./pages/table";
import { interval, now, pausedOrLive } from "./state/clock";
import { degraded, findingCount, oldest, silentAgents, watched } from "./state/health";
import { useKeys, type Key } from "./state/keys";
import { go, href, path, range, setRange } from "./state/location";
import { useQuery } from "./state/query";
import { nextTheme } from "./state/theme";

const globalKeys = (): Key[] => [
  { keys: "/", what: "jump to anything", run: () => openDialog("jump") },
  ...pages().map((page) => ({ keys: `g ${page.key}`, what: page.name, run: () => go(href(page.path)) })),
  { keys: "[", what: "earlier", run: () => setRange(shift(interval.peek(), -1, now.peek())) },
  { keys: "]", what: "later", run: () => setRange(shift(interval.peek(), 1, now.peek())) },
  { keys: "+", what: "longer range", run: () => setRange(scale(range.peek(), interval.peek(), 1)) },
  { keys: "-", what: "shorter range", run: () => setRange(scale(range.peek(), interval.peek(), -1)) },
  { keys: "p", what: "pause, or go on live", run: () => setRange(pausedOrLive()) },
  { keys: "y", what: "copy link with these times", run: () => void answerCopy() },
  { keys: "Shift D", what: "light or dark", run: nextTheme },
  { keys: "?", what: "this list", run: () => openDialog("keys") },
];

export const App = () => (signInNeeded.value ? <LoginPage /> : <Console />);

function Console() {
  useKeys(globalKeys, []);
  useHealth();
  const page = pageOf(path.value);
  const Content = componentOf(path.value);
  useEffect(() => {
    const found = page?.path === "/map" && findingCount.value > 0 ? `(${findingCount.value}) ` : "";
    document.title = `${found}${page?.name ?? "Not found"} · limpid`;
  }, [page, findingCount.value]);
  return (
    <>
      <a class="skip" href="#main">
        Skip to content
      </a>
      <TopBar />
      <Ribbon />
      <AwayLine />
      {page && page.path !== "/status" && <PartialLine />}
      <main id="main" tabIndex={-1}>
        {Content ? <Content /> : <NotFound />}
      </main>
      <Dialogs />
    </>
  );
}

function useHealth(): void {
  const status = useQuery("health", String(Math.floor(now.value / 15)), fetchStatus);
  useEffect(() => {
    degraded.value = status.error !== null || (status.data !== null && isDegraded(status.data));
    if (!status.data) return;
    silentAgents.value = status.data.agents.filter((agent) => agent.silent);
    watched.value = status.data.processes;
    oldest.value = status.data.store?.oldest ?? null;
  }, [status.data, status.error]);
}

const NotFound = () => (
  <Center>
    <h1>There is no page at {path.value}</h1>
    <p>
      <a href={href("/map")}>To the map</a>
    </p>
  </Center>
);
