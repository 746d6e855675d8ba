import axe from "axe-core";
import { chromium, type Browser, type BrowserContext, type Page } from "playwright-core";
import { afterAll, beforeAll, expect } from "vitest";
import type { Address } from "./servers";

let browser: Browser;

beforeAll(async () => {
  browser = await chromium.launch({ executablePath: process.env.MIDA_CHROMIUM, args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"] });
});
afterAll(async () => {
  await browser.close();
});

export interface Visit {
  page: Page;
  context: BrowserContext;
  errors: string[]; // what the console said, and what nobody caught
  close: () => Promise<void>;
}

interface Options {
  theme?: "light" | "dark";
  token?: string; // another than the server's; "" = none
}

const WAIT = 60_000;

// visit opens a view and waits until it shows what it has.
export async function visit(at: Address, path: string, options: Options = {}): Promise<Visit> {
  const context = await browser.newContext({ viewport: { width: 1400, height: 900 }, colorScheme: options.theme ?? "light", acceptDownloads: true });
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT);
  const errors: string[] = [];
  page.on("console", (m) => {
    if (m.type() === "error" || m.type() === "warning") errors.push(m.text().slice(0, 500));
  });
  page.on("pageerror", (e) => errors.push(String(e).slice(0, 500)));
  const token = options.token ?? at.token;
  await page.goto(`${at.url}/ui${path}${token ? `#token=${encodeURIComponent(token)}` : ""}`);
  await settled(page);
  return { page, context, errors, close: () => context.close() };
}

// settled waits until nothing on the page says that it is loading.
export async function settled(page: Page): Promise<void> {
  await page.waitForSelector("main", { timeout: WAIT });
  await page.waitForFunction(() => document.querySelector(".waiting") === null && document.querySelector("main")!.childElementCount > 0, undefined, { timeout: WAIT });
}

// sound says that a page is as it must always be: no error, no script of the data ran, accessible.
export async function sound(v: Visit, allowed: RegExp[] = []): Promise<void> {
  expect(v.errors.filter((e) => !allowed.some((a) => a.test(e)))).toEqual([]);
  expect(await v.page.evaluate(() => (window as unknown as { attacked?: number }).attacked)).toBeUndefined();
  await v.page.evaluate(axe.source);
  const found = await v.page.evaluate(async () => {
    const run = (window as unknown as { axe: { run: (o: object) => Promise<{ violations: { id: string; help: string; nodes: { html: string; failureSummary?: string }[] }[] }> } }).axe;
    const result = await run.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"] });
    return result.violations.map((x) => `${x.id}: ${x.help}: ${x.nodes.slice(0, 3).map((n) => `${n.html.slice(0, 160)} ${n.failureSummary ?? ""}`).join(" | ")}`);
  });
  expect(found).toEqual([]);
}

export async function rows(page: Page, table = "Tasks"): Promise<string[][]> {
  return page.getByRole("table", { name: table }).locator("tbody tr:not(.spacer)").evaluateAll((list) => list.map((r) => [...r.querySelectorAll("td")].map((c) => c.textContent ?? "")));
}

export async function api<T>(at: Address, path: string, body?: object): Promise<T> {
  const response = await fetch(`${at.url}/api/v1/${path}`, { method: body ? "POST" : "GET", body: body && JSON.stringify(body), headers: { Authorization: `Bearer ${at.token}` } });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}
