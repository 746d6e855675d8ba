import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, inject, test } from "vitest";
import { api, rows, settled, sound, visit } from "./browser";
import { SCRIPT, task } from "./data";
import { Server } from "./servers";

interface Result {
  rank: number;
  task: { id: string; task_id: string };
  training: { task: { id: string; task_id: string } }[];
  plots: { name: string; data?: string }[];
}
const demo = (): ReturnType<typeof inject<"demo">> => inject("demo");

describe("dossier", () => {
  test("is one click from the overview, shows the best with their plots, and leads to tasks and lineage", async () => {
    const v = await visit(demo(), "/?campaign=microscopy");
    await v.page.getByRole("link", { name: "Dossier of the best results" }).click();
    await v.page.getByRole("heading", { name: "Dossier: the life of the best results" }).waitFor();
    await settled(v.page);
    const { results } = await api<{ results: Result[] }>(demo(), "report?campaign_id=microscopy&metric=generated.mse&k=3&order=ascending");
    expect(results).toHaveLength(3);
    const paper = v.page.frameLocator(".paper");
    expect(await paper.getByRole("heading", { level: 2 }).allTextContents()).toEqual(results.map((r) => `${r.rank}. evaluate.nested ${r.task.task_id}`));
    expect(results[0]!.plots.length).toBeGreaterThan(0);
    const shown = await paper.locator("figure img").evaluateAll((list) => list.filter((i) => (i as HTMLImageElement).naturalWidth > 0).length);
    expect(shown).toBe(results.flatMap((r) => r.plots.filter((p) => p.data)).length);
    await paper.getByRole("link", { name: "2", exact: true }).click();
    expect(v.page.frames().at(-1)!.url()).toBe("about:srcdoc#r2");
    // The page has the report's own style, although its policy allows no other within itself.
    expect(await paper.locator("body").evaluate((b) => getComputedStyle(b).maxWidth)).toBe("1080px");
    const table = v.page.getByRole("table", { name: "Results" });
    expect(await table.getByRole("row").nth(1).textContent()).toContain(results[0]!.training[0]!.task.task_id);
    await sound(v, [/Blocked script execution in 'about:srcdoc'/]); // what this test itself ran in the frame above
    await table.getByRole("link", { name: /^Lineage of result 1/ }).click();
    await v.page.locator(".node.root").waitFor();
    await v.page.goBack();
    await table.getByRole("link", { name: new RegExp(results[0]!.training[0]!.task.task_id) }).first().click();
    await v.page.getByRole("heading", { level: 1, name: /^train/ }).waitFor();
    await v.close();
  });

  test("what is asked is in the address, and the files say what the API says", async () => {
    const v = await visit(demo(), "/dossier?campaign=microscopy");
    await v.page.getByRole("combobox", { name: /^Metric/ }).selectOption("generated.accuracy");
    await settled(v.page);
    expect(await v.page.getByRole("combobox", { name: /^Best/ }).inputValue()).toBe("descending"); // as is usual of an accuracy
    await v.page.getByRole("combobox", { name: /^Results/ }).selectOption("1");
    await v.page.getByRole("combobox", { name: "Filter" }).fill("kind = dask");
    await v.page.keyboard.press("Enter");
    await v.page.waitForURL(/metric=generated.accuracy.*k=1.*q=kind/);
    await settled(v.page);
    const asked = `report?campaign_id=microscopy&metric=generated.accuracy&k=1&order=descending&filter=${encodeURIComponent('{"kind": "dask"}')}`;
    const { results } = await api<{ results: Result[] }>(demo(), asked);
    const save = async (name: string): Promise<string> => {
      const [saved] = await Promise.all([v.page.waitForEvent("download"), v.page.getByRole("button", { name, exact: true }).click()]);
      return readFileSync(await saved.path(), "utf8");
    };
    expect((JSON.parse(await save("JSON")) as { results: Result[] }).results.map((r) => r.task.id)).toEqual([results[0]!.task.id]);
    expect(await save("Markdown")).toContain(results[0]!.task.task_id.replaceAll("-", "\\-").slice(0, 5));
    const html = await save("HTML");
    expect(html).toContain("<!doctype html>");
    const [window] = await Promise.all([v.page.waitForEvent("popup"), v.page.getByRole("button", { name: "Open for printing" }).click()]);
    await window.waitForLoadState();
    expect(await window.title()).toContain("generated.accuracy");
    expect(await window.evaluate(() => document.scripts.length)).toBe(0);
    const page = await v.context.newPage();
    await page.setContent(html);
    expect((await page.pdf({ format: "A4" })).subarray(0, 5).toString()).toBe("%PDF-");
    await v.page.reload();
    await settled(v.page);
    expect((await rows(v.page, "Results")).length).toBe(1);
    await sound(v);
    await v.close();
  });

  test("a field that is none is refused with what to do, and another one can be typed", async () => {
    const v = await visit(demo(), "/dossier?campaign=microscopy&metric=statsu");
    await v.page.getByRole("alert").getByText(/statsu/).first().waitFor();
    await sound(v, [/400 \(Bad Request\)/]);
    await v.page.getByRole("combobox", { name: /^Metric/ }).selectOption("another field…");
    await v.page.getByRole("textbox", { name: "Metric" }).fill("used.layers");
    await v.page.keyboard.press("Enter");
    await v.page.getByText(/tasks with used.layers/).waitFor();
    await v.close();
  });

  test("comes by itself once there is a result, and says later that there is more", async () => {
    const server = Server.start(inject("server"), join(inject("directory"), "dossier-live"));
    try {
      await server.load([task("waiting", { campaign: "live", status: "RUNNING", event: "mida.task.started", ended_at: undefined })]);
      const v = await visit(await server.address(), "/dossier?campaign=live&metric=generated.loss");
      await v.page.getByRole("heading", { name: "No task has generated.loss" }).waitFor();
      await server.load([task("one", { campaign: "live", used: { layers: 2 }, generated: { loss: 0.5 } })]);
      await v.page.getByRole("link", { name: "train one" }).first().waitFor();
      await server.load([task("two", { campaign: "live", used: { layers: 3 }, generated: { loss: 0.25 } })]);
      await v.page.getByRole("button", { name: "Make it again" }).click();
      await v.page.getByRole("link", { name: "train two" }).first().waitFor();
      await sound(v);
      await v.close();
    } finally {
      await server.stop();
    }
  });

  test("markup in the data is text in the frame", async () => {
    const v = await visit(inject("hostile"), "/dossier?campaign=hostile&metric=generated.loss&k=20");
    await v.page.frameLocator(".paper").getByText(SCRIPT).first().waitFor();
    expect(await v.page.frameLocator(".paper").locator("script, [onerror]").count()).toBe(0);
    await sound(v);
    await v.close();
  });
});
