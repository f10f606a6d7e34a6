// What somebody does who looks for the failing page of the demo: from the map to the service, to a failed trace, to the
// status. Every page is also looked at for messages on the console, for what axe finds, and for overflow.
import { strict as assert } from "node:assert";
import { harness, until } from "./harness.mjs";
import { largeTrace } from "./otlp.mjs";

const [base, modules, shots, otlp] = process.argv.slice(2);
const { check, open: openAt, shot, inspect, said, end } = await harness(modules, shots);
const open = (path, ...look) => openAt(base + path, ...look);
const EDGES = ["loadgen>nginx", "nginx>web", "web>cart", "web>catalog", "web>checkout", "catalog>postgres", "checkout>postgres", "cart>redis-server"];
const short = (id) => id.replace(/^service:default\//, "").replace(/-\d+$/, "");

await check("the map's data has every edge of the demo", () =>
  until("the edges", async () => {
    const map = await (await fetch(`${base}/api/topology`)).json();
    const have = new Set(map.edges.filter((edge) => edge.requests > 0).map((edge) => `${short(edge.source)}>${short(edge.target)}`));
    const missing = EDGES.filter((edge) => !have.has(edge));
    if (missing.length) throw new Error(`missing ${missing.join(", ")}; there are ${[...have].join(", ")}`);
    return true;
  }),
);

const node = (page, name) => page.getByRole("button", { name: new RegExp(`^${name}\\b.*(,|$)`) }).first();

await check("the map shows the services, and a click tells about one", async () => {
  const page = await open("/map?last=5m");
  await node(page, "checkout").waitFor({ timeout: 20_000 });
  await node(page, "postgres").waitFor();
  await shot(page, "map-light");
  await node(page, "checkout").click();
  await page.getByRole("complementary").getByText("postgres").first().waitFor();
  assert.match(page.url(), /sel=/);
  await shot(page, "map-node-light");
  await page.close();
});

await check("nothing on the map jumps when data arrive, and no label stands on a plate or on another label", async () => {
  const page = await open("/map?last=5m");
  await node(page, "checkout").waitFor({ timeout: 20_000 });
  const places = () => page.evaluate(() => Object.fromEntries([...document.querySelectorAll("[data-node]")].map((one) => [one.getAttribute("data-node"), one.getAttribute("transform")])));
  const before = await places();
  // Two refreshes of the live map.
  for (let at = 0; at < 2; at += 1) await page.waitForResponse((answer) => answer.url().includes("/api/topology"), { timeout: 20_000 });
  await page.waitForTimeout(300);
  const after = await places();
  for (const [id, place] of Object.entries(before)) assert.equal(after[id], place, `${id} has moved`);
  const clashes = await page.evaluate(() => {
    const boxes = (selector) => [...document.querySelectorAll(selector)].map((one) => one.getBoundingClientRect());
    const labels = boxes("g.lab");
    const plates = boxes(".node .pl");
    const meet = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
    return { labels: labels.length, found: labels.flatMap((label, at) => [...plates, ...labels.slice(at + 1)].filter((other) => meet(label, other))).length };
  });
  assert.ok(clashes.labels >= 4, `only ${clashes.labels} labels`);
  assert.equal(clashes.found, 0, "labels overlap something");
  await page.close();
});

await check("the filter dims what does not match, and Enter walks through the hits", async () => {
  const page = await open("/map?last=5m");
  await node(page, "web").waitFor({ timeout: 20_000 });
  await page.keyboard.press("f");
  await page.keyboard.type("lang:go");
  await until("the filter in the address", async () => page.url().includes("q=lang:go"), 5);
  const opacity = (name) => node(page, name).getAttribute("opacity");
  await until("nginx dimmed", async () => (await opacity("nginx")) === "0.3", 5);
  assert.equal(await opacity("web"), null);
  assert.equal(await opacity("cart"), null);
  await page.keyboard.press("Enter");
  await until("a hit with the focus", () => page.evaluate(() => /^(cart|loadgen|web)\b/.test(document.activeElement?.getAttribute("aria-label") ?? "")), 5);
  await page.getByRole("search").getByRole("textbox").fill("lang:rust");
  await page.getByText("No service matches lang:rust.").waitFor();
  await page.getByRole("button", { name: "Remove it" }).click();
  await until("no filter in the address", async () => !page.url().includes("q="), 5);
  await page.close();
});

await check("a failing edge says since when, what fails with which code, and both views", async () => {
  const page = await open("/map?last=5m");
  await node(page, "checkout").click({ timeout: 20_000 });
  const panel = page.getByRole("complementary");
  await panel.getByRole("heading", { name: "Operations" }).waitFor();
  await panel.getByText("POST /checkout").first().waitFor();
  await panel.getByRole("heading", { name: "Instances" }).waitFor();
  await panel.getByRole("heading", { name: "Where the time goes" }).waitFor();
  await panel.getByRole("link", { name: "postgres" }).first().click();
  await panel.getByRole("heading", { name: /checkout\s+calls\s+postgres/ }).waitFor();
  await panel.getByText(/Failing (since|in the whole range)/).waitFor();
  await panel.getByText("INSERT INTO orders").waitFor();
  await panel.getByText("23503").waitFor();
  const rows = await panel.getByRole("row").allTextContents();
  const requests = (side) => rows.find((row) => row.includes(side))?.match(/[\d\u2009]+/)?.[0];
  assert.ok(requests("caller"), rows.join(" | "));
  await shot(page, "map-edge-light");
  await page.goBack();
  await panel.getByRole("heading", { name: "checkout", exact: true }).waitFor();
  await page.goForward();
  await panel.getByRole("heading", { name: /checkout\s+calls\s+postgres/ }).waitFor();
  await page.reload();
  await panel.getByRole("heading", { name: /checkout\s+calls\s+postgres/ }).waitFor({ timeout: 20_000 });
  await page.keyboard.press("Escape");
  await panel.getByText("likely cause first").waitFor();
  await page.close();
});

await check("findings are those that are bad themselves; what only suffers is one line", async () => {
  const page = await open("/map?last=5m");
  const findings = page.getByRole("list", { name: "What needs attention" });
  await findings.getByRole("link", { name: /checkout → postgres/ }).waitFor({ timeout: 60_000 });
  await findings.getByText("Affected by a callee:").waitFor();
  assert.equal(await findings.locator("a.f", { hasText: "nginx" }).count(), 0);
  assert.match(await page.title(), /^\(\d+\) Map/);
  await page.close();
});

await check("a caller that serves nothing shows its calls, processes have a map of their own", async () => {
  const page = await open("/map?last=5m");
  await page.getByRole("button", { name: /^loadgen .*calls [\d.]+\/s/ }).waitFor({ timeout: 20_000 });
  await page.keyboard.press("3");
  await page.waitForURL(/level=process/);
  await page.getByRole("button", { name: /^cart \d+ [\d.]+\/s/ }).waitFor({ timeout: 20_000 });
  await page.getByRole("link", { name: "Table" }).click();
  await page.getByRole("table", { name: "Edges" }).waitFor();
  await page.close();
});

await check("services are listed worst first, and links keep the time range", async () => {
  const page = await open("/services?last=5m");
  const table = page.getByRole("table", { name: "Services" });
  await table.waitFor({ timeout: 20_000 });
  const signs = await table.locator("tbody tr td:first-child svg").evaluateAll((all) => all.map((one) => one.getAttribute("aria-label")));
  const order = ["critical", "warning", "affected by a callee", "no data", "unknown, too few requests", "ok"];
  assert.deepEqual(signs, [...signs].sort((a, b) => order.indexOf(a) - order.indexOf(b)));
  await table.getByRole("link", { name: "checkout" }).click();
  await page.waitForURL(/\/service\/default\/checkout\?last=5m/);
  await page.getByRole("link", { name: "Show on map" }).click();
  await page.waitForURL(/\/map\?last=5m&sel=node/);
  await page.close();
});

await check("the service page names the failing operation and its callees", async () => {
  const page = await open("/service/default/checkout?last=5m");
  await page.getByRole("table", { name: "Operations" }).first().getByRole("link", { name: "POST /checkout" }).first().waitFor({ timeout: 20_000 });
  await page.getByRole("link", { name: "postgres" }).first().waitFor();
  const context = page.getByRole("complementary");
  await context.getByRole("heading", { name: "Where the time goes" }).waitFor();
  await context.getByText("itself").waitFor();
  await page.getByRole("table", { name: "Operations" }).first().getByText(/\d\s?%/).first().waitFor();
  await page.waitForTimeout(1000);
  await shot(page, "service-light");
  await page.close();
});

const heat = (page, name) => page.getByRole("application", { name });

await check("a part of the heat map leads to the traces behind it", async () => {
  const page = await open("/service/default/catalog?last=5m");
  const map = heat(page, /^Latency of requests of catalog: [\d\s]+ requests/);
  await map.waitFor({ timeout: 20_000 });
  assert.ok((await map.locator("svg > path:not(.mark)").count()) >= 2, "the heat map has cells of more than one depth");
  await map.scrollIntoViewIfNeeded();
  const box = await map.boundingBox();
  await page.mouse.move(box.x + box.width * 0.4, box.y + 2);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width - 2, box.y + box.height - 24, { steps: 5 });
  await page.getByText(/^Selected: [\d\u2009]+ requests/).first().waitFor();
  await page.mouse.up();
  await page.waitForURL(/\/traces\?.*sel=/);
  await page.getByText(/traces? selected/).waitFor({ timeout: 20_000 });
  await page.locator('a[href^="/trace/"]').first().waitFor();
  await page.getByRole("heading", { name: "What sets these traces apart" }).waitFor();
  await page.close();
});

