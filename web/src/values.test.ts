import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Bytes, Cut, decode, encode, isMap, leaves, show, type Value } from "./values";

// The same golden file as Go's and Python's. Node may not tell how a number was written, so exact ones are compared
// where the reader can know them.
interface Golden {
  name: string;
  json: string;
  value: unknown;
}
const golden = JSON.parse(readFileSync(new URL("../../internal/task/testdata/encoding_golden.json", import.meta.url), "utf8")) as Golden[];
const seesSource = ((): boolean => {
  let seen = false;
  JSON.parse("1", ((_k: string, v: unknown, c?: { source?: string }) => ((seen = c?.source !== undefined), v)) as (k: string, v: unknown) => unknown);
  return seen;
})();

const FLOATS: Record<string, number> = { nan: NaN, inf: Infinity, "-inf": -Infinity };

function matches(v: Value, want: unknown): boolean {
  if (want === null || typeof want === "boolean") return v === want;
  const [kind, content] = Object.entries(want as Record<string, unknown>)[0]!;
  switch (kind) {
    case "int": {
      const exact = BigInt(content as string);
      if (typeof v === "bigint") return v === exact;
      return typeof v === "number" && (Number.isSafeInteger(v) ? BigInt(v) === exact : !seesSource);
    }
    case "float":
      return Object.is(v, FLOATS[content as string] ?? Number(content));
    case "str":
      return typeof v === "string" && v === (content as string).replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "\ufffd");
    case "text":
      return typeof v === "string";
    case "bytes":
      return v instanceof Bytes && Buffer.from(v.base64, "base64").toString("hex") === content;
    case "list":
      return Array.isArray(v) && v.length === (content as unknown[]).length && (content as unknown[]).every((w, i) => matches(v[i], w));
    case "map":
      return isMap(v) || v instanceof Cut;
  }
  return false;
}

describe("values of the golden file", () => {
  test("there are some", () => expect(golden.length).toBeGreaterThan(50));
  test.each(golden.map((g) => [g.name, g] as const))("%s", (_name, g) => {
    const v = decode(g.json);
    expect(matches(v, g.value), `${g.json} read as ${show(v)}`).toBe(true);
  });
  test("a map that looks like a special value is a map", () => expect(decode('{"$map":{"$float":"NaN"}}')).toEqual({ $float: "NaN" }));
  test("what was cut says so", () => expect(decode('{"a":{"$cut":{"length":100}}}')).toEqual({ a: new Cut({ length: 100 }) }));
});

test("what goes into a filter keeps its value", () => {
  expect(encode(NaN)).toEqual({ $float: "NaN" });
  expect(encode(12345678901234567890n)).toEqual({ $int: "12345678901234567890" });
  expect(encode("x")).toBe("x");
});

test("long text is cut, and says so", () => {
  const text = show("x".repeat(1_000_000));
  expect(text.length).toBeLessThan(2100);
  expect(text).toContain("1,000,000 characters");
});

test("leaves have full paths", () => {
  expect(leaves({ a: { b: 1, c: { d: [1, 2] } }, e: "x" })).toEqual([["a.b", 1], ["a.c.d", [1, 2]], ["e", "x"]]);
});
