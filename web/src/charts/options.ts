import type { EChartsCoreOption } from "echarts/core";
import type { Row } from "../api";
import { duration, metric } from "../format";
import type { FieldInfo } from "../fields";
import { color } from "../theme";
import { asNumber, show, showNumber, type Value } from "../values";

// What is drawn of rows: each field is an axis of numbers, or of categories.

export interface Axis {
  name: string;
  categories?: string[];
}

const MANY = 60; // more categories than this are not told apart by eye

export function axisOf(name: string, rows: Row[], info?: FieldInfo): Axis {
  const numeric = name === "elapsed" || info?.type === "number" || (info === undefined && rows.some((r) => asNumber(r[name]) !== undefined));
  if (numeric && rows.every((r) => r[name] === undefined || r[name] === null || typeof r[name] !== "string")) return { name };
  const categories = [...new Set(rows.map((r) => r[name]).filter((v) => v !== undefined).map((v) => cut(show(v))))].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  return { name, categories: categories.slice(0, MANY) };
}

const cut = (text: string): string => (text.length > 40 ? `${text.slice(0, 39)}…` : text);

export function coordinate(axis: Axis, v: Value): number | undefined {
  if (v === undefined || v === null) return undefined;
  if (axis.categories) {
    const i = axis.categories.indexOf(cut(show(v)));
    return i < 0 ? undefined : i;
  }
  const n = asNumber(v);
  return n !== undefined && Number.isFinite(n) ? n : undefined;
}

export function valueText(name: string, v: number): string {
  if (name === "elapsed") return duration(v);
  return name.startsWith("telemetry_") ? metric(name, v) : showNumber(v);
}

export const short = (name: string): string => {
  const text = name.replace(/^(used|generated)\./, "").replace(/^telemetry_(\w+)\./, "$1 ");
  return text.length > 28 ? `${text.slice(0, 27)}…` : text;
};

const RAMP_LIGHT = ["#1b4f8a", "#3f8f8f", "#c9a227", "#b5482a"];
const RAMP_DARK = ["#6fb1f2", "#6fc7b8", "#e2c25a", "#f08a6a"];

function base(dark: boolean): EChartsCoreOption {
  return {
    animation: false,
    color: dark ? RAMP_DARK : RAMP_LIGHT,
    textStyle: { fontFamily: 'system-ui, "Liberation Sans", sans-serif', color: color("text") },
    tooltip: {
      renderMode: "richText", // no markup is ever made of data
      confine: true,
      backgroundColor: color("panel"),
      borderColor: color("line-strong"),
      textStyle: { color: color("text"), fontSize: 12 },
    },
  };
}

function ramp(dark: boolean, axis: Axis, values: number[], dimension: number): object {
  const min = Math.min(...values);
  const max = Math.max(...values);
  return {
    type: "continuous",
    min: Number.isFinite(min) ? min : 0,
    max: Number.isFinite(max) && max > min ? max : min + 1,
    dimension,
    inRange: { color: dark ? RAMP_DARK : RAMP_LIGHT },
    calculable: false,
    orient: "horizontal",
    left: "center",
    bottom: 4,
    itemHeight: 160,
    itemWidth: 10,
    text: [axis.categories ? (axis.categories.at(-1) ?? "") : valueText(axis.name, max), axis.categories ? (axis.categories[0] ?? "") : valueText(axis.name, min)],
    textStyle: { color: color("soft") },
  };
}

const WIDE = 1000;

// spread says whether numbers are best told apart by their magnitude.
function spread(values: (number | null | undefined)[]): boolean {
  const known = values.filter((v) => typeof v === "number");
  const least = Math.min(...known);
  return known.length > 0 && least > 0 && Math.max(...known) / least > WIDE;
}

