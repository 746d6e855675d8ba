import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { chromium, type Browser, type Page } from "playwright-core";
import { afterAll, beforeAll, inject, test } from "vitest";
import { api, settled } from "./browser";
import { ROOT, startBinary, until, type Address } from "./servers";

// The pictures of docs/images, of what a run of the demo recorded: `make pictures`. MIDA_UI_PICTURES names where they go;
// VIEW takes those whose name it holds, WIDTH and THEME another size and other colours, to look at.

const INTO = process.env.MIDA_UI_PICTURES!;
const WIDTH = Number(process.env.WIDTH ?? "1400");
let browser: Browser;
beforeAll(async () => {
  browser = await chromium.launch({ executablePath: process.env.MIDA_CHROMIUM, args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"] });
});
afterAll(() => browser.close());

interface Picture {
  name: string;
  path: string | ((at: Address) => Promise<string>);
  theme?: "light" | "dark";
  height?: number;
  said?: boolean; // shows what people said
  act?: (page: Page) => Promise<void>;
}

const one = async (at: Address, filter: object, sort: string): Promise<string> =>
  (await api<{ rows: { id: string }[] }>(at, "query", { filter, projection: ["id"], sort: [[sort, "ascending"]], limit: 1 })).rows[0]!.id;
const best = (at: Address): Promise<string> => one(at, { activity_id: "train", status: "FINISHED" }, "generated.loss");

const QUERY = JSON.stringify(
  { filter: { campaign_id: "microscopy", activity_id: "train", status: "FINISHED" }, projection: ["used.layers", "used.optimizer"], aggregation: [["min", "generated.loss"], ["avg", "generated.accuracy"], ["count", "id"]], sort: [["min(generated.loss)", "ascending"]] },
  null,
  2,
);

const PICTURES: Picture[] = [
  { name: "ui-overview", path: "/?campaign=microscopy" },
  { name: "ui-tasks", path: "/tasks?campaign=microscopy&q=activity_id+%3D+train&sort=generated.loss", height: 620, said: true },
  { name: "ui-task", path: async (at) => `/task/${await best(at)}`, theme: "dark" },
  { name: "ui-lineage", path: async (at) => `/lineage?campaign=microscopy&direction=upstream&id=${await one(at, { kind: "mlflow", "generated.mse": { $exists: true } }, "generated.mse")}` },
  { name: "ui-timeline", path: "/timeline?campaign=microscopy&by=worker", height: 620 },
  { name: "ui-parameters", path: "/parameters?campaign=microscopy&activity=train&q=status+%3D+FINISHED" },
  { name: "ui-correlation", path: "/correlation?campaign=microscopy&activity=train&q=status+%3D+FINISHED" },
  { name: "ui-dossier", path: "/dossier?campaign=microscopy&metric=generated.mse", height: 1150, said: true, act: (page) => page.frameLocator(".paper").locator("figure img").first().waitFor() },
  { name: "ui-notes", path: "/notes?campaign=microscopy", height: 480, said: true },
  {
    name: "ui-annotate",
    path: async (at) => `/task/${await best(at)}`,
    height: 620,
    said: true,
    act: async (page) => {
      await page.getByRole("button", { name: "Say something" }).click();
      await page.getByRole("button", { name: "Exclude" }).click();
      await page.getByRole("region", { name: "Notes" }).evaluate((e) => window.scrollBy(0, e.getBoundingClientRect().top - 70));
    },
  },
  { name: "ui-query", path: `/query?campaign=microscopy&q=${encodeURIComponent(QUERY)}`, height: 760 },
  { name: "ui-completeness", path: "/completeness?campaign=microscopy", height: 760 },
];

async function take(at: Address, p: Picture): Promise<void> {
  const context = await browser.newContext({ viewport: { width: WIDTH, height: p.height ?? 900 }, colorScheme: (process.env.THEME as "light" | "dark" | undefined) ?? p.theme ?? "light", deviceScaleFactor: 1 });
  const page = await context.newPage();
  const path = typeof p.path === "string" ? p.path : await p.path(at);
  await page.goto(`${at.url}/ui${path}#token=${encodeURIComponent(at.token)}`);
  await settled(page);
  await page.getByText("Live", { exact: true }).waitFor();
  await p.act?.(page);
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))); // all is painted
  await page.screenshot({ path: join(INTO, `${p.name}.png`) });
  await context.close();
}

const wanted = (name: string): boolean => name.includes(process.env.VIEW ?? "");

// What people said in the pictures; the record itself has no people.
async function say(at: Address): Promise<void> {
  const trained = (await api<{ rows: { id: string }[] }>(at, "query", { filter: { activity_id: "train", status: "FINISHED" }, projection: ["id"], sort: [["generated.loss", "ascending"]], limit: 3 })).rows.map((r) => r.id);
  const { links } = await api<{ links: { entity: string }[] }>(at, `lineage?id=${trained[0]}`);
  const image = links.find((l) => l.entity.startsWith("file:") && l.entity.includes("img"))!.entity;
  await api(at, "annotations", { entity: image, note: "The reference image of the talk.", tags_added: ["reference"], by: "grace" });
  await api(at, "annotations", { ids: [trained[0]], note: "The lowest loss so far; only the edges of the lattice are missed.", tags_added: ["candidate"], by: "ada" });
  await api(at, "annotations", { ids: [trained[1]], excluded: true, why: "trained before the stage was calibrated", by: "grace" });
  await api(at, "annotations", { campaign: "microscopy", action: "stopped the search", why: "the error is below 0.03", by: "ada", via: "watch good-enough" });
}

test("pictures", { timeout: 300_000 }, async () => {
  const demo = inject("demo");
  const chosen = PICTURES.filter((p) => wanted(p.name));
  for (const p of chosen.filter((x) => !x.said)) await take(demo, p);
  await say(demo);
  for (const p of chosen.filter((x) => x.said)) await take(demo, p);
  if (!wanted("ui-observers")) return;
  const directory = join(inject("directory"), "laptop");
  mkdirSync(join(directory, "logs"), { recursive: true });
  const run = join(process.env.MIDA_UI_DEMO!, "run");
  copyFileSync(join(run, "mlflow.db"), join(directory, "search.db"));
  copyFileSync(join(run, "rules.yaml"), join(directory, "rules.yaml"));
  const collector = await startBinary(process.env.MIDA_BIN!, ["--config", join(ROOT, "distributions/otelcol-mida/laptop.yaml"), "--set", "extensions::taskcontroller::discover={max_processes: 1}"], directory);
  const at = collector.address;
  try {
    await api(at, "observers", { kind: "mlflow", id: "search-runs", config: { tracking_uri: "sqlite:///search.db", campaign: "microscopy" } });
    await api(at, "observers", { kind: "tasklog", id: "microscope", config: { include: ["logs/*.log"], rules_file: "rules.yaml", campaign: "microscopy" } });
    await until("no event", async () => (await api<{ observers: { events: number }[] }>(at, "observers")).observers.find((o) => o.events > 10));
    await take(at, { name: "ui-observers", path: "/observers?add=1", height: 760 });
  } finally {
    await collector.stop();
  }
});
