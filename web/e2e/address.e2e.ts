import { expect, inject, test } from "vitest";
import { visit } from "./browser";

test("an address with a filter that cannot be read says that nothing is filtered", async () => {
  const v = await visit(inject("demo"), "/tasks?campaign=microscopy&q=used.layers+%3E%3E+3");
  const said = await v.page.getByRole("alert").innerText();
  expect(said).toMatch(/at character \d+\); this filter is not applied$/);
  await v.page.getByText("71 tasks", { exact: true }).waitFor();
  await v.page.getByRole("combobox", { name: "Filter" }).fill("status >< 3");
  await v.page.keyboard.press("Escape");
  await v.page.getByText(/at character \d+\)$/).waitFor(); // the one before it still is
  await v.close();
});
