import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { api, rows, settled, sound, visit } from "./browser";
import { BEGAN, file, RTL, SCRIPT, task } from "./data";
import { Server, type Address } from "./servers";

// What people say, and where it is seen. A store of its own: what is said of campaigns and things adds tasks.

interface Said {
  by: string;
  by_source: string;
  why?: string;
  excluded?: boolean;
}
const IMAGE = "file:site:/data/img.npz";
let server: Server;
let at: Address;

beforeAll(async () => {
  server = Server.start(inject("server"), join(inject("directory"), "people"));
  const c = { campaign: "lab" };
  await server.load([
    task("acquire", { ...c, activity: "acquire", kind: "log", workflow_id: "w0", workflow_name: "acquire", generated: { path: "/data/img.npz" }, claims: [file("generated", "/data/img.npz", BEGAN + 1)] }, BEGAN),
    ...[1, 2, 3].map((n) => task(`train-${n}`, { ...c, used: { path: "/data/img.npz", n }, generated: { loss: n / 10 }, tags: n === 2 ? ["from-tool"] : undefined, claims: [file("used", "/data/img.npz", BEGAN + 10 * n)] }, BEGAN + 10 * n)),
  ]);
  at = await server.address();
});
afterAll(() => server.stop());

const idOf = async (key: string): Promise<string> => (await api<{ rows: { id: string }[] }>(at, "query", { filter: { task_id: key }, projection: ["id"] })).rows[0]!.id;
const said = async (of: string): Promise<Said[]> => (await api<{ annotations: Said[] }>(at, `annotations?${of}`)).annotations;

