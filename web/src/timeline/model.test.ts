import { expect, test } from "vitest";
import { buckets, ticks, tracks, zoomed, type Bar, type TimelineAnswer } from "./model";

const bar = (id: string, from: number, to: number, lane = 0): Bar => ({ id, task_id: id, activity_id: "a", status: "FINISHED", lane, started_at: from, ended_at: to });
const answer = (tasks: Bar[]): TimelineAnswer => ({ lanes: [{ lane: "a", tasks: tasks.length }], tasks, from: 0, to: 10, looked_at: tasks.length, total: tasks.length });

test("bars that overlap lie in rows of their own, others share one", () => {
  const [t] = tracks(answer([bar("1", 0, 5), bar("2", 1, 3), bar("3", 3, 4), bar("4", 6, 7)]));
  expect(t!.bars.map((b) => b.row)).toEqual([0, 1, 1, 0]);
});

test("more at once than rows is counted, not lost", () => {
  const [t] = tracks(answer(Array.from({ length: 100 }, (_, i) => bar(String(i), 0, 5))));
  expect([t!.bars.length, t!.crowded]).toEqual([100, 76]);
});

test("buckets keep the whole time of the tasks", () => {
  const [lane] = buckets(answer([bar("1", 0, 2.5), bar("2", 2, 10)]), 7);
  expect(lane!.reduce((a, b) => a + b, 0)).toBeCloseTo(10.5, 9);
});

test("ticks are round and few", () => {
  expect(ticks({ from: 100.3, to: 110.2 }, 5)).toEqual([102, 104, 106, 108, 110]);
  expect(ticks({ from: 0, to: 1e9 }, 8).length).toBeLessThanOrEqual(14);
});

test("zoom keeps the moment under the pointer", () => {
  expect(zoomed({ from: 0, to: 10 }, 2, 5)).toEqual({ from: 2.5, to: 7.5 });
});
