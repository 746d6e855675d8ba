import type { Filter } from "./api";

// The filter box's short form of the query language: conditions such as `used.layers > 2`, joined by and, or, not and
// parentheses; or a filter as JSON (docs/query.md). The operators are those of the command mida.

export const OPERATORS: Record<string, string> = {
  "=": "$eq", "==": "$eq", "!=": "$ne", "<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte", "~": "$regex",
};
const WORDS = new Set(["and", "or", "not", "exists", "in"]);

export interface Token {
  kind: "field" | "operator" | "word" | "value" | "open" | "close";
  text: string;
  from: number;
  to: number;
  value?: unknown;
}

// Mistake says where a filter cannot be read.
export class Mistake extends Error {
  constructor(message: string, readonly at: number) {
    super(message);
  }
}

export function tokens(text: string): Token[] {
  const out: Token[] = [];
  let i = 0;
  let wantValue = false;
  while (i < text.length) {
    const c = text[i]!;
    if (/\s/.test(c)) {
      i++;
      continue;
    }
    const from = i;
    if (wantValue) {
      i = endOfValue(text, i);
      out.push({ kind: "value", text: text.slice(from, i), from, to: i, value: valueOf(text.slice(from, i)) });
      wantValue = false;
      continue;
    }
    if (c === "(" || c === ")") {
      i++;
      out.push({ kind: c === "(" ? "open" : "close", text: c, from, to: i });
      continue;
    }
    const operator = /^(!=|<=|>=|==|<|>|~|=)/.exec(text.slice(i))?.[0];
    if (operator) {
      i += operator.length;
      out.push({ kind: "operator", text: operator, from, to: i });
      wantValue = true;
      continue;
    }
    const word = /^[^\s=!<>~()]+/.exec(text.slice(i))?.[0];
    if (!word) throw new Mistake(`"${c}" is not expected here`, i);
    i += word.length;
    const kind = WORDS.has(word.toLowerCase()) ? "word" : "field";
    out.push({ kind, text: word, from, to: i });
    wantValue = word.toLowerCase() === "in";
  }
  return out;
}

function endOfValue(text: string, i: number): number {
  const c = text[i];
  if (c === '"') {
    for (let j = i + 1; j < text.length; j++) {
      if (text[j] === "\\") j++;
      else if (text[j] === '"') return j + 1;
    }
    throw new Mistake("the text has no closing quote", i);
  }
  if (c === "[" || c === "{") return endOfBracket(text, i);
  const bare = /^[^\s()]+/.exec(text.slice(i));
  if (!bare) throw new Mistake("a value is missing", i);
  return i + bare[0].length;
}

function endOfBracket(text: string, i: number): number {
  let depth = 0;
  let quoted = false;
  for (let j = i; j < text.length; j++) {
    const c = text[j]!;
    if (quoted) {
      if (c === "\\") j++;
      else if (c === '"') quoted = false;
    } else if (c === '"') quoted = true;
    else if (c === "[" || c === "{") depth++;
    else if ((c === "]" || c === "}") && --depth === 0) return j + 1;
  }
  throw new Mistake(`"${text[i]!}" is not closed`, i);
}

function valueOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text === "NaN" || text === "Infinity" || text === "-Infinity" ? { $float: text } : text;
  }
}

export function parseFilter(text: string): Filter | undefined {
  const trimmed = text.trim();
  if (trimmed === "") return undefined;
  if (trimmed.startsWith("{")) {
    try {
      return JSON.parse(trimmed) as Filter;
    } catch (e) {
      throw new Mistake(`not JSON: ${e instanceof Error ? e.message : String(e)}`, 0);
    }
  }
  return new Parser(tokens(text), text.length).whole();
}

class Parser {
  private i = 0;
  constructor(private readonly list: Token[], private readonly end: number) {}

  whole(): Filter {
    const f = this.or();
    const rest = this.list[this.i];
    if (rest) throw new Mistake(`"${rest.text}" is not expected here; join conditions by and, or`, rest.from);
    return f;
  }

  private or(): Filter {
    const parts = [this.and()];
    while (this.word("or")) parts.push(this.and());
    return parts.length === 1 ? parts[0]! : { $or: parts };
  }

  private and(): Filter {
    const parts = [this.factor()];
    while (this.word("and")) parts.push(this.factor());
    return parts.length === 1 ? parts[0]! : { $and: parts };
  }

