import { readFileSync } from "node:fs";
import { expect, inject, test } from "vitest";
import { api, rows, settled, sound, visit } from "./browser";

// What a person does with the record of the demo; the numbers are the API's own.

const demo = (): ReturnType<typeof inject<"demo">> => inject("demo");
interface Rows {
  rows: Record<string, unknown>[];
  total: number;
}

test("the overview counts what the API counts", async () => {
  const { campaigns } = await api<{ campaigns: { tasks: number; by_status: Record<string, number> }[] }>(demo(), "campaigns");
  const v = await visit(demo(), "/?campaign=microscopy");
  const card = v.page.getByRole("region", { name: "Campaign microscopy" });
  expect(await card.locator(".facts dd").first().textContent()).toBe(String(campaigns[0]!.tasks));
  expect(await card.locator(".statustext").first().textContent()).toBe(`${campaigns[0]!.by_status.FINISHED} finished${campaigns[0]!.by_status.FAILED} failed`);
  await card.getByRole("link", { name: "train" }).click();
  await settled(v.page);
  await v.page.getByText("37 tasks").waitFor();
  await sound(v);
  await v.close();
});

test("a filter is completed, applied, kept in the address and gone back from", async () => {
  const v = await visit(demo(), "/tasks?campaign=microscopy");
  await v.page.keyboard.press("/");
  await v.page.keyboard.type("stat");
  await v.page.getByRole("option", { name: "status" }).waitFor();
  await v.page.keyboard.press("ArrowDown");
  await v.page.keyboard.press("Enter");
  await v.page.keyboard.type("= FAI");
  await v.page.getByRole("option", { name: "FAILED" }).waitFor();
  await v.page.keyboard.press("ArrowDown");
  await v.page.keyboard.press("Enter");
  await v.page.keyboard.press("Enter");
  await v.page.getByText("2 tasks", { exact: true }).waitFor();
  expect(new URL(v.page.url()).searchParams.get("q")).toBe("status = FAILED");
  expect((await rows(v.page)).map((r) => r[0])).toEqual(["failed", "failed"]);
  await v.page.goBack();
  await v.page.getByText("71 tasks", { exact: true }).waitFor();
  await v.page.getByRole("combobox", { name: "Filter" }).fill("status >< 3");
  await v.page.keyboard.press("Escape");
  await v.page.getByText(/at character/).waitFor();
  await sound(v);
  await v.close();
});

test("tasks are sorted by a column of the data, as the API sorts", async () => {
  const query = { filter: { activity_id: "train" }, projection: ["task_id"], sort: [["generated.loss", "descending"]], limit: 5 };
  const want = (await api<Rows>(demo(), "query", query)).rows.map((r) => r.task_id);
  const v = await visit(demo(), "/tasks?campaign=microscopy&q=activity_id+%3D+train");
  await v.page.getByTitle("Sort by generated.loss").click();
  await v.page.locator('th[aria-sort="descending"]').waitFor();
  await v.page.waitForFunction((first) => document.querySelector("tbody tr")?.textContent?.includes(first as string), want[0]);
  expect((await rows(v.page)).slice(0, 5).map((r) => r[2])).toEqual(want);
  await v.page.getByText(/^Columns/).click();
  await v.page.getByLabel("Find among columns").fill("used.layers");
  const before = (await rows(v.page))[0]!.length;
  await v.page.getByRole("checkbox", { name: "used.layers" }).click();
  await v.page.waitForFunction((n) => document.querySelector("tbody tr")?.querySelectorAll("td").length === (n as number) - 1, before);
  await v.close();
});