describe("people", () => {
  test("a task is noted, tagged, excluded with the reason and included again, by a name that is asked once", async () => {
    const id = await idOf("train-1");
    const v = await visit(at, `/task/${id}`);
    const notes = v.page.getByRole("region", { name: "Notes" });
    await notes.getByText("Nobody has said anything yet.").waitFor();
    await notes.getByRole("button", { name: "Say something" }).click();
    await notes.getByRole("textbox", { name: "Note" }).fill("looks good\nfrom afar");
    await notes.getByRole("button", { name: "Say it" }).click();
    expect(await said(`id=${id}`)).toEqual([]); // no name, nothing said
    await notes.getByLabel("Your name").fill("ada");
    await notes.getByLabel("Your name").press("Enter");
    await notes.getByText("Kept, as said by ada.").waitFor();
    await notes.getByRole("listitem").filter({ hasText: "looks good" }).filter({ hasText: "ada (stated)" }).waitFor();
    await notes.getByRole("button", { name: "Tag" }).click();
    await notes.getByLabel("Tags, parted by commas").fill("good, candidate");
    expect(await notes.getByLabel("Your name").inputValue()).toBe("ada");
    await notes.getByRole("button", { name: "Say it" }).click();
    await v.page.locator(".facts").getByText("good, candidate").waitFor();
    await notes.getByRole("button", { name: "Exclude" }).click();
    await notes.getByLabel("Why").fill("wrong calibration");
    await notes.getByRole("button", { name: "Say it" }).click();
    await notes.getByRole("button", { name: "Include again" }).waitFor();
    await v.page.locator("h1 + .chip", { hasText: "excluded" }).waitFor();
    expect((await said(`id=${id}`))[0]).toMatchObject({ by: "ada", by_source: "stated", why: "wrong calibration", excluded: true });
    await sound(v);
    await v.page.goto(`${at.url}/ui/tasks?campaign=lab&sort=generated.loss&q=activity_id+%3D+train`);
    await settled(v.page);
    const cells = (await rows(v.page)).map((r) => r[2]);
    expect(cells[0]).toBe("excludedgoodcandidatetrain-1");
    expect(cells[1]).toBe("from-tooltrain-2");
    await v.page.goto(`${at.url}/ui/task/${id}`);
    await notes.getByRole("button", { name: "Say something" }).click();
    await notes.getByRole("button", { name: "Include again" }).click();
    expect(await notes.getByLabel("Your name").inputValue()).toBe("ada"); // remembered
    await notes.getByRole("button", { name: "Say it" }).click();
    await notes.getByText("included again").waitFor();
    await v.page.locator("h1 + .chip").waitFor({ state: "detached" });
    await v.close();
  });

  test("a file is excluded in the lineage, and that is seen from the tasks that used it and in the dossier", async () => {
    const id = await idOf("train-2");
    const v = await visit(at, `/task/${id}`);
    await v.page.getByRole("region", { name: "Came from" }).getByRole("link", { name: "img.npz" }).click();
    const panel = v.page.getByRole("complementary", { name: "Selection" });
    await panel.getByRole("heading", { name: "img.npz" }).waitFor();
    await panel.getByText(IMAGE).waitFor();
    await panel.getByRole("link", { name: "acquire acquire" }).waitFor();
    await panel.getByRole("button", { name: "Say something" }).click();
    await panel.getByRole("button", { name: "Exclude" }).click();
    await panel.getByLabel("Why").fill("out of focus");
    await panel.getByLabel("Your name").fill("grace");
    await panel.getByRole("button", { name: "Say it" }).click();
    await panel.getByRole("listitem").filter({ hasText: "out of focus" }).waitFor();
    await sound(v);
    await v.page.reload(); // the address holds the thing
    await panel.getByRole("listitem").filter({ hasText: "out of focus" }).waitFor();
    await v.page.goto(`${at.url}/ui/task/${await idOf("train-3")}`);
    await v.page.getByRole("region", { name: "Notes" }).getByRole("listitem").filter({ hasText: "on /data/img.npz" }).waitFor();
    await v.page.goto(`${at.url}/ui/dossier?campaign=lab&metric=generated.loss`);
    await v.page.getByText(/goes back to \/data\/img\.npz, which grace excluded: out of focus/).first().waitFor();
    const paper = v.page.frameLocator(".paper");
    await paper.getByRole("heading", { name: "What people decided" }).waitFor();
    await paper.getByRole("row").filter({ hasText: "grace (stated)" }).filter({ hasText: "out of focus" }).waitFor();
    await v.close();
  });

  test("a decision on the campaign is in the overview and in the list, which is filtered, saved, and led from", async () => {
    const v = await visit(at, "/?campaign=lab");
    const card = v.page.getByRole("region", { name: "Campaign lab" });
    await card.getByRole("button", { name: "Say something" }).click();
    await card.getByRole("button", { name: "Decision" }).click();
    await card.getByLabel("What was decided").fill("stopped the search");
    await card.getByLabel("Why").fill("the loss does not fall");
    await card.getByLabel("Your name").fill("eve");
    await card.getByRole("button", { name: "Say it" }).click();
    await card.getByRole("listitem").filter({ hasText: "stopped the search" }).filter({ hasText: "the loss does not fall" }).waitFor();
    await sound(v);
    await v.page.getByRole("link", { name: "Notes", exact: true }).click();
    const list = v.page.getByRole("list", { name: "What people said" });
    await list.getByRole("listitem").first().waitFor();
    const all = await list.getByRole("listitem").count();
    expect(all).toBe((await said("campaign_id=lab")).length);
    await v.page.getByRole("button", { name: "Decisions" }).click();
    await v.page.waitForURL(/kind=action/);
    expect(await list.getByRole("listitem").count()).toBe(1);
    await v.page.getByRole("button", { name: "All", exact: true }).click();
    await v.page.getByLabel("Find in notes").fill("FOCUS");
    await v.page.waitForURL(/text=FOCUS/);
    await v.page.reload();
    await list.getByRole("listitem").filter({ hasText: "out of focus" }).waitFor();
    expect(await list.getByRole("listitem").count()).toBe(1);
    const [saved] = await Promise.all([v.page.waitForEvent("download"), v.page.getByRole("button", { name: "CSV" }).click()]);
    expect(readFileSync(await saved.path(), "utf8")).toContain("grace,stated,,excluded,out of focus,entity,/data/img.npz,lab");
    await sound(v);
    await list.getByRole("link", { name: "/data/img.npz" }).click();
    await v.page.getByRole("heading", { name: "img.npz" }).waitFor();
    await v.close();
  });

  test("what somebody says elsewhere appears without a reload", async () => {
    const v = await visit(at, "/notes?campaign=lab");
    await api(at, "annotations", { ids: [await idOf("train-3")], note: "from the command line", by: "bob" });
    await v.page.getByRole("listitem").filter({ hasText: "from the command line" }).waitFor();
    await v.close();
  });

  test("what is refused says why, and nothing is lost from the form", async () => {
    const v = await visit(at, `/task/${await idOf("train-3")}`);
    const notes = v.page.getByRole("region", { name: "Notes" });
    await notes.getByRole("button", { name: "Say something" }).click();
    await notes.getByRole("button", { name: "Tag" }).click();
    await notes.getByLabel("Tags, parted by commas").fill("x".repeat(201));
    await notes.getByLabel("Your name").fill("bob");
    await notes.getByRole("button", { name: "Say it" }).click();
    await notes.getByRole("alert").getByText(/at most 200/).waitFor();
    expect((await notes.getByLabel("Tags, parted by commas").inputValue()).length).toBe(201);
    await sound(v, [/400 \(Bad Request\)/]);
    await v.close();
  });

  test("markup and right-to-left text stay what they are", async () => {
    const id = (await api<{ rows: { id: string }[] }>(inject("hostile"), "query", { filter: { task_id: "odd" }, projection: ["id"] })).rows[0]!.id;
    await api(inject("hostile"), "annotations", { ids: [id], note: SCRIPT, tags_added: [RTL.slice(1, 6), "<b>x</b>"], action: "=HYPERLINK(1)", why: RTL.slice(1, 6), by: "<img src=x>" });
    const v = await visit(inject("hostile"), `/task/${id}`);
    await v.page.getByRole("region", { name: "Notes" }).getByText(SCRIPT).waitFor();
    await sound(v);
    await v.page.goto(`${inject("hostile").url}/ui/notes?campaign=hostile`);
    await v.page.getByRole("listitem").getByText(SCRIPT).waitFor();
    const [saved] = await Promise.all([v.page.waitForEvent("download"), v.page.getByRole("button", { name: "CSV" }).click()]);
    expect(readFileSync(await saved.path(), "utf8")).toContain("'=HYPERLINK(1); +");
    await sound(v);
    await v.close();
  });

  test("of 100,000 tasks those that people spoke of are found", async () => {
    const big = inject("big");
    const id = (await api<{ rows: { id: string }[] }>(big, "query", { filter: { task_id: "train-7" }, projection: ["id"] })).rows[0]!.id;
    await api(big, "annotations", { ids: [id], note: "one of many", by: "ada" });
    const began = performance.now();
    await api(big, "annotations?campaign_id=big");
    console.log(`web: the annotations of 100,000 tasks are listed in ${(performance.now() - began).toFixed(0)} ms`);
    const v = await visit(big, "/notes?campaign=big");
    await v.page.getByRole("listitem").getByText("one of many").waitFor();
    await sound(v);
    await v.close();
  });
});
