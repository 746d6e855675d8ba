import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { api, rows, settled, sound, visit } from "./browser";
import { ROOT, startBinary, until, type Address, type Collector } from "./servers";

// The real binary with its controller, beside the database of MLflow that the demo's evaluations wrote.

interface Registered {
  id: string;
  state: string;
  events: number;
}
let collector: Collector;
let at: Address;

beforeAll(async () => {
  const directory = join(inject("directory"), "laptop");
  mkdirSync(directory, { recursive: true });
  copyFileSync(join(process.env.MIDA_UI_DEMO!, "run/mlflow.db"), join(directory, "search.db"));
  const args = ["--config", join(ROOT, "distributions/otelcol-mida/laptop.yaml"), "--set", "extensions::taskcontroller::discover={}"];
  collector = await startBinary(process.env.MIDA_BIN!, args, directory);
  at = collector.address;
});
afterAll(() => collector.stop());

const registered = async (): Promise<Registered[]> => (await api<{ observers: Registered[] }>(at, "observers")).observers;

describe("observers", () => {
  test("one is added, seen at work, drained, started again and removed", async () => {
    const v = await visit(at, "/observers");
    const section = v.page.getByRole("region", { name: "Registered" });
    await section.getByText(/Nobody has registered an observer/).waitFor();
    await section.getByRole("button", { name: "Add an observer" }).click();
    const form = section.getByRole("form", { name: "Add an observer" });
    await form.getByLabel("Database").fill("sqlite:////etc/mlflow.db");
    await form.getByRole("button", { name: "Add and start" }).click();
    await form.getByRole("alert").getByText(/lies outside the directories/).waitFor(); // what the operator does not allow
    await form.getByLabel("Further keys as JSON").fill("{");
    await form.getByRole("button", { name: "Add and start" }).click();
    await form.getByRole("alert").getByText(/no JSON/).waitFor();
    await form.getByLabel("Further keys as JSON").fill("");
    await form.getByLabel("Database").fill("sqlite:///search.db");
    await form.getByLabel("Campaign").fill("search");
    await form.getByLabel("Id, if you like").fill("runs");
    await sound(v, [/400 \(Bad Request\)/]);
    await form.getByRole("button", { name: "Add and start" }).click();
    await form.getByText("runs is registered, and running.").waitFor();
    const events = await until("no event of the runs", async () => (await registered()).find((o) => o.events > 10)?.events);
    const line = section.getByRole("row", { name: /runs/ });
    await line.getByRole("cell", { name: String(events), exact: true }).waitFor();
    await line.getByText("sqlite:///search.db").waitFor();
    await line.getByRole("button", { name: "Drain and stop runs" }).click();
    await section.getByText("Drained: all that the tool did before is in the view.").waitFor();
    await line.getByText("stopped").waitFor();
    expect(await registered()).toMatchObject([{ id: "runs", state: "stopped" }]);
    await line.getByRole("button", { name: "Start runs" }).click();
    await line.getByText("running").waitFor();
    await sound(v, [/400 \(Bad Request\)/]);
    await v.page.locator(".choice select").selectOption("search");
    await line.getByRole("link", { name: "Completeness of campaign search" }).click();
    await v.page.getByRole("heading", { name: "Is everything here?" }).waitFor();
    await v.page.getByRole("rowheader", { name: /^mlflow\/runs@/ }).waitFor();
    await v.page.getByRole("link", { name: "Who observes, and what could be observed" }).click();
    await line.getByRole("button", { name: "Remove runs" }).click();
    await v.page.keyboard.press("Tab"); // to "Keep it"
    await v.page.keyboard.press("Enter");
    await line.getByRole("button", { name: "Remove runs" }).click();
    await v.page.keyboard.press("Enter"); // "Really remove" has the focus
    await section.getByText("runs is removed. All that the tool did before is in the view.").waitFor();
    expect(await registered()).toEqual([]);
    await v.close();
  });

  test("what was found is offered, and observed for the campaign that is open", async () => {
    const v = await visit(at, "/observers?campaign=found", { theme: "dark" });
    const offers = v.page.getByRole("list", { name: "Could be observed" });
    const own = offers.getByRole("listitem").filter({ hasText: "laptop/search.db" });
    await until("the database was not found", async () => {
      if ((await own.count()) > 0) return true;
      await v.page.getByRole("button", { name: "Look again" }).click(); // a look ends after 3 s, wherever it is
      await settled(v.page);
      return undefined;
    });
    await own.getByRole("button", { name: /^Observe/ }).click();
    await own.getByText(/^observed by mlflow/).waitFor();
    const line = v.page.getByRole("table", { name: "Registered observers" }).getByRole("row", { name: /mlflow/ });
    await line.getByRole("link", { name: "Completeness of campaign found" }).waitFor();
    const [one] = await registered();
    await until("no event", async () => (await registered()).find((o) => o.events > 10));
    await sound(v);
    await line.getByRole("button", { name: /^Remove/ }).click();
    await line.getByRole("button", { name: /^Really remove/ }).click();
    await v.page.getByText(`${one!.id} is removed.`).waitFor();
    await v.close();
  });

  test("without a controller it says so, and tells who told something, by host", async () => {
    const demo = inject("demo");
    const { observers } = await api<{ observers: { host: string }[] }>(demo, "completeness?campaign_id=microscopy");
    const v = await visit(demo, "/observers?campaign=microscopy");
    await v.page.getByText(/takes no observers while it runs/).waitFor();
    const table = v.page.getByRole("table", { name: "Hosts" });
    expect(await table.locator("tbody tr").count()).toBe(new Set(observers.map((o) => o.host)).size);
    expect((await rows(v.page, "Hosts"))[0]![0]).toBe(String(observers.length));
    await v.page.getByRole("link", { name: "Is everything here?" }).click();
    await settled(v.page);
    await v.page.getByRole("heading", { name: "Is everything here?" }).waitFor();
    await v.close();
  });
});