test("arrow keys go from task to task, Enter opens one, with its links and their evidence", async () => {
  const v = await visit(demo(), "/tasks?campaign=microscopy&q=activity_id+%3D+train+and+status+%3D+FAILED");
  await v.page.locator('tr[data-row="0"]').focus();
  await v.page.keyboard.press("ArrowDown");
  await v.page.keyboard.press("Enter");
  await v.page.getByRole("heading", { name: /^train train-/ }).waitFor();
  await settled(v.page);
  await v.page.getByRole("region", { name: "Error" }).getByText("ValueError").first().waitFor();
  const from = v.page.getByRole("region", { name: "Came from" });
  expect(await from.getByText("path 0.95").count()).toBe(1);
  expect(await from.getByText("declared 1.00").count()).toBe(1);
  expect(await v.page.getByRole("region", { name: "Used" }).getByRole("row", { name: "learning_rate 1000000" }).count()).toBe(1);
  expect(await v.page.getByRole("region", { name: "Telemetry" }).getByRole("row", { name: /process\.memory\.usage/ }).count()).toBe(1);
  expect(await v.page.getByRole("region", { name: "Earlier attempts" }).count()).toBe(1);
  await v.page.getByText("Stack trace").click();
  await sound(v);
  await from.getByRole("link").first().click();
  await v.page.getByRole("heading", { name: /^make_dataset/ }).waitFor();
  await v.close();
});

test("the lineage of the campaign is drawn by activity, opened, searched, and its edges say their evidence", async () => {
  const v = await visit(demo(), "/lineage?campaign=microscopy");
  const { page } = v;
  await page.locator(".node").first().waitFor();
  expect((await page.locator(".node .name").allTextContents()).sort()).toEqual(["acquire_image", "evaluate", "evaluate.nested", "make_dataset", "publish", "train"]);
  await page.getByText("The graph as a table").click();
  await page.locator("details table tbody tr").first().waitFor();
  const edges = await page.locator("details table tbody tr").evaluateAll((l) => l.map((r) => [...r.querySelectorAll("td")].map((c) => c.textContent)));
  expect(edges).toContainEqual(["make_dataset", "train", "74", "declared ×37, path ×37", "0.95 to 1.00"]);
  await page.locator('.node[data-node$="|make_dataset"]').click();
  await page.getByRole("button", { name: "Open into tasks" }).click();
  await page.locator(".node.task").first().waitFor();
  expect(await page.locator(".node.task").count()).toBe(4);
  await page.getByLabel("Find in the lineage").fill("publish");
  await page.getByRole("list", { name: "Found" }).getByRole("button", { name: "publish" }).click();
  await page.locator(".node.selected").waitFor();
  expect(await page.locator(".node.dim").count()).toBeGreaterThan(0); // what is on no path with it
  expect(new URL(page.url()).searchParams.get("sel")).toContain("publish");
  await sound(v);
  await v.close();
});

test("the lineage of the best model leads to the images, as the API says; its impact is another graph", async () => {
  const best = (await api<Rows>(demo(), "query", { filter: { kind: "mlflow", "generated.mse": { $exists: true } }, projection: ["id"], sort: [["generated.mse", "ascending"]], limit: 1 })).rows[0]!.id as string;
  const graph = await api<{ tasks: { activity_id: string }[]; links: unknown[] }>(demo(), `lineage?id=${best}`);
  const v = await visit(demo(), `/lineage?campaign=microscopy&id=${best}&direction=upstream`);
  await v.page.locator(".node.root").waitFor();
  expect(await v.page.getByText(/boxes, /).textContent()).toContain(`${graph.links.length} links`);
  expect(graph.tasks.some((t) => t.activity_id === "acquire_image")).toBe(true);
  await v.page.locator(".node.root").focus();
  await v.page.keyboard.press("Enter");
  await v.page.getByRole("link", { name: "Only its impact" }).click();
  await settled(v.page);
  expect(new URL(v.page.url()).searchParams.get("direction")).toBe("downstream");
  const [saved] = await Promise.all([v.page.waitForEvent("download"), v.page.getByRole("button", { name: "SVG" }).click()]);
  const svg = readFileSync(await saved.path(), "utf8");
  expect(svg).toMatch(/^<svg /);
  expect(svg).toContain("evaluate.nested");
  await sound(v);
  await v.close();
});

