import { describe, expect, test } from "vitest";
import type { Graph, GraphTask, Link } from "../api";
import { draw, DRAWN, fromActivities, fromGraph, keyOf, opened, OPENED, path, usuallyOpen, type ActivityAnswer } from "./model";

const task = (id: string, activity: string): GraphTask => ({ id, task_id: id, kind: "dask", status: "FINISHED", campaign_id: "c", activity_id: activity });
const link = (from: string, to: string, evidence = "path", confidence = 0.95): Link => ({ from, to, entity: `file:${from}`, evidence, confidence });
const graph = (tasks: GraphTask[], links: Link[], ids: string[]): Graph => ({ ids, direction: "both", tasks, entities: [], links, truncated: false });
const key = (activity: string): string => keyOf("c", "dask", activity);

const images = Array.from({ length: 200 }, (_, i) => task(`i${i}`, "image"));
const small = graph([...images, task("s", "set"), task("m", "train")], [...images.map((t) => link(t.id, "s")), link("s", "m"), link("s", "m", "declared", 1)], ["m"]);

describe("a task's lineage", () => {
  test("is collapsed by activity, each edge with all its links", () => {
    const d = draw(fromGraph(small), new Set());
    expect(d.nodes.map((n) => [n.id, n.root])).toEqual([[`g:${key("image")}`, false], [`g:${key("set")}`, false], [`g:${key("train")}`, true]]);
    const e = d.edges.find((x) => x.from === `g:${key("image")}`)!;
    expect([e.links, e.evidence, e.min]).toEqual([200, { path: 200 }, 0.95]);
    expect(d.edges.find((x) => x.to === `g:${key("train")}`)!.evidence).toEqual({ path: 1, declared: 1 });
  });
  test("opens small activities by itself", () => expect([...usuallyOpen(fromGraph(small))].sort()).toEqual([key("set"), key("train")].sort()));
  test("never draws all tasks of a large activity, and counts those left", () => {
    const d = draw(fromGraph(small), new Set([key("image")]));
    expect(d.nodes.filter((n) => n.task)).toHaveLength(OPENED);
    expect(d.nodes.find((n) => n.more)!.more).toBe(200 - OPENED);
    expect(d.edges.reduce((sum, e) => sum + e.links, 0)).toBe(202);
  });
  test("draws the task that is looked for", () => {
    expect(draw(fromGraph(small), new Set([key("image")])).nodes.some((n) => n.id === "t:i199")).toBe(false);
    expect(draw(fromGraph(small), new Set([key("image")]), new Set(["i199"])).nodes.some((n) => n.id === "t:i199")).toBe(true);
  });
  test("lights the path of a box, cycles included", () => {
    const d = draw(fromGraph(graph([task("a", "a"), task("b", "b"), task("c", "c")], [link("a", "b"), link("b", "a"), link("c", "a")], ["a"])), new Set());
    expect(path(d, `g:${key("b")}`).size).toBe(3);
  });
  test("counts links of an activity to itself at its box", () => {
    const d = draw(fromGraph(graph([task("a", "a"), task("b", "a")], [link("a", "b")], ["a"])), new Set());
    expect([d.nodes[0]!.loops, d.edges.length]).toEqual([1, 0]);
  });
});

describe("a campaign's lineage", () => {
  const answer = (n: number): ActivityAnswer => ({
    activities: Array.from({ length: n }, (_, i) => ({ campaign_id: "c", kind: "dask", activity_id: `a${i}`, tasks: 1000 - i, by_status: { FINISHED: 1000 - i }, workflow_names: [] })),
    links: [{ from: 0, to: 1, links: 5000, evidence: { path: 5000 }, doubts: 3, min_confidence: 0.4, max_confidence: 0.95, example: link("x", "y") }],
    looked_at: 5000, total: 100_000, truncated: false,
  });
  test("draws so many activities and says how many are left", () => {
    const d = draw(fromActivities(answer(500)), new Set());
    expect([d.nodes.length, d.left]).toEqual([DRAWN, 500 - DRAWN]);
  });
  test("replaces the sums at an opened activity by the links of its tasks", () => {
    const source = opened(fromActivities(answer(2)), [graph([task("x", "a0"), task("y", "a1")], [link("x", "y")], ["x"])]);
    const closed = draw(source, new Set());
    expect(closed.edges.map((e) => e.links)).toEqual([5000]);
    const open = draw(source, new Set([key("a0")]));
    expect(open.edges.map((e) => [e.from, e.to, e.links])).toEqual([["t:x", `g:${key("a1")}`, 1]]);
  });
});
