import { describe, inject, test } from "vitest";
import { sound, visit } from "./browser";

// Every view over every store: it shows, says nothing wrong, runs nothing, and is accessible.

const VIEWS = ["/", "/tasks", "/lineage", "/timeline", "/parameters", "/parameters?view=scatter", "/dossier", "/dossier?metric=generated.loss&k=5", "/notes", "/query", "/observers", "/completeness", "/correlation", "/correlation?every=1&cluster=1"];

for (const store of ["demo", "empty", "big", "hostile"] as const) {
  describe(store, () => {
    for (const path of VIEWS) {
      const dark = VIEWS.indexOf(path) % 2 === 1;
      test(`${path} in ${dark ? "dark" : "light"} colours`, async () => {
        const v = await visit(inject(store), path, { theme: dark ? "dark" : "light" });
        await sound(v);
        await v.close();
      });
    }
  });
}
