import { expect, test } from "vitest";
import { excludedBy, holds, kindsOf, onWhat, tagList, tagsOf, what, type Said } from "./model";

const said = (change: Partial<Said>): Said => ({ id: "1", at: 1, by: "ada", by_source: "stated", of: "tasks", campaigns: ["c"], tasks: [{ id: "i", task_id: "t1", activity_id: "train" }], ...change });

test("one annotation may say several things", () => {
  const s = said({ action: "stopped", why: "loss", excluded: false, tags_added: ["a"], tags_removed: ["b"], note: "n" });
  expect(kindsOf(s)).toEqual(["action", "exclusion", "tag", "note"]);
  expect(what(s)).toBe("stopped; included again; +a; -b; n");
  expect(onWhat(s)).toBe("train t1");
});

test("the latest that says so excludes, and tags add up from the oldest on", () => {
  const list = [said({ note: "x" }), said({ id: "3", excluded: true, tags_added: ["b"] }), said({ excluded: false, tags_removed: ["a", "b"] }), said({ tags_added: ["a", "c"] })];
  expect(excludedBy(list)?.id).toBe("3");
  expect(excludedBy(list.slice(2))).toBeUndefined();
  expect(tagsOf(list)).toEqual(["c", "b"]);
});

test("a text is looked for in all that was said", () => {
  const s = said({ of: "entity", entity: "file:s:/x.npz", label: "x.npz", why: "Out of focus", excluded: true });
  for (const text of ["", "focus", "ADA", "npz", "excluded", "file:s"]) expect(holds(s, text), text).toBe(true);
  expect(holds(s, "train")).toBe(false);
});

test("tags are parted by commas, each once", () => {
  expect(tagList(" good, bad ,, good ")).toEqual(["good", "bad"]);
});
