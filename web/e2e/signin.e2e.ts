import { renameSync, writeFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { settled, sound, visit } from "./browser";
import { startCollector, type Address, type Collector } from "./servers";

// Signing in where the real collector asks a real auth extension of the distribution who it is.

const DENIED = [/401 \(Unauthorized\)/];
const LINK = "/tasks?campaign=microscopy&q=status+%3D+FAILED";

function behind(name: string, extension: string): Promise<Collector> {
  const directory = join(inject("directory"), name.replace("/", "-"));
  mkdirSync(directory, { recursive: true });
  const config = join(directory, "auth.yaml");
  writeFileSync(config, `extensions:\n  ${name}: ${extension}\n  taskquery: {auth: {authenticator: ${name}}}\nservice:\n  extensions: [file_storage, taskstore, ${name}, taskquery]\n`);
  return startCollector(process.env.MIDA_BIN!, process.env.MIDA_UI_DEMO!, directory, ["--config", config]);
}

describe("behind basicauth", () => {
  let collector: Collector;
  let at: Address;
  beforeAll(async () => {
    collector = await behind("basicauth/lab", '{htpasswd: {inline: "ada:sécret:1\\neve:other\\n"}}');
    at = collector.address;
    expect(at.token).toBe("");
  });
  afterAll(() => collector.stop());

  test("a link is kept through a wrong and a right password, in every tab", async () => {
    const v = await visit(at, LINK);
    await v.page.getByRole("heading", { name: "Who is asking?" }).waitFor();
    await sound(v, DENIED);
    await v.page.getByLabel("User").fill("ada");
    await v.page.getByLabel("Password").fill("wrong");
    await v.page.keyboard.press("Enter");
    await v.page.getByRole("heading", { name: "The collector does not accept this page" }).waitFor();
    await v.page.getByLabel("User").fill("ada");
    await v.page.getByLabel("Password").fill("sécret:1");
    await v.page.getByRole("button", { name: "Sign in" }).click();
    await v.page.getByText("2 tasks", { exact: true }).waitFor();
    expect(v.page.url()).toBe(`${at.url}/ui${LINK}`);
    await v.page.getByText("Live", { exact: true }).waitFor();
    await sound(v, DENIED);
    const tab = await v.context.newPage();
    await tab.goto(`${at.url}/ui/tasks?campaign=microscopy`);
    await tab.getByText("71 tasks").waitFor();
    expect(await v.context.cookies()).toEqual([]); // those would go to every port of the host
    await v.close();
  });

  test("what is said is said by whom the extension recognised", async () => {
    const v = await visit(at, LINK);
    await v.page.getByLabel("User").fill("eve");
    await v.page.getByLabel("Password").fill("other");
    await v.page.getByRole("button", { name: "Sign in" }).click();
    await v.page.getByText("2 tasks", { exact: true }).waitFor();
    await v.page.getByRole("link", { name: /^train-/ }).first().click();
    const notes = v.page.getByRole("region", { name: "Notes" });
    await notes.getByRole("button", { name: "Say something" }).click();
    expect(await notes.getByLabel("Your name").count()).toBe(0);
    await notes.getByRole("textbox", { name: "Note" }).fill("seen");
    await notes.getByRole("button", { name: "Say it as eve" }).click();
    const item = notes.getByRole("listitem").filter({ hasText: "seen" });
    await item.getByText("eve", { exact: true }).waitFor();
    expect(await item.getByText("(stated)").count()).toBe(0);
    await sound(v, DENIED);
    await v.close();
  });
});

test("a page that nobody touches says that it is no longer let in", async () => {
  const v = await visit(inject("demo"), "/?campaign=microscopy");
  let expired = false;
  await v.page.route("**/api/v1/**", (r) => {
    if (expired) return r.fulfill({ status: 401, headers: { "WWW-Authenticate": 'Bearer realm="mida"' }, json: { error: { message: "not authenticated" } } });
    return r.request().url().endsWith("/stream") ? r.fulfill({ contentType: "text/event-stream", body: "event: ready\ndata: {}\n\n" }) : r.continue();
  });
  await v.page.reload(); // the stream ends at once, and is asked for again and again
  await settled(v.page);
  expired = true;
  await v.page.getByRole("heading", { name: "The collector does not accept this page" }).waitFor();
  await sound(v, DENIED);
  await v.close();
});

describe("behind bearertokenauth", () => {
  let collector: Collector;
  let at: Address;
  let file: string;
  // The extension watches the file; a token is put in place as a whole, as those who rotate them do.
  const rotate = (token: string): void => {
    writeFileSync(`${file}.new`, token, { mode: 0o600 });
    renameSync(`${file}.new`, file);
  };
  beforeAll(async () => {
    file = join(inject("directory"), "bearer.token");
    rotate("first");
    collector = await behind("bearertokenauth/lab", `{filename: ${JSON.stringify(file)}}`);
    at = collector.address;
  });
  afterAll(() => collector.stop());

  test("a wrong token is refused, the right one opens the link, and one that was rotated while it was open is asked for anew", async () => {
    const v = await visit(at, LINK, { token: "wrong" });
    await v.page.getByRole("heading", { name: "The collector does not accept this page" }).waitFor();
    await sound(v, DENIED);
    await v.page.getByLabel(/token/i).fill("first");
    await v.page.getByRole("button", { name: "Open" }).click();
    await v.page.getByText("2 tasks", { exact: true }).waitFor();
    rotate("second");
    await expect.poll(async () => (await fetch(`${at.url}/api/v1/campaigns`, { headers: { Authorization: "Bearer second" } })).status, { timeout: 60_000 }).toBe(200);
    await v.page.getByRole("link", { name: "Lineage" }).click(); // the next question is refused
    await v.page.getByRole("heading", { name: "The collector does not accept this page" }).waitFor();
    const link = v.page.url();
    expect(link).toContain("/ui/lineage?campaign=microscopy");
    await v.page.getByLabel(/token/i).fill("second");
    await v.page.getByRole("button", { name: "Open" }).click();
    await settled(v.page);
    await v.page.locator(".node").first().waitFor();
    expect(v.page.url()).toBe(link);
    await sound(v, DENIED);
    await v.close();
  });
});
