// The console's map in Chromium: how soon it is there on a cold cache, and what each frame costs while it is moved.
//
//   node map.mjs BASE NODE_MODULES first|move START END      prints one line of JSON
import { createRequire } from "node:module";

const [base, modules, what, start, end] = process.argv.slice(2);
const { chromium } = createRequire(`${modules}/`)("playwright-core");
const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: FLAGS });

/** Notes when the first frame with plates, or with the canvas drawn, was made. */
function watchFirst() {
  const look = () => {
    const plates = document.querySelectorAll("g.node").length;
    if (plates > 20 || document.querySelector("canvas[data-painted]")) requestAnimationFrame(() => (window.firstPaintMs = performance.now()));
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}

async function open(path) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  await page.addInitScript(watchFirst);
  await page.goto(base + path);
  await page.waitForFunction(() => window.firstPaintMs > 0, null, { timeout: 60_000 });
  return { context, page, firstMs: await page.evaluate(() => window.firstPaintMs) };
}

/** Time of the page's thread by task, in milliseconds of CPU: what others do on the machine does not count. */
function tasksOf(trace) {
  const { traceEvents } = JSON.parse(trace);
  const main = traceEvents.filter((event) => event.name === "thread_name" && event.args.name === "CrRendererMain").map((event) => `${event.pid} ${event.tid}`);
  const tasks = traceEvents.filter((event) => event.ph === "X" && /RunTask$/.test(event.name) && main.includes(`${event.pid} ${event.tid}`) && event.tdur !== undefined);
  return tasks.map((event) => event.tdur / 1000);
}

const quantile = (values, share) => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? null;

async function moved(page, gesture) {
  await page.evaluate(() => {
    window.frames_ = [];
    let last = performance.now();
    const tick = (now) => {
      window.frames_.push(now - last);
      last = now;
      window.ticking = requestAnimationFrame(tick);
    };
    window.ticking = requestAnimationFrame(tick);
  });
  await browser.startTracing(page, { categories: ["toplevel", "disabled-by-default-devtools.timeline"] });
  await gesture();
  const trace = (await browser.stopTracing()).toString();
  const frames = await page.evaluate(() => (cancelAnimationFrame(window.ticking), window.frames_.slice(2)));
  const tasks = tasksOf(trace);
  return { frames: frames.length, frame_p50_ms: quantile(frames, 0.5), frame_p95_ms: quantile(frames, 0.95), frame_max_ms: Math.max(...frames), task_p99_ms: quantile(tasks, 0.99), task_max_ms: Math.max(...tasks) };
}

async function pan(page) {
  await page.mouse.move(600, 500);
  await page.mouse.down();
  for (let step = 0; step < 120; step += 1) await page.mouse.move(600 + 220 * Math.sin(step / 12), 500 + 160 * Math.sin(step / 9));
  await page.mouse.up();
}

async function zoom(page, by) {
  await page.mouse.move(520, 470);
  for (let step = 0; step < 60; step += 1) {
    await page.mouse.wheel(0, by);
    await page.waitForTimeout(12);
  }
}

if (what === "first") {
  const times = [];
  for (let turn = 0; turn < 5; turn += 1) {
    const { context, firstMs } = await open(`/map?group=none&start=${start}&end=${end}`);
    times.push(firstMs);
    await context.close();
  }
  console.log(JSON.stringify({ first_ms: quantile(times, 0.5), all_ms: times }));
} else {
  const { page, firstMs } = await open(`/map?group=none&start=${start}&end=${end}`);
  await page.waitForTimeout(1500);
  const far = await moved(page, () => pan(page));
  const zoomed = await moved(page, () => zoom(page, -40));
  await page.waitForTimeout(400);
  const near = await moved(page, () => pan(page));
  const back = await moved(page, () => zoom(page, 40));
  console.log(JSON.stringify({ first_ms: firstMs, far, zoomed, near, back, painted: await page.locator("canvas.m").getAttribute("data-painted").catch(() => null) }));
}
await browser.close();
