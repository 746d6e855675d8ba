import type { ReactNode } from "react";
import { duration, metric, when } from "../format";
import { isTime } from "../fields";
import { asNumber, show, type Value } from "../values";
import { StatusMark } from "./status";

const CUT = 160;

// cellText is a value as a table shows it.
export function cellText(name: string, v: Value): string {
  if (v === undefined) return "";
  const n = typeof v === "boolean" ? undefined : asNumber(v);
  if (n !== undefined) {
    if (isTime(name)) return when(n);
    if (name === "elapsed") return duration(n);
    if (name.startsWith("telemetry_")) return metric(name, n);
  }
  return show(v);
}

export function Cell({ name, value }: { name: string; value: Value }): ReactNode {
  if (name === "status" && typeof value === "string") return <StatusMark status={value} />;
  const text = cellText(name, value);
  return text.length > CUT ? <bdi title={text}>{text.slice(0, CUT)}…</bdi> : <bdi>{text}</bdi>;
}

// isNumberCell says whether a cell is set right.
export function isNumberCell(name: string, v: Value): boolean {
  return !isTime(name) && (typeof v === "number" || typeof v === "bigint");
}
