// What a matrix of correlations is, and how it is put on a map: which fields, in which order, in which colours.

export interface Cell {
  x: string;
  y: string;
  n: number;
  statistic?: "pearson" | "spearman" | "eta";
  value?: number;
  p?: number;
  q?: number;
  reason?: string; // why there is no value
}
export interface Field {
  field: string;
  kind: string;
  n: number;
}
export interface Matrix {
  method: string;
  correction: string;
  tasks: number;
  read: number;
  tests: number;
  sampled: boolean;
  x: Field[];
  y: Field[];
  cells: Cell[]; // by x, then by y
  warnings?: string[];
}

export const X = ["used.*"];
export const PRESETS: Record<string, { name: string; y: string[] }> = {
  metrics: { name: "Metrics", y: ["generated.*", "elapsed"] },
  telemetry: { name: "Telemetry and time", y: ["telemetry_peak.*", "telemetry_delta.*", "elapsed"] },
};
export const ALPHA = 0.05;

// The address has fields parted by commas, as the API has them; a list of JSON where a name holds a comma.
export function readFields(text: string | null, otherwise: string[]): string[] {
  if (!text) return otherwise;
  if (text.startsWith("[")) {
    try {
      const list: unknown = JSON.parse(text);
      if (Array.isArray(list)) return list.filter((f) => typeof f === "string");
    } catch {
      // No list: a name that begins with a bracket, which the API judges.
    }
  }
  return text.split(",").map((f) => f.trim()).filter(Boolean);
}

export function writeFields(fields: string[]): string {
  return fields.some((f) => f.includes(",") || f.startsWith("[") || f !== f.trim()) ? JSON.stringify(fields) : fields.join(",");
}

export interface Layout {
  rows: string[];
  columns: string[];
  at: (row: number, column: number) => Cell;
  without: { field: string; reason: string }[]; // fields that have no number with any other, and are not drawn
}

export function layOut(m: Matrix, every: boolean, cluster: boolean): Layout {
  const byX = m.x.map((_, i) => m.cells.slice(i * m.y.length, (i + 1) * m.y.length));
  let rows = m.x.map((_, i) => i);
  let columns = m.y.map((_, j) => j);
  const without: Layout["without"] = [];
  if (!every) {
    const has = (c: Cell): boolean => c.value !== undefined;
    const leave = (field: string, cells: Cell[]): void => {
      without.push({ field, reason: cells.find((c) => c.reason?.startsWith(field))?.reason ?? cells[0]?.reason ?? "" });
    };
    for (const i of rows) if (!byX[i]!.some(has)) leave(m.x[i]!.field, byX[i]!);
    for (const j of columns) if (!byX.some((r) => has(r[j]!))) leave(m.y[j]!.field, byX.map((r) => r[j]!));
    rows = rows.filter((i) => byX[i]!.some(has));
    columns = columns.filter((j) => byX.some((r) => has(r[j]!)));
  }
  if (cluster) {
    const value = (i: number, j: number): number => byX[i]![j]!.value ?? 0;
    const byRow = clustered(rows.map((i) => columns.map((j) => value(i, j)))).map((k) => rows[k]!);
    columns = clustered(columns.map((j) => rows.map((i) => value(i, j)))).map((k) => columns[k]!);
    rows = byRow;
  }
  return { rows: rows.map((i) => m.x[i]!.field), columns: columns.map((j) => m.y[j]!.field), at: (r, c) => byX[rows[r]!]![columns[c]!]!, without };
}

// clustered orders vectors so that those which are alike stand beside each other: the leaves of a hierarchical clustering by
// average distance, each branch turned so that its nearest end touches the next one.
export function clustered(vectors: number[][]): number[] {
  const distance = vectors.map((a) => vectors.map((b) => Math.hypot(...a.map((v, k) => v - b[k]!))));
  const between = distance.map((row) => [...row]);
  const groups = new Map(vectors.map((_, i) => [i, [i]]));
  while (groups.size > 1) {
    let best: [number, number] | undefined;
    for (const i of groups.keys())
      for (const j of groups.keys()) if (i < j && (!best || between[i]![j]! < between[best[0]]![best[1]]!)) best = [i, j];
    const [i, j] = best!;
    const [a, b] = [groups.get(i)!, groups.get(j)!];
    for (const k of groups.keys()) between[i]![k] = between[k]![i] = (between[i]![k]! * a.length + between[j]![k]! * b.length) / (a.length + b.length);
    groups.set(i, joined(a, b, distance));
    groups.delete(j);
  }
  return [...groups.values()][0] ?? [];
}

