import { loadavg } from "node:os";
import { chromium, type Page } from "playwright-core";
import { inject, test } from "vitest";
import { settled } from "./browser";

// How soon the first view is there, and how many frames a second a person gets while moving it, with a campaign of
// 100,000 tasks open and a million in the store. Medians of so many tries; frames from the browser's own trace. A first try
// of each view is not counted: it warms the files of the machine, not the browser, which is a new one each time.

const TRIES = Number(process.env.TRIES ?? "5");
const address = inject("big");

interface TraceEvent {
  name: string;
  ts: number;
  ph: string;
  pid: number;
  args?: { data?: { type?: string } };
}

async function measured(path: string, act: ((page: Page) => Promise<void>) | undefined): Promise<{ first: number; seen: number; frames?: number; worst?: number; bytes: number }> {
  const browser = await chromium.launch({ executablePath: process.env.MIDA_CHROMIUM, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  try {
    const page = await browser.newPage({ viewport: { width: 1400, height: 900 } });
    let bytes = 0;
    page.on("response", (r) => {
      if (r.url().includes("/ui/")) void r.request().sizes().then((s) => (bytes += s.responseBodySize), () => undefined);
    });
    const began = performance.now();
    await page.goto(`${address.url}/ui${path}#token=${address.token}`, { waitUntil: "commit" });
    await page.waitForSelector("h1, h2, .grid, .canvas");
    const first = performance.now() - began;
    await settled(page);
    const seen = performance.now() - began;
    if (!act) return { first, seen, bytes };
    await browser.startTracing(page, { categories: ["devtools.timeline", "disabled-by-default-devtools.timeline.frame", "benchmark"] });
    await act(page);
    const trace = JSON.parse((await browser.stopTracing()).toString()) as { traceEvents: TraceEvent[] };
    const drawn = trace.traceEvents.filter((e) => e.name === "DrawFrame").map((e) => e.ts).sort((a, b) => a - b);
    const gaps = drawn.slice(1).map((t, i) => (t - drawn[i]!) / 1000);
    const span = (drawn.at(-1)! - drawn[0]!) / 1e6;
    return { first, seen, bytes, frames: (drawn.length - 1) / span, worst: gaps.sort((a, b) => a - b)[Math.floor(gaps.length * 0.95)] };
  } finally {
    await browser.close();
  }
}

const MOVED = 2500; // milliseconds

// wheel turns the wheel over an element once a frame, for as long: as many frames as the page can draw are drawn.
async function wheel(page: Page, selector: string, dy: number): Promise<void> {
  await page.locator(selector).waitFor();
  await page.locator(selector).evaluate(
    (element, [dy, moved]) =>
      new Promise<void>((done) => {
        const r = element.getBoundingClientRect();
        const began = performance.now();
        const turn = (now: number): void => {
          if (now - began > moved) return done();
          const back = Math.floor((now - began) / 600) % 2 ? -1 : 1;
          const e = new WheelEvent("wheel", { deltaY: dy * back, clientX: r.left + r.width * 0.6, clientY: r.top + r.height * 0.4, bubbles: true, cancelable: true });
          if (element.dispatchEvent(e)) element.scrollTop += dy * back; // nobody took it: the element scrolls
          requestAnimationFrame(turn);
        };
        requestAnimationFrame(turn);
      }),
    [dy, MOVED] as const,
  );
}

type View = [string, string, ((page: Page) => Promise<void>) | undefined];

const query = (text: string): string => encodeURIComponent(text);

const VIEWS = ([
  ["campaign overview", "/?campaign=big", undefined],
  ["overview of all campaigns", "/", undefined],
  ["tasks, scrolled", "/tasks?campaign=big", (p) => wheel(p, ".grid", 120)],
  ["tasks, filtered by a value and sorted by another", `/tasks?campaign=big&q=${query("used.layers > 2 and status = FINISHED")}&sort=generated.loss`, (p) => wheel(p, ".grid", 120)],
  ["tasks of all campaigns, scrolled", "/tasks", (p) => wheel(p, ".grid", 120)],
  ["tasks of all campaigns, filtered by a value and sorted by another", `/tasks?q=${query("used.layers > 2 and status = FINISHED")}&sort=generated.loss`, undefined],
  ["timeline, zoomed", "/timeline?campaign=big&by=worker", (p) => wheel(p, ".canvas canvas", -30)],
  ["lineage, zoomed, one activity opened", "/lineage?campaign=big&open=big|dask|train", (p) => wheel(p, ".canvas > svg", -30)],
  ["parameters", "/parameters?campaign=big&activity=train", undefined],
  ["correlation", "/correlation?campaign=big&activity=train", undefined],
  ["correlation, one cell opened", "/correlation?campaign=big&activity=train&cx=used.learning_rate&cy=generated.loss", undefined],
  ["correlation of all campaigns", "/correlation?activity=train", undefined],
] as View[]).filter(([name]) => name.includes(process.env.VIEW ?? ""));

const median = (list: number[]): number => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)]!;

test("how fast", { timeout: 1_200_000 }, async () => {
  const [now] = loadavg();
  console.log(`load ${now!.toFixed(1)} before`);
  console.log(`| ${["view", "first content, s", "all of it, s", "frames/s", "95 % of frames within, ms", "page, kB"].join(" | ")} |`);
  for (const [name, path, act] of VIEWS) {
    await measured(path, undefined);
    const tries: Awaited<ReturnType<typeof measured>>[] = [];
    for (let i = 0; i < TRIES; i++) tries.push(await measured(path, act));
    const cell = (f: (t: (typeof tries)[0]) => number | undefined, digits: number): string => {
      const list = tries.map(f).filter((v) => v !== undefined);
      return list.length ? `${median(list).toFixed(digits)} (${Math.min(...list).toFixed(digits)} to ${Math.max(...list).toFixed(digits)})` : "";
    };
    const line = [name, cell((t) => t.first / 1000, 2), cell((t) => t.seen / 1000, 2), cell((t) => t.frames, 0), cell((t) => t.worst, 0), cell((t) => t.bytes / 1000, 0)];
    console.log(`| ${line.join(" | ")} |`);
  }
  console.log(`load ${loadavg()[0]!.toFixed(1)} after`);
});