export function parallel(axes: Axis[], coloured: Axis, rows: Row[], dark: boolean): EChartsCoreOption {
  const data = rows.map((r) => [...axes.map((a) => coordinate(a, r[a.name]) ?? null), coordinate(coloured, r[coloured.name]) ?? null]);
  const values = data.map((d) => d[axes.length]).filter((v): v is number => typeof v === "number");
  return {
    ...base(dark),
    tooltip: { show: false },
    parallel: { left: 60, right: 70, top: 50, bottom: 70, parallelAxisDefault: { areaSelectStyle: { width: 16, color: color("accent"), borderColor: color("accent"), opacity: 0.25 } } },
    parallelAxis: axes.map((a, dim) => ({
      dim,
      name: short(a.name),
      nameTextStyle: { color: color("text"), fontSize: 12, fontWeight: 600 },
      ...(a.categories ? { type: "category", data: a.categories } : { type: spread(data.map((d) => d[dim])) ? "log" : "value", scale: true, minInterval: data.every((d) => d[dim] === null || Number.isInteger(d[dim])) ? 1 : 0, axisLabel: { color: color("soft"), formatter: (v: number) => valueText(a.name, v) } }),
      axisLine: { lineStyle: { color: color("line-strong") } },
      ...(a.categories ? { axisLabel: { color: color("soft"), formatter: (t: string) => (t.length > 16 ? `${t.slice(0, 15)}…` : t) } } : {}),
    })),
    visualMap: ramp(dark, coloured, values, axes.length),
    series: [
      {
        type: "parallel",
        data,
        lineStyle: { width: rows.length > 500 ? 0.8 : 1.4, opacity: rows.length > 1000 ? 0.15 : rows.length > 100 ? 0.35 : 0.7 },
        inactiveOpacity: 0.03,
        activeOpacity: 0.9,
        progressive: 400,
      },
    ],
  };
}

export function scatter(x: Axis, y: Axis, coloured: Axis, rows: Row[], dark: boolean, log: { x: boolean; y: boolean }): EChartsCoreOption {
  const points: (number | string)[][] = [];
  const values: number[] = [];
  rows.forEach((r, i) => {
    const at = [coordinate(x, r[x.name]), coordinate(y, r[y.name])];
    const c = coordinate(coloured, r[coloured.name]);
    if (at[0] === undefined || at[1] === undefined) return;
    if ((log.x && at[0] <= 0) || (log.y && at[1] <= 0)) return;
    points.push([at[0], at[1], c ?? NaN, i]);
    if (c !== undefined) values.push(c);
  });
  const axis = (a: Axis, logarithmic: boolean, place: object): object => ({
    ...(a.categories ? { type: "category", data: a.categories } : { type: logarithmic ? "log" : "value", scale: true }),
    name: short(a.name),
    nameLocation: "middle",
    nameTextStyle: { color: color("text"), fontWeight: 600 },
    axisLabel: { color: color("soft"), hideOverlap: true, ...(a.categories ? {} : { formatter: (v: number) => valueText(a.name, v) }) },
    axisLine: { show: true, lineStyle: { color: color("line-strong") } },
    splitLine: { lineStyle: { color: color("line") } },
    ...place,
  });
  const tip = (p: { data: number[] }): string => {
    const r = rows[p.data[3]!]!;
    const line = (a: Axis): string => `${short(a.name)}: ${a.categories ? cut(show(r[a.name])) : valueText(a.name, asNumber(r[a.name]) ?? NaN)}`;
    return [cut(show(r.task_id)), line(x), line(y), line(coloured)].join("\n");
  };
  return {
    ...base(dark),
    tooltip: { ...(base(dark).tooltip as object), trigger: "item", formatter: tip },
    grid: { left: 90, right: 40, top: 30, bottom: 100 },
    xAxis: axis(x, log.x, { nameGap: 30 }),
    yAxis: axis(y, log.y, { nameGap: 65 }),
    visualMap: ramp(dark, coloured, values, 2),
    series: [{ type: "scatter", data: points, symbolSize: rows.length > 2000 ? 4 : 8, itemStyle: { opacity: rows.length > 2000 ? 0.5 : 0.8 }, cursor: "pointer" }],
  };
}
