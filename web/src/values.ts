// Values as the API writes them: what JSON cannot hold has a form of its own ({"$float": "NaN"}, {"$int": "…"},
// {"$bytes": "…"}, {"$cut": {…}}).

export class Bytes {
  constructor(readonly base64: string) {}
}
export class Cut {
  constructor(readonly what: Value) {}
}
export type Value =
  | null | boolean | number | bigint | string | Bytes | Cut | Value[] | { [key: string]: Value } | undefined;

type Source = { source?: string } | undefined;

export function decode(text: string): Value {
  const revive = (_key: string, v: unknown, context?: Source): unknown => (typeof v === "number" ? number(v, context?.source) : v);
  return special(JSON.parse(text, revive as (k: string, v: unknown) => unknown));
}

function number(v: number, source: string | undefined): number | bigint {
  if (!Number.isSafeInteger(v) && source !== undefined && /^-?\d+$/.test(source)) return BigInt(source);
  return v;
}

// special reads the forms of special values, from the outside: within {"$map": …} there are none.
function special(v: unknown): Value {
  if (Array.isArray(v)) {
    for (let i = 0; i < v.length; i++) if (typeof v[i] === "object") v[i] = special(v[i]);
    return v as Value[];
  }
  if (v === null || typeof v !== "object") return v as Value;
  const m = v as Record<string, unknown>;
  const keys = Object.keys(m);
  if (keys.length === 1) {
    const inner = m[keys[0]!];
    switch (keys[0]) {
      case "$float":
        if (inner === "NaN" || inner === "Infinity" || inner === "-Infinity") return Number(inner);
        break;
      case "$int":
        if (typeof inner === "string" && /^-?\d+$/.test(inner)) return BigInt(inner);
        break;
      case "$bytes":
        if (typeof inner === "string") return new Bytes(inner);
        break;
      case "$cut":
        return new Cut(inner as Value);
      case "$map":
        if (inner !== null && typeof inner === "object") return inner as Value;
    }
  }
  for (const k of keys) if (typeof m[k] === "object") m[k] = special(m[k]);
  return m as Value;
}

// encode gives the form in which a value goes into a filter.
export function encode(v: unknown): unknown {
  if (typeof v === "bigint") return { $int: String(v) };
  if (typeof v === "number" && !Number.isFinite(v)) return { $float: String(v) };
  if (v instanceof Bytes) return { $bytes: v.base64 };
  return v;
}

export function asNumber(v: Value): number | undefined {
  if (typeof v === "number") return v;
  if (typeof v === "bigint") return Number(v);
  if (typeof v === "boolean") return v ? 1 : 0;
  return undefined;
}

export function isMap(v: Value): v is { [key: string]: Value } {
  return v !== null && typeof v === "object" && !Array.isArray(v) && !(v instanceof Bytes) && !(v instanceof Cut);
}

const LONG = 2000;

// show is one line of text for people; long texts are cut, and say so.
export function show(v: Value): string {
  if (v === undefined) return "";
  if (v === null) return "null";
  if (typeof v === "string") return v.length > LONG ? `${v.slice(0, LONG)}… (${v.length.toLocaleString("en")} characters)` : v;
  if (typeof v === "number") return showNumber(v);
  if (v instanceof Bytes) return `${Math.floor((v.base64.length * 3) / 4)} bytes`;
  if (v instanceof Cut) return `cut: ${show(v.what)}`;
  if (typeof v === "object") {
    const text = JSON.stringify(v, (_k, x: unknown) => (typeof x === "bigint" ? String(x) : x)) ?? "";
    return text.length > LONG ? `${text.slice(0, LONG)}…` : text;
  }
  return String(v);
}

export function showNumber(v: number): string {
  if (!Number.isFinite(v)) return String(v);
  if (Number.isInteger(v)) return Math.abs(v) < 1e15 ? v.toString() : v.toExponential(4);
  const abs = Math.abs(v);
  if (abs >= 1e6 || abs < 1e-4) return v.toExponential(3);
  return String(Number(v.toPrecision(6)));
}

// leaves lists the values of a map by their full path.
export function leaves(v: Value, path = ""): [string, Value][] {
  if (!isMap(v)) return [[path, v]];
  const out: [string, Value][] = [];
  for (const [k, inner] of Object.entries(v)) out.push(...leaves(inner, path ? `${path}.${k}` : k));
  return out;
}
