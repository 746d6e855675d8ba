import type { Query } from "./api";
import type { Completion, Known } from "./filter";

// Help with queries written as JSON: what may stand within the quotes at the caret, and the same query in Python.

const KEYS = ["filter", "projection", "aggregation", "sort", "limit"];
const OPERATIONS = ["min", "max", "avg", "sum", "count", "stddev", "median", "p95"];
const OPERATORS = ["$eq", "$ne", "$lt", "$lte", "$gt", "$gte", "$in", "$nin", "$exists", "$regex", "$and", "$or", "$nor", "$not"];

export function completeJSON(text: string, caret: number, known: Known[]): Completion {
  const none = { from: caret, to: caret, options: [] };
  const before = text.slice(0, caret);
  const quote = openQuote(before);
  if (quote < 0) return none;
  const typed = before.slice(quote + 1);
  const from = quote + 1;
  const path = keysTo(before.slice(0, quote));
  const options = among(path, before.slice(0, quote), known);
  const low = typed.toLowerCase();
  const starts = options.filter((o) => o.toLowerCase().startsWith(low));
  const holds = options.filter((o) => !o.toLowerCase().startsWith(low) && o.toLowerCase().includes(low));
  return { from, to: caret, options: [...starts, ...holds].filter((o) => o !== typed) };
}

function among(path: string[], before: string, known: Known[]): string[] {
  const fields = known.map((f) => f.name);
  const value = /:\s*$/.test(before) || (/[[,]\s*$/.test(before) && path.at(-1) === "$in");
  switch (path[0]) {
    case undefined:
      return KEYS;
    case "projection":
      return fields;
    case "aggregation":
      return /\[\s*$/.test(before) ? OPERATIONS : fields;
    case "sort":
      return /,\s*$/.test(before) && !/\]\s*,\s*$/.test(before) ? ["ascending", "descending"] : fields;
    case "filter": {
      const field = path.findLast((k) => !k.startsWith("$") && k !== "filter");
      if (value && field) return known.find((f) => f.name === field)?.values ?? [];
      return field && !path.at(-1)!.startsWith("$") && path.at(-1) !== "filter" ? OPERATORS : [...fields, ...OPERATORS.slice(-4)];
    }
  }
  return [];
}

// openQuote is where the text that the caret is in begins; -1 outside of one.
function openQuote(before: string): number {
  let open = -1;
  for (let i = 0; i < before.length; i++) {
    if (before[i] === "\\" && open >= 0) i++;
    else if (before[i] === '"') open = open < 0 ? i : -1;
  }
  return open;
}

// keysTo are the keys of the objects around the end of a text.
function keysTo(before: string): string[] {
  const path: string[] = [];
  const stack: { key: string | undefined; array: boolean }[] = [];
  let last: string | undefined;
  let key: string | undefined;
  for (let i = 0; i < before.length; i++) {
    const c = before[i]!;
    if (c === '"') {
      let j = i + 1;
      while (j < before.length && before[j] !== '"') j += before[j] === "\\" ? 2 : 1;
      last = before.slice(i + 1, j);
      i = j;
    } else if (c === ":") key = last;
    else if (c === "," && !stack.at(-1)?.array) key = undefined;
    else if (c === "{" || c === "[") {
      stack.push({ key, array: c === "[" });
      key = undefined;
    } else if (c === "}" || c === "]") {
      stack.pop();
      key = undefined;
    }
  }
  for (const s of stack) if (s.key !== undefined) path.push(s.key);
  if (key !== undefined) path.push(key);
  return path;
}

export function asPython(q: Query): string {
  const parts = Object.entries(q).map(([k, v]) => `    ${k}=${python(v)},`);
  return `import mida\n\nmida.query(\n${parts.join("\n")}\n)`;
}

function python(v: unknown): string {
  if (v === null || v === undefined) return "None";
  if (typeof v === "boolean") return v ? "True" : "False";
  if (Array.isArray(v)) return `[${v.map(python).join(", ")}]`;
  if (typeof v === "object") return `{${Object.entries(v).map(([k, x]) => `${JSON.stringify(k)}: ${python(x)}`).join(", ")}}`;
  return JSON.stringify(v);
}
