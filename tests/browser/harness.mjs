// What a test in the browser needs: Chromium, checks with names, and waiting for something to be so.
import { createRequire } from "node:module";
import { mkdirSync, readFileSync } from "node:fs";
import { strict as assert } from "node:assert";

const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

export async function until(what, look, seconds = 60) {
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

export async function harness(modules, shots) {
  const require = createRequire(`${modules}/`);
  const { chromium } = require("playwright-core");
  const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
  if (shots) mkdirSync(shots, { recursive: true });
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: FLAGS });
  const said = [];
  const failed = [];
  let passed = 0;
  return {
    /** What the pages have said on the browser's console. */
    said,
    async check(name, run) {
      try {
        await run();
        passed += 1;
        console.log(`ok      ${name}`);
      } catch (error) {
        failed.push(name);
        console.log(`FAILED  ${name}: ${error.message}`);
      }
    },
    async open(address, scheme = "light", width = 1440, height = 900) {
      const page = await browser.newPage({ viewport: { width, height }, colorScheme: scheme });
      page.on("console", (message) => said.push(`${address}: ${message.text()}`));
      page.on("pageerror", (error) => said.push(`${address}: ${error.message}`));
      await page.goto(address);
      return page;
    },
    async shot(page, name) {
      if (shots) await page.screenshot({ path: `${shots}/${name}.png` });
    },
    /** What axe finds on a page, and how far it is wider than the window. */
    async inspect(page) {
      // The page's own policy forbids scripts from elsewhere; evaluation from outside is not bound by it.
      await page.evaluate(axe);
      const found = await page.evaluate(() => globalThis.axe.run({ resultTypes: ["violations"] }));
      assert.deepEqual(found.violations.map((one) => `${one.id}: ${one.nodes[0]?.html?.slice(0, 120)}`), []);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.equal(wide, 0, `the page is ${wide} px too wide`);
    },
    async end() {
      await browser.close();
      if (said.length) failed.push(`said on the browser's console: ${said.join(" | ")}`);
      for (const one of failed.filter((one) => one.startsWith("said"))) console.log(`FAILED  ${one}`);
      console.log(`${passed} passed, ${failed.length} failed`);
      process.exitCode = failed.length ? 1 : 0;
    },
  };
}
