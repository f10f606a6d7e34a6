// Looks at every page of the built console in Chromium: pictures, console messages, overflow, and what axe finds.
// `npm run build && npm run look -- DIR [--only map] [--sizes 1440x900,390x844] [--url http://127.0.0.1:7117]`
import { chromium } from "playwright-core";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { loadMock } from "./mock/load.mjs";

const option = (name, otherwise) => {
  const at = process.argv.indexOf(`--${name}`);
  return at > 0 ? process.argv[at + 1] : otherwise;
};
const out = process.argv[2] && !process.argv[2].startsWith("--") ? process.argv[2] : "shots";
const only = option("only", "");
const sizes = option("sizes", "1440x900,1100x900,390x844").split(",").map((text) => text.split("x").map(Number));
const themes = option("themes", "light,dark").split(",");
const services = Number(option("services", "0"));
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const EDGE = "edge:service:default/checkout>service:default/postgres:postgresql";
const PAGES = [
  ["map", "/map"], ["map-edge", `/map?sel=${EDGE}`], ["map-node", "/map?sel=node:service:default/checkout"], ["map-table", "/map?view=table"], ["map-filter", "/map?q=lang:go"], ["map-attr", "/map?q=attr:user.tier=gold%20web"], ["map-attr-none", "/map?q=attr:user.tier=nobody"], ["map-process", "/map?level=process"],
  ["services", "/services"], ["service", "/service/default/checkout"], ["traces", "/traces?q=service:checkout%20duration:%3E1s"], ["traces-all", "/traces"], ["trace", "/trace/7c1e40b2a9d37c1e40b2a9d37c1e40b2"], ["status", "/status"],
  ["service-past", "/service/default/checkout?vs=1d"], ["process", "/process/4f2c81/176338031807-31807"], ["host", "/host/4f2c81"], ["external", "/external/api.stripe.example:443"], ["external-gone", "/external/nobody.example:443"],
  ["map-empty", "/map", "empty"], ["map-failing", "/map", "failing"], ["traces-empty", "/traces?q=service:nobody"], ["service-empty", "/service/default/reports", "empty"], ["missing", "/nowhere"],
];

let mood = "troubled";
let base = option("url", "");
let server = null;
if (!base) {
  const { mock } = await loadMock();
  server = mock({ dist: fileURLToPath(new URL("../dist", import.meta.url)), mood: () => mood, services });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  base = `http://127.0.0.1:${server.address().port}`;
}
mkdirSync(out, { recursive: true });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
let problems = 0;
const report = (where, text) => {
  problems += 1;
  console.log(`${where}: ${text}`);
};
for (const theme of themes) {
  for (const [width, height] of sizes) {
    for (const [name, path, wanted = "troubled"] of PAGES) {
      if (only && !only.split(",").includes(name)) continue;
      mood = wanted;
      const where = `${name}-${width}-${theme}`;
      // The scripts of axe are put into the page from outside; the policy itself is tested by the console's own assets.
      const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, bypassCSP: process.argv.includes("--axe"), reducedMotion: "reduce" });
      const page = await context.newPage();
      page.on("console", (message) => (message.type() === "error" || message.type() === "warning") && wanted !== "failing" && report(where, `console: ${message.text()}`));
      page.on("pageerror", (error) => report(where, `error: ${error.message}`));
      await page.goto(base + path);
      await page.waitForTimeout(Number(option("wait", "900")));
      await page.screenshot({ path: `${out}/${where}.png` });
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (overflow > 0) report(where, `is ${overflow} px wider than the window`);
      if (process.argv.includes("--axe")) {
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() => window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
        for (const one of violations) report(where, `axe ${one.id}: ${one.help}: ${one.nodes.slice(0, 3).map((node) => `${node.target.join(" ")} ${node.failureSummary?.split("\n")[1] ?? ""}`).join(" | ")}`);
      }
      await context.close();
    }
  }
}
await browser.close();
server?.close();
console.log(problems ? `${problems} problems` : "no problem found");
process.exitCode = problems ? 1 : 0;
