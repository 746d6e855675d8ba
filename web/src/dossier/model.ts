import type { FieldInfo } from "../fields";
import type { Value } from "../values";

// What the JSON form of a report holds (docs/report.md), as far as the page beside it shows it.

export interface ReportTask {
  id: string;
  task_id: string;
  activity_id: string;
  workflow: string;
  status: string;
}
export interface ReportResult {
  rank: number;
  value: Value;
  task: ReportTask;
  training: { task: ReportTask }[];
  lineage: { tasks: number };
  not_recorded: string[];
}
export interface Report {
  made_at: Value;
  question: { campaign_id: string; k: number; metric: string; order: string };
  total: number;
  results: ReportResult[] | null;
  decisions: { id: string }[] | null;
  warnings: string[] | null;
}

export const MOST = 20; // results of a report

// Metrics by which models are usually judged, those of an evaluation first; the others are better the higher they are.
const USUAL = ["mse", "rmse", "mae", "error", "accuracy", "f1", "auc", "dice", "r2", "score", "loss"];
const HIGHER = /(^|[._])(accuracy|acc|f1|auc|dice|iou|r2|score|precision|recall|reward|throughput)([._]|$)/i;

export const usualOrder = (metric: string): "ascending" | "descending" => (HIGHER.test(metric) ? "descending" : "ascending");

// metricsOf are the fields that results can be ranked by: what tasks generated first, then what they took.
export function metricsOf(fields: FieldInfo[]): FieldInfo[] {
  const group = (name: string): number => ["generated.", "telemetry_"].findIndex((p) => name.startsWith(p)) >>> 0;
  return fields.filter((f) => f.type === "number" && !f.name.startsWith("used.") && f.name.length < 200).toSorted((a, b) => group(a.name) - group(b.name) || b.tasks - a.tasks || a.name.localeCompare(b.name));
}

export function usualMetric(metrics: FieldInfo[]): string | undefined {
  const generated = metrics.filter((f) => f.name.startsWith("generated."));
  const depth = (f: FieldInfo): number => f.name.split(".").length;
  const rank = (f: FieldInfo): number => USUAL.findIndex((u) => f.name.slice(f.name.lastIndexOf(".") + 1).toLowerCase().split(/[_-]/).includes(u)) >>> 0; // none: last
  return generated.toSorted((a, b) => rank(a) - rank(b) || depth(a) - depth(b))[0]?.name;
}