await check("the heat map can be used with the keyboard, and narrowed to one operation", async () => {
  const page = await open("/service/default/catalog?last=5m");
  const operation = page.getByRole("combobox", { name: "Operation" });
  await operation.waitFor({ timeout: 20_000 });
  const name = await operation.locator("option").nth(1).textContent();
  await operation.selectOption({ label: name });
  await until("the operation in the address", async () => new URL(page.url()).searchParams.get("op") === name, 5);
  const map = heat(page, /^Latency of requests of catalog, /);
  await map.waitFor();
  await map.focus();
  await page.keyboard.press("ArrowLeft");
  await page.getByText(/^Selected: [\d\u2009]+ requests?/).first().waitFor();
  await page.keyboard.press("Shift+ArrowLeft");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/traces\?.*operation.*sel=/);
  await page.close();
});

await check("a service is compared with another time, which stands in the link and goes along", async () => {
  const page = await open("/service/default/web?last=1m");
  await page.getByRole("table", { name: "Operations" }).first().waitFor({ timeout: 20_000 });
  await page.keyboard.press("c");
  await page.waitForURL(/vs=1d/);
  await page.getByText(/^Nothing is known of this service in .*, yesterday\./).waitFor({ timeout: 20_000 });
  await page.getByRole("button", { name: /^Compare/ }).click();
  await page.getByRole("link", { name: "the time just before" }).click();
  await page.waitForURL(/vs=1m/);
  // The demo may not have run for so long yet.
  await page.getByText(/1\smin before [\d.]+\/s/).waitFor({ timeout: 120_000 });
  await page.getByRole("columnheader", { name: /p95 1\smin before/ }).first().waitFor();
  await page.getByRole("link", { name: /^Changes/ }).click();
  await page.getByText(/and against/).waitFor();
  await page.keyboard.press("c");
  await until("no comparison in the address", async () => !page.url().includes("vs="), 5);
  await page.close();
});