test("the timeline zooms, and a click on a bar opens its task", async () => {
  const v = await visit(demo(), "/timeline?campaign=microscopy&by=kind&q=kind+%3D+mlflow");
  const box = (await v.page.locator(".canvas.time").boundingBox())!;
  await v.page.locator(".canvas.time").focus();
  await v.page.keyboard.press("+");
  await v.page.waitForURL(/from=/);
  await v.page.getByRole("button", { name: "Everything" }).click();
  await v.page.getByText("10 tasks").waitFor();
  await v.page.getByText("The timeline as a table").click();
  await v.page.getByRole("row", { name: /^mlflow 10/ }).waitFor();
  await v.page.mouse.move(box.x + 190 + (box.width - 190) * 0.06, box.y + 26 + 8);
  await v.page.locator(".tip").getByText("evaluate").first().waitFor();
  await sound(v);
  await v.page.mouse.click(box.x + 190 + (box.width - 190) * 0.06, box.y + 26 + 8);
  await v.page.getByRole("heading", { name: /^evaluate/ }).waitFor();
  await v.close();
});

test("parallel coordinates and scatter show the search, and a click opens a task", async () => {
  const v = await visit(demo(), "/parameters?campaign=microscopy&activity=train");
  const label = await v.page.locator(".chart").getAttribute("aria-label");
  for (const name of ["layers", "learning_rate", "optimizer", "loss", "37 tasks"]) expect(label).toContain(name);
  await v.page.getByRole("button", { name: "Scatter" }).click();
  await settled(v.page);
  await v.page.getByRole("combobox", { name: "x", exact: true }).selectOption("used.learning_rate");
  await v.page.getByLabel("log x").check();
  await v.page.waitForURL(/logx=1/);
  await settled(v.page);
  for (const [name, start] of [["SVG", "<svg "], ["PNG", "\u0089PNG"], ["CSV", "id,task_id"]] as const) {
    const [saved] = await Promise.all([v.page.waitForEvent("download"), v.page.getByRole("button", { name, exact: true }).click()]);
    expect(readFileSync(await saved.path(), "latin1").slice(0, start.length)).toBe(start);
  }
  await sound(v);
  await v.close();
});

test("a query with completion answers Listing 1 of the paper", async () => {
  const v = await visit(demo(), "/query?campaign=microscopy");
  const area = v.page.getByLabel("Query as JSON");
  await area.fill('{"filter": {"activity_id": "train", "status": "FINISHED"}, "projection": ["used.layers", "generated.loss"], "aggregation": [["min", "generated.lo');
  await v.page.getByRole("group", { name: "Completions" }).getByRole("button", { name: "generated.loss" }).waitFor();
  await area.press("Tab");
  await v.page.waitForFunction(() => document.querySelector("textarea")!.value.endsWith('"generated.loss"'));
  await area.press("End");
  await area.pressSequentially(']], "sort": [["min(generated.loss)", "ascending"]]}');
  await area.press("Control+Enter");
  await v.page.getByRole("table", { name: "Answer" }).waitFor();
  expect((await rows(v.page, "Answer")).map((r) => r[0])).toEqual(["3", "2", "1"]);
  await area.fill('{"filter": {"statsu": 1}}');
  await area.press("Control+Enter");
  await v.page.getByText("Did you mean status?").waitFor();
  await sound(v, [/400 \(Bad Request\)/]);
  await v.close();
});

test("completeness lists every observer and witness", async () => {
  const answer = await api<{ observers: unknown[]; witnesses: unknown[] }>(demo(), "completeness");
  const v = await visit(demo(), "/completeness?campaign=microscopy");
  expect(await v.page.getByRole("region", { name: "Observers" }).locator("tbody tr").count()).toBe(answer.observers.length);
  expect(await v.page.getByRole("region", { name: "Witnesses" }).locator("tbody tr").count()).toBe(answer.witnesses.length);
  await v.close();
});

test("dark and light are kept", async () => {
  const v = await visit(demo(), "/");
  await v.page.getByRole("button", { name: "Use dark colours" }).click();
  await v.page.reload();
  await settled(v.page);
  expect(await v.page.evaluate(() => document.documentElement.dataset.theme)).toBe("dark");
  await sound(v);
  await v.close();
});
