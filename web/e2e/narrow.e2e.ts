import { expect, inject, test } from "vitest";
import { settled, visit } from "./browser";

test("no view is wider than a phone", async () => {
  const v = await visit(inject("demo"), "/?campaign=microscopy");
  await v.page.setViewportSize({ width: 390, height: 800 });
  for (const path of ["/", "/tasks", "/lineage", "/timeline", "/parameters", "/parameters?view=scatter", "/correlation", "/query", "/completeness"]) {
    const address = new URL(`${inject("demo").url}/ui${path}`);
    address.searchParams.set("campaign", "microscopy");
    await v.page.goto(address.href);
    await settled(v.page);
    expect(await v.page.evaluate(() => document.documentElement.scrollWidth), path).toBeLessThanOrEqual(390);
  }
  await v.close();
});