await check("facets count all traces of the range, and a value narrows the search", async () => {
  const page = await open("/traces?last=5m&q=service%3Acheckout%20status%3Aerror");
  const facets = page.getByRole("region", { name: "How the traces spread" });
  await facets.getByRole("heading", { name: "What sets these traces apart" }).waitFor({ timeout: 20_000 });
  await facets.getByRole("heading", { name: "Failed at" }).waitFor();
  await facets.getByText(/selected against [\d\u2009]+ others?/).waitFor();
  const result = facets.locator("a.fv", { hasText: /^500/ }).first();
  const counted = Number((await result.textContent()).replace(/^500/, "").replace(/\D/g, ""));
  assert.ok(counted > 0, "the facet counts");
  await result.click();
  await page.waitForURL(/code:500/);
  await page.getByRole("button", { name: "Remove code:500" }).waitFor();
  const said = () => page.getByText(/traces? selected/).first().textContent();
  await until("only what was counted", async () => Number((await said()).replace(/^([\d\u2009]+).*/, "$1").replace(/\D/g, "")) >= counted, 10);
  await page.close();
});

await check("a trace of ten thousand calls is drawn row by row, and its overview scrolls it", async () => {
  const id = "0af7651916cd43dd8448eb211c80319c";
  const answer = await fetch(`${otlp}/v1/traces`, { method: "POST", headers: { "content-type": "application/x-protobuf" }, body: largeTrace(id, 10_000) });
  assert.equal(answer.status, 200, await answer.text());
  const page = await open(`/trace/${id}`);
  const grid = page.getByRole("treegrid");
  await grid.waitFor({ timeout: 20_000 });
  await page.getByText(/10.000 calls/).waitFor();
  const rows = () => grid.getByRole("row").count();
  assert.ok((await rows()) < 150, `${await rows()} rows are drawn`);
  await grid.getByText("× 5\u2009000").waitFor();
  const overview = page.getByRole("scrollbar", { name: "Overview of the trace" });
  await overview.focus();
  await page.keyboard.press("End");
  await grid.getByText("SELECT price_9999").waitFor();
  assert.ok(Number(await overview.getAttribute("aria-valuenow")) > 4000);
  assert.ok((await rows()) < 150, `${await rows()} rows are drawn at the end`);
  await page.getByRole("button", { name: "Slow and failed first" }).click();
  await page.keyboard.press("Home");
  await overview.focus();
  await page.keyboard.press("Home");
  await grid.getByRole("row").nth(2).getByText("SELECT price_9999").waitFor();
  await grid.getByText("SELECT price_9999").click();
  await page.getByRole("complementary").getByRole("button", { name: "Copy as SQL" }).waitFor();
  assert.match(page.url(), /order=worst&span=|span=.*order=worst/);
  await shot(page, "trace-large-light");
  await page.close();
});

