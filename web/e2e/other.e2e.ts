import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, inject, test } from "vitest";
import { api, rows, settled, sound, visit } from "./browser";
import { BEGAN, RTL, SCRIPT, task } from "./data";
import { Server } from "./servers";

describe("who may ask", () => {
  test("without a token a page says how to get in, and takes one", async () => {
    const v = await visit(inject("demo"), "/", { token: "" });
    await v.page.getByRole("heading", { name: "Who is asking?" }).waitFor();
    await v.page.getByText("mida ui").waitFor();
    await v.page.getByLabel("Token").fill(inject("demo").token);
    await v.page.getByRole("button", { name: "Open" }).click();
    await v.page.getByRole("heading", { name: "1 campaign" }).waitFor();
    await sound(v, [/401 \(Unauthorized\)/]);
    await v.close();
  });

  test("with a wrong token it says so", async () => {
    const v = await visit(inject("demo"), "/", { token: "wrong" });
    await v.page.getByText("The token is wrong").waitFor();
    await sound(v, [/401 \(Unauthorized\)/]);
    await v.close();
  });

  test("the token leaves the address, and a new tab of the same browser has it", async () => {
    const v = await visit(inject("demo"), "/tasks?campaign=microscopy");
    expect(v.page.url()).not.toContain("token");
    const tab = await v.context.newPage();
    await tab.goto(v.page.url());
    await tab.getByText("71 tasks").waitFor();
    await v.close();
  });

  test("the page may load and run nothing from elsewhere", async () => {
    const answer = await fetch(`${inject("demo").url}/ui/`);
    const policy = answer.headers.get("content-security-policy")!;
    expect(policy).toContain("default-src 'self'");
    expect(policy).not.toContain("unsafe");
    const html = await answer.text();
    expect(html).not.toMatch(/<script(?![^>]*\ssrc=)/);
    expect(html).not.toMatch(/(src|href)="(https?:)?\/\//);
  });
});

describe("live", () => {
  test("a task that starts and ends appears without a reload, and a view that was gone comes back", async () => {
    const directory = join(inject("directory"), "live");
    const server = Server.start(inject("server"), directory);
    const v = await visit(await server.address(), "/");
    await v.page.getByRole("heading", { name: "Nothing observed yet" }).waitFor();
    const c = { campaign: "live" };
    await server.load([task("t1", { ...c, event: "mida.task.started", time: BEGAN * 1e9, status: "RUNNING", ended_at: undefined })]);
    await v.page.getByText("1 running").first().waitFor();
    await server.load([task("t1", c), task("t2", { ...c, status: "FAILED" }, BEGAN + 3)]);
    await v.page.getByText("1 failed").first().waitFor();
    await v.page.getByText("1 finished").first().waitFor();
    await sound(v);
    await server.stop();
    await v.page.getByText("Not live").waitFor();
    await v.close();
  });
});

describe("100,000 tasks", () => {
  const big = (): ReturnType<typeof inject<"big">> => inject("big");

  test("are paged, only those seen are drawn, and a page can be linked to", async () => {
    const v = await visit(big(), "/tasks?campaign=big&sort=id");
    await v.page.getByText("100,000 tasks, 1–500 shown").waitFor();
    expect(await v.page.locator("tbody tr").count()).toBeLessThan(80);
    const first = (await rows(v.page))[0];
    await v.page.getByRole("button", { name: "Next ›" }).click();
    await v.page.getByText("501–1,000 shown").waitFor();
    expect((await rows(v.page))[0]).not.toEqual(first);
    const link = v.page.url();
    await v.page.locator(".grid").evaluate((g) => g.scrollTo(0, 500 * 31));
    await v.page.locator('tr[data-row="499"]').waitFor();
    await v.page.getByRole("button", { name: "‹ Previous" }).click();
    await v.page.getByText("1–500 shown").waitFor();
    expect((await rows(v.page))[0]).toEqual(first);
    await v.page.goto(link);
    await v.page.getByText("501–1,000 shown").waitFor();
    await sound(v);
    await v.close();
  });

  test("make a lineage of few boxes, opened no further than can be read", async () => {
    const v = await visit(big(), "/lineage?campaign=big");
    await v.page.locator(".node").first().waitFor();
    expect((await v.page.locator(".node .name").allTextContents()).sort()).toEqual(["acquire_image", "evaluate", "make_dataset", "train"]);
    await v.page.getByText(/5,000 tasks of 100,000, a fair sample/).waitFor();
    await v.page.locator('.node[data-node$="|train"]').click();
    await v.page.getByRole("button", { name: "Open into tasks" }).click();
    await v.page.locator(".node.more").waitFor();
    expect(await v.page.locator(".node.task").count()).toBe(40);
    expect(await v.page.locator(".node.more title").textContent()).toBe("69,960 more of train");
    await v.close();
  });

  test("the impact of one image is collapsed, and counts what the API counts", async () => {
    const image = (await api<{ rows: { id: string }[] }>(big(), "query", { filter: { task_id: "acquire-7" }, projection: ["id"] })).rows[0]!.id;
    const graph = await api<{ tasks: unknown[]; links: unknown[] }>(big(), `lineage?id=${image}&direction=downstream`);
    expect(graph.tasks.length).toBeGreaterThan(10);
    const v = await visit(big(), `/lineage?campaign=big&id=${image}&direction=downstream`);
    await v.page.locator(".node.root").waitFor();
    expect(await v.page.getByText(/boxes, /).textContent()).toContain(`${graph.links.length} links`);
    expect(await v.page.locator(".node").count()).toBeLessThan(60);
    await v.close();
  });

  test("make a timeline of busy lanes, and of single tasks once zoomed in", async () => {
    const v = await visit(big(), "/timeline?campaign=big&by=worker");
    await v.page.getByText(/100,000 tasks.*zoom in for single tasks/).waitFor();
    await v.page.goto(`${big().url}/ui/timeline?campaign=big&by=worker&from=${BEGAN + 5000}&to=${BEGAN + 5060}`);
    await v.page.getByText(/tasks in this window/).waitFor();
    expect(await v.page.getByText(/zoom in for single tasks/).count()).toBe(0);
    await v.close();
  });

  test("parameters are drawn from a fair sample, and it says so", async () => {
    const v = await visit(big(), "/parameters?campaign=big&activity=train");
    await v.page.getByText("Drawn from 5,000 of 70,000 tasks, a fair sample.").waitFor();
    await sound(v);
    await v.close();
  });
});

describe("hostile data", () => {
  const hostile = (): ReturnType<typeof inject<"hostile">> => inject("hostile");
  const idOf = async (key: string): Promise<string> => (await api<{ rows: { id: string }[] }>(hostile(), "query", { filter: { task_id: key }, projection: ["id"] })).rows[0]!.id;

  for (const [name, key] of [["markup", SCRIPT], ["right-to-left text", RTL], ["a megabyte of text", "long"], ["5,000 keys", "keys"], ["odd values", "odd"], ["a javascript address", "javascript:window.attacked=1"]] as const)
    test(`the page of a task with ${name}`, async () => {
      const v = await visit(hostile(), `/task/${await idOf(key)}`);
      await v.page.getByRole("heading", { level: 1 }).waitFor();
      expect(await v.page.getByRole("heading", { level: 1 }).textContent()).toContain(key.slice(0, 20));
      for (const summary of await v.page.locator("details summary").all()) await summary.click();
      const more = v.page.getByRole("button", { name: /^all [\d,]+ characters/ });
      while ((await more.count()) > 0) await more.first().click();
      await sound(v);
      await v.close();
    });

  test("exact integers stay exact, and special values are named", async () => {
    const v = await visit(hostile(), `/task/${await idOf("odd")}`);
    const used = v.page.getByRole("region", { name: "Used" });
    for (const text of ["exact 9007199254740993", "big 123456789012345678901234567890", "nan NaN", "nothing null", "bytes 3 bytes"]) await used.getByRole("row", { name: text }).waitFor();
    await v.close();
  });

  test("markup is text in every view, and in what is saved", async () => {
    const v = await visit(hostile(), "/tasks?campaign=hostile&cols=task_id,activity_id,used.formula,generated.html&sort=id&q=not+task_id+~+^n[0-9]");
    await v.page.locator("tbody").getByText("<script>window.attacked = 1</script>").first().waitFor();
    const [saved] = await Promise.all([v.page.waitForEvent("download"), v.page.getByRole("button", { name: "CSV" }).click()]);
    const text = readFileSync(await saved.path(), "utf8");
    expect(text).toContain(`"'=HYPERLINK(""http://x"")"`); // no spreadsheet runs it
    await v.page.goto(`${hostile().url}/ui/lineage?campaign=hostile`);
    await settled(v.page);
    const [drawn] = await Promise.all([v.page.waitForEvent("download"), v.page.getByRole("button", { name: "SVG" }).click()]);
    const svg = readFileSync(await drawn.path(), "utf8");
    expect(svg).not.toMatch(/<script/i);
    expect(svg).toContain("&lt;script&gt;");
    await sound(v);
    await v.close();
  });
});