function joined(a: number[], b: number[], distance: number[][]): number[] {
  const ways = [[a, b], [a.toReversed(), b], [a, b.toReversed()], [a.toReversed(), b.toReversed()]] as const;
  const gap = ([l, r]: readonly [number[], number[]]): number => distance[l.at(-1)!]![r[0]!]!;
  const [left, right] = ways.reduce((best, way) => (gap(way) < gap(best) ? way : best));
  return [...left, ...right];
}

type RGB = [number, number, number];
// Blue to red is told apart with every kind of colour blindness; what has no direction has no hue.
const SCALES: Record<"light" | "dark", { zero: RGB; up: RGB; down: RGB; eta: RGB }> = {
  light: { zero: [247, 247, 247], up: [178, 24, 43], down: [33, 102, 172], eta: [82, 82, 82] },
  dark: { zero: [42, 50, 60], up: [244, 132, 95], down: [98, 174, 245], eta: [214, 219, 226] },
};

export function fill(value: number, eta: boolean, theme: "light" | "dark"): { fill: string; text: string } {
  const scale = SCALES[theme];
  const end = eta ? scale.eta : value < 0 ? scale.down : scale.up;
  const share = Math.min(1, Math.abs(value));
  const at = scale.zero.map((z, i) => Math.round(z + (end[i]! - z) * share)) as RGB;
  return { fill: `rgb(${at.join(" ")})`, text: luminance(at) > 0.179 ? "#000000" : "#ffffff" }; // the one with more contrast
}

function luminance(c: RGB): number {
  const [r, g, b] = c.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4)) as RGB;
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

const STATISTICS = { pearson: "Pearson", spearman: "Spearman", eta: "η" };
export const CORRECTIONS: Record<string, string> = { "benjamini-hochberg": "Benjamini–Hochberg", holm: "Holm", bonferroni: "Bonferroni" };
export const statistic = (c: Cell): string => (c.statistic ? STATISTICS[c.statistic] : "");

const short = (v: number): string => v.toFixed(2).replace(/^-(?=.*[1-9])/, "−").replace(/^-/, "");

// inCell is what stands in a cell of the map: the value, or the reason in a word.
export function inCell(c: Cell): string {
  if (c.value !== undefined) return (c.statistic === "eta" ? "η " : "") + short(c.value);
  const reason = c.reason ?? "";
  if (reason.includes("is constant")) return "const.";
  if (reason.includes("fewer than")) return `n = ${c.n}`;
  if (reason.includes("names rather than") || reason.includes("more than")) return "names";
  return reason.includes("are categories") ? "text" : "–";
}

export function probability(p: number | undefined): string {
  if (p === undefined) return "–";
  return p !== 0 && p < 0.001 ? p.toExponential(1) : p.toFixed(3);
}

// told is the whole cell in words.
export function told(c: Cell): string {
  if (c.value === undefined) return `${c.x} with ${c.y}: ${inCell(c)}, no number: ${c.reason ?? "unknown"}`;
  return `${c.x} with ${c.y}: ${statistic(c)} ${short(c.value)}, n ${c.n}, p ${probability(c.p)}, q ${probability(c.q)}`;
}

export const known = (c: Cell): boolean => c.q !== undefined && c.q < ALPHA;

const LONGEST = 34;

// label is the name of a field on an axis; of a long one the end tells it apart.
export function label(name: string): string {
  const text = name.replace(/^(used|generated)\./, "").replace(/^telemetry_(\w+?)\./, "$1 ");
  return text.length > LONGEST ? `…${text.slice(1 - LONGEST)}` : text;
}