await check("process and host have pages of their own, linked from the service", async () => {
  const page = await open("/service/default/cart?last=5m");
  await page.getByRole("table", { name: "Instances" }).getByRole("link").first().click({ timeout: 20_000 });
  await page.waitForURL(/\/process\/[^/]+\/\d+-\d+/);
  const facts = page.getByRole("region", { name: /^cart/ });
  await facts.getByText("command line").waitFor({ timeout: 20_000 });
  await facts.getByText("open files").waitFor();
  await facts.getByRole("table", { name: "Open connections" }).getByText("redis-server").first().waitFor({ timeout: 20_000 });
  await facts.getByRole("table", { name: "Requests" }).waitFor();
  await facts.getByText(/this one|Nothing is known/).first().waitFor();
  await shot(page, "process-light");
  await facts.locator('a[href^="/host/"]').first().click();
  await page.waitForURL(/\/host\//);
  const processes = page.getByRole("table", { name: "Processes" });
  await processes.getByRole("link", { name: "checkout" }).first().waitFor({ timeout: 20_000 });
  await page.getByText("kernel", { exact: true }).waitFor();
  await shot(page, "host-light");
  await page.goto(`${base}/external/198.51.100.7:443?last=5m`);
  await page.getByRole("heading", { name: "The endpoint is not known" }).waitFor({ timeout: 20_000 });
  await page.close();
});

await check("a table can be copied for a spreadsheet", async () => {
  const page = await open("/services?last=5m");
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.getByRole("table", { name: "Services" }).waitFor({ timeout: 20_000 });
  await page.getByRole("button", { name: /^Copy as TSV/ }).click();
  await page.getByRole("button", { name: /^Copied/ }).waitFor();
  const lines = (await page.evaluate(() => navigator.clipboard.readText())).trim().split("\n");
  assert.match(lines[0], /^State\tService\t/);
  assert.ok(lines.some((line) => line.split("\t")[1] === "checkout"), lines.join(" | "));
  await page.close();
});

await check("a failed trace is found and opens with both views of the call", async () => {
  const page = await open("/traces?last=5m&q=service%3Acheckout%20status%3Aerror");
  const link = page.locator('a[href^="/trace/"]').first();
  await link.waitFor({ timeout: 20_000 });
  await page.getByRole("heading", { name: "Result", exact: true }).waitFor({ timeout: 20_000 });
  await page.getByRole("table", { name: "Traces" }).getByText(/(500|23503)\s*$/).first().waitFor();
  await shot(page, "traces-light");
  await link.click();
  await page.waitForURL(/\/trace\/[0-9a-f]{32}/);
  await page.getByRole("treegrid").first().waitFor();
  await shot(page, "trace-light");
  await page.close();
});

await check("the status page says what runs and what was lost", async () => {
  const page = await open("/status");
  await page.getByText("tp_send").or(page.getByText("fexit_inet_sendmsg")).first().waitFor({ timeout: 30_000 });
  await page.getByText("seen and measured").waitFor();
  await page.getByRole("table", { name: "Protocols" }).getByText("HTTP").waitFor();
  await page.getByText("Limpid's own processes").waitFor();
  await page.getByRole("table", { name: "What the store holds" }).getByText("metrics").waitFor();
  await page.getByText(/\d+ causes? that did not happen/).click();
  await page.getByText("records that found the ring buffer full").first().waitFor();
  assert.equal(await page.getByText("silent").count(), 0, "the agent reports");
  await shot(page, "status-light");
  await page.close();
});

await check("the keyboard leads from page to page", async () => {
  const page = await open("/map?last=5m");
  await node(page, "web").waitFor({ timeout: 20_000 });
  await page.keyboard.press("g");
  await page.keyboard.press("s");
  await page.waitForURL(/\/services/);
  await page.keyboard.press("g");
  await page.keyboard.press("u");
  await page.waitForURL(/\/status/);
  await page.keyboard.press("g");
  await page.keyboard.press("m");
  await node(page, "web").waitFor({ timeout: 20_000 });
  await node(page, "web").focus();
  await page.keyboard.press("ArrowDown");
  await until("a callee with the focus", () => page.evaluate(() => /^(cart|catalog|checkout)\b/.test(document.activeElement?.getAttribute("aria-label") ?? "")), 5);
  await page.keyboard.press("ArrowUp");
  await until("the caller with the focus", () => page.evaluate(() => document.activeElement?.getAttribute("aria-label")?.startsWith("web ")), 5);
  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Keys" }).getByText("find on the page").waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.press("/");
  await page.keyboard.type("post");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/service\/default\/postgres/);
  await page.keyboard.press("/");
  await page.keyboard.type("cart ");
  await page.getByRole("dialog").getByRole("option", { name: /^cart \d+/ }).or(page.getByRole("dialog").getByRole("link", { name: /^cart \d+/ })).first().click();
  await page.waitForURL(/\/process\//);
  await page.close();
});

await check("an empty range says when the last request was, and leads there", async () => {
  const start = Math.floor(Date.now() / 1000) - 40 * 3600;
  const page = await open(`/map?start=${start}&end=${start + 600}`);
  await page.getByText(/^No requests in/).waitFor({ timeout: 20_000 });
  await page.getByText(/the last request was at/).waitFor();
  await page.getByRole("button", { name: "Go there" }).click();
  await node(page, "web").waitFor({ timeout: 20_000 });
  await page.close();
});

await check("while the server is away nothing is cleared, and it is said once", async () => {
  const page = await open("/service/default/web?last=5m");
  await page.getByRole("table", { name: "Operations" }).first().waitFor({ timeout: 20_000 });
  const quiet = said.length;
  await page.context().setOffline(true);
  await page.getByText(/^No answer from the server for .*Trying again\.$/).waitFor({ timeout: 30_000 });
  assert.equal(await page.getByText(/No answer from the server/).count(), 1);
  await page.getByRole("table", { name: "Operations" }).first().waitFor();
  await page.context().setOffline(false);
  await page.getByText(/No answer from the server/).waitFor({ state: "detached", timeout: 30_000 });
  // The browser itself reports each request that found no network.
  said.splice(quiet);
  await page.close();
});

const processes = (await (await fetch(`${base}/api/topology?level=process`)).json()).nodes.filter((one) => one.kind === "process");
const cart = processes.find((one) => one.name === "cart") ?? processes[0];
/** Pages of things, whose ids only this machine knows. */
const things = [`/${cart.id.replace(":", "/")}?last=5m`, `/${cart.attributes["limpid.host"].replace(":", "/")}?last=5m`];

await check("at twice the size, and on a narrow window, nothing is cut off", async () => {
  for (const [width, height] of [[720, 450], [320, 700]]) {
    for (const path of ["/map?last=5m", "/services?last=5m", "/service/default/web?last=5m&vs=5m", "/traces?last=5m", "/trace/0af7651916cd43dd8448eb211c80319c", "/status", ...things]) {
      const page = await open(path, "light", width, height);
      await page.waitForTimeout(1200);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.equal(wide, 0, `${path} is ${wide} px too wide at ${width}`);
      await page.close();
    }
  }
});

for (const scheme of ["light", "dark"]) {
  for (const [name, path] of [["map", "/map?last=5m"], ["services", "/services?last=5m"], ["service", "/service/default/web?last=5m"], ["traces", "/traces?last=5m&q=status:error"], ["trace", "/trace/0af7651916cd43dd8448eb211c80319c"], ["status", "/status"], ["process", things[0]], ["host", things[1]]]) {
    await check(`axe finds nothing on ${name}, ${scheme}; nothing overflows`, async () => {
      const page = await open(path, scheme);
      await page.waitForLoadState("networkidle").catch(() => {});
      await page.waitForTimeout(1500);
      await inspect(page);
      if (scheme === "dark") await shot(page, `${name}-dark`);
      await page.close();
    });
  }
}

await end();
