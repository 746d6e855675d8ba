import { expect, test } from "vitest";
import { byHost, configOf, toldBy, type Observer, type Told } from "./model";

test("a configuration is made of what was typed, and further keys are laid over it", () => {
  expect(configOf("mlflow", { tracking_uri: " sqlite:///a.db " }, " search ", "")).toEqual({ campaign: "search", tracking_uri: "sqlite:///a.db" });
  expect(configOf("tasklog", { include: "a.log, b.log,", rules_file: "r.yaml" }, "", '{"exclude": ["c.log"], "include": ["d.log"]}')).toEqual({ include: ["d.log"], rules_file: "r.yaml", exclude: ["c.log"] });
  expect(configOf("dask", {}, "", "")).toEqual({});
  expect(() => configOf("dask", {}, "", "[1]")).toThrow("want an object");
  expect(() => configOf("dask", {}, "", "{")).toThrow(SyntaxError);
});

const told = (observer: string, host: string, change: Partial<Told> = {}): Told => ({ observer, host, campaign_id: "c", state: "complete", arrived: 1, dropped: 0, missing: 0, final: true, ...change });

test("what a registered observer told is found by its kind and id", () => {
  const o = { id: "runs", kind: "mlflow" } as Observer;
  const list = [told("mlflow/runs@n1-1", "n1"), told("mlflow/runs2@n1-1", "n1"), told("tasklog/runs@n1-1", "n1")];
  expect(toldBy(o, list)).toEqual([list[0]]);
});

test("hosts are added up, those that lack something first", () => {
  expect(byHost([told("a", "n1", { arrived: 9, checkpoint_at: 5 }), told("b", "n1", { state: "unknown", checkpoint_at: 3 }), told("c", "n2", { state: "missing" })])).toEqual([
    { host: "n2", observers: 1, open: 0, missing: 1, arrived: 1 },
    { host: "n1", observers: 2, open: 1, missing: 0, arrived: 10, last: 5 },
  ]);
});
