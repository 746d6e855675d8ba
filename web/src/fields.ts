import { get, runQuery, type Filter } from "./api";
import { useData } from "./data";
import type { Known } from "./filter";
import { show, type Value } from "./values";

export interface FieldInfo {
  name: string;
  type: "number" | "text" | "boolean" | "null" | "other" | "mixed";
  tasks: number;
  min?: number;
  max?: number;
  longest?: number;
  values?: Value[];
}
export interface FieldList {
  fields: FieldInfo[];
  looked_at: number;
  total: number;
  truncated: boolean;
}

export const FIXED = [
  "status", "activity_id", "task_id", "id", "kind", "campaign_id", "workflow_name", "workflow_id", "workflow_parent_id",
  "submitted_at", "started_at", "ended_at", "elapsed", "host", "user", "site", "attempt", "parent", "dependencies", "tags",
  "stdout", "stderr", "scope", "execution", "custom.people.excluded",
];
const TIMES = new Set(["submitted_at", "started_at", "ended_at"]);
export const isTime = (name: string): boolean => TIMES.has(name);
export const isNumeric = (f: FieldInfo): boolean => f.type === "number" || f.type === "boolean";
const CHOICES = ["activity_id", "workflow_name", "kind", "host"];

export function useFields(filter: Filter | undefined): ReturnType<typeof useData<FieldList>> {
  const text = filter ? JSON.stringify(filter) : "";
  return useData(`fields ${text}`, 0, (s) => get<FieldList>("fields", { filter: text }, s));
}

// useKnown is what the filter box completes: fields, and the values of those that have few.
export function useKnown(campaign: string): Known[] {
  const filter = campaign ? { campaign_id: campaign } : undefined;
  const { data } = useFields(filter);
  const choices = useData(`choices ${campaign}`, 0, async (signal) => {
    const answers = await Promise.all(
      CHOICES.map((name) => runQuery({ filter, projection: [name], aggregation: [["count", "id"]], sort: [["count", "descending"]], limit: 50 }, signal)),
    );
    return new Map(CHOICES.map((name, i) => [name, answers[i]!.rows.map((r) => show(r[name])).filter((v) => v !== "" && v.length < 200)]));
  });
  const known: Known[] = FIXED.map((name) => ({ name, values: choices.data?.get(name) }));
  known.find((k) => k.name === "status")!.values = ["RUNNING", "FINISHED", "FAILED", "CANCELLED", "SUBMITTED", "UNKNOWN"];
  for (const f of data?.fields ?? []) known.push({ name: f.name, values: f.type === "text" ? f.values?.map(show) : undefined });
  return known;
}
