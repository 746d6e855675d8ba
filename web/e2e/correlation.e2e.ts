import { readFileSync } from "node:fs";
import { describe, expect, inject, test } from "vitest";
import { api, rows, settled, sound, visit } from "./browser";
import { SCRIPT } from "./data";

interface Cell {
  x: string;
  y: string;
  n: number;
  statistic?: string;
  value?: number;
  p?: number;
  q?: number;
  reason?: string;
}
const demo = (): ReturnType<typeof inject<"demo">> => inject("demo");
const filter = encodeURIComponent('{"campaign_id": "microscopy", "activity_id": "train", "status": "FINISHED"}');
const PLACE = "/correlation?campaign=microscopy&activity=train&q=status+%3D+FINISHED";

const shown = (c: Cell): string => (c.statistic === "eta" ? "η " : "") + c.value!.toFixed(2).replace("-0.00", "0.00").replace("-", "−");

describe("correlation", () => {
  test("each cell has the value of the API, sure ones are bold, and the table and the CSV say the same", async () => {
    const { cells } = await api<{ cells: Cell[] }>(demo(), `correlation?filter=${filter}`);
    const v = await visit(demo(), PLACE);
    const drawn = await v.page.locator(".heat").evaluateAll((list) => list.map((g) => [g.getAttribute("aria-label")!, g.querySelector("text")!.textContent!, String(g.querySelector(".value.sure") !== null)]));
    const valued = cells.filter((c) => c.value !== undefined);
    expect(valued.some((c) => c.statistic === "eta") && valued.some((c) => c.q! < 0.05) && valued.some((c) => c.q! >= 0.05)).toBe(true);
    for (const c of valued) {
      const cell = drawn.find(([label]) => label!.startsWith(`${c.x} with ${c.y}: `))!;
      expect(cell.slice(1)).toEqual([shown(c), String(c.q! < 0.05)]);
      expect(cell[0]).toContain(`n ${c.n}, p `);
    }
    await v.page.getByText("The map as a table").click();
    await v.page.getByRole("table", { name: "Correlations" }).waitFor();
    const table = await rows(v.page, "Correlations");
    expect(table.map((r) => [r[0], r[1], r[4], r[7]])).toEqual(cells.map((c) => [c.x, c.y, String(c.n), c.reason ?? ""]));
    for (const [i, c] of cells.entries()) if (c.value !== undefined) expect(Number(table[i]![3])).toBeCloseTo(c.value, 5);
    const [saved] = await Promise.all([v.page.waitForEvent("download"), v.page.getByRole("button", { name: "CSV", exact: true }).click()]);
    const lines = readFileSync(await saved.path(), "utf8").trim().split("\r\n");
    expect(lines).toHaveLength(cells.length + 1);
    const first = valued[0]!;
    expect(lines).toContain([first.x, first.y, first.statistic, first.value, first.n, first.p, first.q, ""].join(","));
    await sound(v);
    await v.close();
  });

  test("the keyboard goes from cell to cell, and Enter opens the tasks of one, which lead to their pages", async () => {
    const v = await visit(demo(), PLACE);
    await v.page.locator(".heat").first().focus();
    await v.page.keyboard.press("ArrowDown");
    await v.page.keyboard.press("ArrowRight");
    await v.page.locator('.heat[data-cell="1,1"]:focus').waitFor();
    await v.page.locator(".tip").getByText(/n = \d+, p = /).waitFor();
    const [, x, y] = /^(.*) with (.*): /.exec((await v.page.locator('.heat[data-cell="1,1"]').getAttribute("aria-label"))!)!;
    await v.page.keyboard.press("Enter");
    await v.page.getByRole("heading", { name: `${y} over ${x}` }).waitFor();
    await settled(v.page);
    const { points } = await api<{ points: { task_id: string }[] }>(demo(), `correlation/scatter?filter=${filter}&x=${x}&y=${y}`);
    expect(await v.page.locator(".chart").getAttribute("aria-label")).toContain(`${points.length} tasks`);
    await sound(v);
    await v.page.reload(); // the address holds the cell
    await v.page.getByRole("heading", { name: `${y} over ${x}` }).waitFor();
    await v.page.getByRole("table", { name: "Tasks of the cell" }).getByRole("link", { name: points[0]!.task_id }).click();
    await v.page.getByRole("heading", { level: 1, name: /^train/ }).waitFor();
    await v.close();
  });

  test("presets, method, clustering and all fields are in the address, and pictures are saved", async () => {
    const v = await visit(demo(), PLACE);
    await v.page.getByRole("button", { name: "Telemetry and time" }).click();
    await v.page.getByLabel("Method").selectOption("spearman");
    await v.page.getByLabel("Cluster").check();
    await v.page.locator('.heat[aria-label*="telemetry_peak.process.memory.usage: Spearman"]').first().waitFor();
    const some = await v.page.locator(".heat").count();
    await v.page.getByLabel("Fields without a number").check();
    await v.page.locator('.heat[aria-label*="no number"]').first().waitFor();
    expect(await v.page.locator(".heat").count()).toBeGreaterThan(some);
    const params = new URL(v.page.url()).searchParams;
    expect(["y", "method", "cluster", "every"].map((k) => params.get(k))).toEqual(["telemetry_peak.*,telemetry_delta.*,elapsed", "spearman", "1", "1"]);
    for (const [name, start] of [["SVG", "<svg "], ["PNG", "\u0089PNG"]] as const) {
      const [saved] = await Promise.all([v.page.waitForEvent("download"), v.page.getByRole("button", { name, exact: true }).click()]);
      expect(readFileSync(await saved.path(), "latin1").slice(0, start.length)).toBe(start);
    }
    await sound(v);
    await v.close();
  });

  test("of 70,000 tasks all count, and those of one cell are a fair sample", async () => {
    const v = await visit(inject("big"), "/correlation?campaign=big&cx=used.layers&cy=generated.loss");
    await v.page.getByText(/Pearson, 70,000 tasks/).waitFor();
    await v.page.getByText(/Drawn from 5,000 of 69,\d+ tasks, a fair sample\./).waitFor();
    await sound(v);
    await v.close();
  });

  test("names that are markup stay text, in the map and in what is saved", async () => {
    const v = await visit(inject("hostile"), `/correlation?campaign=hostile&every=1&activity=${encodeURIComponent(SCRIPT)}`);
    await v.page.locator('.heat[aria-label*="<script>"]').first().waitFor();
    const [saved] = await Promise.all([v.page.waitForEvent("download"), v.page.getByRole("button", { name: "SVG", exact: true }).click()]);
    const svg = readFileSync(await saved.path(), "utf8");
    expect(svg).not.toMatch(/<script/i);
    expect(svg).toContain("&lt;");
    await v.page.locator('.heat[aria-label*="<script>"]').first().click();
    await v.page.getByRole("region", { name: "The tasks of one cell" }).waitFor();
    await settled(v.page);
    await sound(v, [/400 \(Bad Request\)/]);
    await v.close();
  });

  test("more fields than a matrix may have are refused with what to do", async () => {
    const v = await visit(inject("hostile"), "/correlation?campaign=hostile&all=1");
    await v.page.getByRole("alert").getByText(/200 fields/).waitFor();
    await sound(v, [/400 \(Bad Request\)/]);
    await v.close();
  });
});
