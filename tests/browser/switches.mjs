// One picture of the console: switches.mjs URL NODE_MODULES FILE
import { createRequire } from "node:module";

const [url, modules, file] = process.argv.slice(2);
const { chromium } = createRequire(`${modules}/`)("playwright-core");
const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: FLAGS });
const page = await browser.newPage({ viewport: { width: 1440, height: 900 }, colorScheme: "light" });
await page.goto(url);
await page.getByRole("complementary").getByRole("heading").first().waitFor({ timeout: 30_000 });
// The chart of the panel has a request of its own.
await page.waitForTimeout(2500);
await page.screenshot({ path: file });
await browser.close();
