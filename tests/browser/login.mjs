// Signing in at a server that asks who is there: a wrong token, the right one, the page that was asked for, signing out.
import { createRequire } from "node:module";
import { mkdirSync, readFileSync } from "node:fs";
import { strict as assert } from "node:assert";

const [base, modules, token, shots] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
if (shots) mkdirSync(shots, { recursive: true });
const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });

for (const [scheme, width, height] of [["light", 1440, 900], ["dark", 390, 844]]) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, bypassCSP: true });
  const page = await context.newPage();
  page.on("pageerror", (error) => assert.fail(error.message));
  const asked = "/status?last=15m&tz=utc";
  await page.goto(base + asked);
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await page.getByLabel("Token").fill("wrong-from-start-to-end");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").getByText("This token is not known here.").waitFor();
  if (shots) await page.screenshot({ path: `${shots}/login-${scheme}.png` });
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document));
  assert.deepEqual(violations.map((one) => `${one.id}: ${one.nodes[0]?.target}`), []);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), 0);

  await page.getByLabel("Token").fill(token);
  await page.keyboard.press("Enter");
  await page.getByRole("region", { name: "Status" }).waitFor();
  assert.equal(page.url(), base + asked);
  const [cookie] = await context.cookies();
  assert.ok(cookie.httpOnly && cookie.sameSite === "Strict", JSON.stringify(cookie));
  const kept = await page.evaluate(() => JSON.stringify([document.cookie, { ...localStorage }, { ...sessionStorage }]));
  assert.ok(!kept.includes(token) && !kept.includes(cookie.value), kept);
  if (shots) await page.screenshot({ path: `${shots}/signed-in-${scheme}.png` });
  // Another tab is signed in too; signing out is for all of them.
  const other = await context.newPage();
  await other.goto(`${base}/map`);
  await other.getByRole("navigation", { name: "Pages" }).waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await other.getByRole("heading", { name: "Sign in" }).waitFor({ timeout: 60_000 });
  await context.close();
  console.log(`ok      signing in and out, ${scheme}, ${width} px`);
}
await browser.close();