  private factor(): Filter {
    if (this.word("not")) return { $nor: [this.factor()] };
    const t = this.list[this.i];
    if (t?.kind === "open") {
      this.i++;
      const inner = this.or();
      if (this.list[this.i]?.kind !== "close") throw new Mistake('")" is missing', this.list[this.i]?.from ?? this.end);
      this.i++;
      return inner;
    }
    if (t?.kind !== "field") throw new Mistake("a field is missing, such as status or used.layers", t?.from ?? this.end);
    this.i++;
    return this.condition(t.text);
  }

  private condition(field: string): Filter {
    if (this.word("exists")) return { [field]: { $exists: true } };
    if (this.word("in")) {
      const value = this.value(field);
      if (!Array.isArray(value)) throw new Mistake('after in comes a list, such as ["a", "b"]', this.list[this.i - 1]?.from ?? this.end);
      return { [field]: { $in: value } };
    }
    const t = this.list[this.i];
    if (t?.kind !== "operator") throw new Mistake(`after ${field} comes one of = != < <= > >= ~ in exists`, t?.from ?? this.end);
    this.i++;
    const raw = this.list[this.i];
    const value = this.value(field);
    const operator = OPERATORS[t.text]!;
    return { [field]: { [operator]: operator === "$regex" && typeof value !== "string" ? raw!.text : value } };
  }

  private value(field: string): unknown {
    const t = this.list[this.i];
    if (t?.kind !== "value") throw new Mistake(`a value for ${field} is missing`, t?.from ?? this.end);
    this.i++;
    return t.value;
  }

  private word(w: string): boolean {
    const t = this.list[this.i];
    if (t?.kind !== "word" || t.text.toLowerCase() !== w) return false;
    this.i++;
    return true;
  }
}

export function and(...filters: (Filter | undefined)[]): Filter | undefined {
  const parts = filters.filter((f) => f !== undefined);
  return parts.length === 0 ? undefined : parts.length === 1 ? parts[0] : { $and: parts };
}

// ofTools leaves out what people did, such as annotations long after the campaign, unless the filter asks for kinds.
export function ofTools(filter: Filter | undefined): Filter | undefined {
  return JSON.stringify(filter ?? {}).includes('"kind"') ? filter : and(filter, { kind: { $ne: "people" } });
}

export interface Known {
  name: string;
  values?: string[];
}
export interface Completion {
  from: number;
  to: number;
  options: string[];
}

// complete says what may stand at the caret.
export function complete(text: string, caret: number, fields: Known[]): Completion {
  const none = { from: caret, to: caret, options: [] };
  if (text.trimStart().startsWith("{")) return none;
  let list: Token[];
  try {
    list = tokens(text.slice(0, caret));
  } catch {
    return none;
  }
  const last = list.at(-1);
  const typing = last !== undefined && last.to === caret && (last.kind === "field" || last.kind === "word" || last.kind === "value") ? last : undefined;
  const before = typing ? list.at(-2) : last;
  const from = typing ? typing.from : caret;
  const typed = (typing?.text ?? "").toLowerCase();
  const among = (options: string[]): Completion => ({ from, to: caret, options: rank(options, typed).slice(0, 50) });
  if (!before || before.kind === "open" || (before.kind === "word" && ["and", "or", "not"].includes(before.text.toLowerCase())))
    return among([...fields.map((f) => f.name), ...(before ? [] : ["not"])]);
  if (before.kind === "field") return among(["=", "!=", "<", "<=", ">", ">=", "~", "in", "exists"]);
  if (before.kind === "operator") {
    const field = list.at(typing ? -3 : -2)?.text;
    return among((fields.find((f) => f.name === field)?.values ?? []).map(quoted));
  }
  return among(["and", "or"]);
}

export function quoted(value: string): string {
  const bare = /^[A-Za-z_][^\s()"]*$/.test(value) && !/^(true|false|null|NaN|Infinity)$/.test(value);
  return bare ? value : JSON.stringify(value);
}

function rank(options: string[], typed: string): string[] {
  if (typed === "") return options;
  const starts = options.filter((o) => o.toLowerCase().startsWith(typed));
  const holds = options.filter((o) => !o.toLowerCase().startsWith(typed) && o.toLowerCase().includes(typed));
  return [...starts, ...holds].filter((o) => o !== typed);
}
