import { describe, expect, test } from "vitest";
import { clustered, fill, inCell, layOut, readFields, writeFields, type Cell, type Matrix } from "./model";

const matrix = (x: string[], y: string[], values: (number | string)[][]): Matrix => ({
  method: "pearson", correction: "benjamini-hochberg", tasks: 9, read: 9, tests: 1, sampled: false,
  x: x.map((field) => ({ field, kind: "number", n: 9 })),
  y: y.map((field) => ({ field, kind: "number", n: 9 })),
  cells: x.flatMap((a, i) => y.map((b, j): Cell => {
    const v = values[i]![j]!;
    return { x: a, y: b, n: 9, statistic: "pearson", ...(typeof v === "number" ? { value: v } : { reason: v }) };
  })),
});

describe("the map", () => {
  const m = matrix(["a", "b", "c"], ["m", "n"], [[0.9, "n is constant"], ["b is constant", "b is constant"], [-0.9, "n is constant"]]);

  test("leaves out fields without any number, and says why", () => {
    const l = layOut(m, false, false);
    expect([l.rows, l.columns]).toEqual([["a", "c"], ["m"]]);
    expect(l.without).toEqual([{ field: "b", reason: "b is constant" }, { field: "n", reason: "n is constant" }]);
    expect(l.at(1, 0)).toMatchObject({ x: "c", y: "m", value: -0.9 });
  });

  test("shows every field on request", () => {
    const l = layOut(m, true, false);
    expect([l.rows, l.columns, l.without]).toEqual([["a", "b", "c"], ["m", "n"], []]);
    expect(inCell(l.at(1, 1))).toBe("const.");
  });

  test("puts fields that are alike beside each other, each cell with its own value", () => {
    const values = [[0.9, 0.8, 0.1], [-0.9, -0.7, 0], [0.85, 0.8, 0.1], [-0.88, -0.7, 0.1]];
    const l = layOut(matrix(["a", "b", "c", "d"], ["m", "n", "o"], values), false, true);
    const at = (name: string): number => l.rows.indexOf(name);
    expect([Math.abs(at("a") - at("c")), Math.abs(at("b") - at("d"))]).toEqual([1, 1]);
    for (const [r, x] of l.rows.entries()) for (const [c, y] of l.columns.entries()) expect(l.at(r, c)).toMatchObject({ x, y, value: values["abcd".indexOf(x)]!["mno".indexOf(y)] });
  });

  test("clusters nothing, one, and what is all alike", () => {
    expect(clustered([])).toEqual([]);
    expect(clustered([[1]])).toEqual([0]);
    expect(clustered([[0], [0], [0]]).toSorted()).toEqual([0, 1, 2]);
  });
});

test("fields of an address are read as they were written, commas and all", () => {
  for (const list of [["used.*", "elapsed"], ["used.a,b"], ["[x"], [" used.a"]]) expect(readFields(writeFields(list), [])).toEqual(list);
  expect(readFields(null, ["used.*"])).toEqual(["used.*"]);
});

test("the number in every colour of both themes can be read (WCAG: 4.5)", () => {
  const light = (css: string): number => {
    const parts = css.startsWith("#") ? [1, 3, 5].map((i) => parseInt(css.slice(i, i + 2), 16)) : css.match(/\d+/g)!.map(Number);
    const [r, g, b] = parts.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
  };
  for (const theme of ["light", "dark"] as const)
    for (const eta of [true, false])
      for (let v = eta ? 0 : -1; v <= 1; v += 0.05) {
        const c = fill(v, eta, theme);
        const [a, b] = [light(c.fill), light(c.text)].toSorted((p, q) => q - p);
        expect((a! + 0.05) / (b! + 0.05)).toBeGreaterThan(4.5);
      }
});

test("a small negative number is no minus zero", () => {
  expect(inCell({ x: "a", y: "b", n: 9, statistic: "pearson", value: -0.001 })).toBe("0.00");
  expect(inCell({ x: "a", y: "b", n: 9, statistic: "pearson", value: -0.5 })).toBe("−0.50");
  expect(inCell({ x: "a", y: "b", n: 9, statistic: "eta", value: 0.5 })).toBe("η 0.50");
});
