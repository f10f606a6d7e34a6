// What somebody does who looks for the failing page of the demo: from the map to the service, to a failed trace, to the
// status. Every page is also looked at for messages on the console, for what axe finds, and for overflow.
import { createRequire } from "node:module";
import { mkdirSync, readFileSync } from "node:fs";
import { strict as assert } from "node:assert";

const [base, modules, shots] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
if (shots) mkdirSync(shots, { recursive: true });

const EDGES = ["loadgen>nginx", "nginx>web", "web>cart", "web>catalog", "web>checkout", "catalog>postgres", "checkout>postgres", "cart>redis-server"];
const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

let passed = 0;
const failed = [];
const said = [];

async function until(what, look, seconds = 60) {
  const end = Date.now() + seconds * 1000;
  let last;
  for (;;) {
    try {
      const found = await look();
      if (found) return found;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`${what}: not within ${seconds} s${last ? ` (${last.message})` : ""}`);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

async function check(name, run) {
  try {
    await run();
    passed += 1;
    console.log(`ok      ${name}`);
  } catch (error) {
    failed.push(name);
    console.log(`FAILED  ${name}: ${error.message}`);
  }
}

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

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: FLAGS });

async function open(path, scheme = "light", width = 1440) {
  const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme: scheme });
  page.on("console", (message) => said.push(`${path}: ${message.text()}`));
  page.on("pageerror", (error) => said.push(`${path}: ${error.message}`));
  await page.goto(base + path);
  return page;
}

async function shot(page, name) {
  if (shots) await page.screenshot({ path: `${shots}/${name}.png` });
}

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

await check("the service page names the failing operation and its callees", async () => {
  const page = await open("/service/default/checkout?last=5m");
  await page.getByText("POST /checkout").first().waitFor({ timeout: 20_000 });
  await page.getByRole("link", { name: "postgres" }).first().waitFor();
  await page.waitForTimeout(1000);
  await shot(page, "service-light");
  await page.close();
});

await check("a failed trace is found and opens with both views of the call", async () => {
  const page = await open("/traces?last=5m&q=service%3Acheckout%20status%3Aerror");
  const link = page.locator('a[href^="/trace/"]').first();
  await link.waitFor({ timeout: 20_000 });
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
  await page.getByText("records that found the ring buffer full").first().waitFor();
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
  await page.close();
});

for (const scheme of ["light", "dark"]) {
  for (const [name, path] of [["map", "/map?last=5m"], ["services", "/services?last=5m"], ["service", "/service/default/web?last=5m"], ["traces", "/traces?last=5m"], ["status", "/status"]]) {
    await check(`axe finds nothing on ${name}, ${scheme}; nothing overflows`, async () => {
      const page = await open(path, scheme);
      await page.waitForLoadState("networkidle").catch(() => {});
      await page.waitForTimeout(1500);
      // The page's own policy forbids scripts from elsewhere; evaluation from outside is not bound by it.
      await page.evaluate(axe);
      const found = await page.evaluate(() => globalThis.axe.run({ resultTypes: ["violations"] }));
      assert.deepEqual(found.violations.map((one) => `${one.id}: ${one.nodes[0]?.html?.slice(0, 120)}`), []);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.equal(wide, 0, `the page is ${wide} px too wide`);
      if (scheme === "dark") await shot(page, `${name}-dark`);
      await page.close();
    });
  }
}

await check("nothing is said on the browser's console", () => assert.deepEqual(said, []));
await browser.close();
console.log(`${passed} passed, ${failed.length} failed`);
process.exitCode = failed.length ? 1 : 0;
