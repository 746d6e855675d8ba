import { describe, expect, test } from "vitest";
import { complete, Mistake, ofTools, parseFilter, quoted } from "./filter";

describe("a filter in the short form", () => {
  test.each([
    ["status = FAILED", { status: { $eq: "FAILED" } }],
    ["used.layers>2", { "used.layers": { $gt: 2 } }],
    ["used.name = \"a b (c)\"", { "used.name": { $eq: "a b (c)" } }],
    ["task_id ~ ^train-1", { task_id: { $regex: "^train-1" } }],
    ["task_id ~ 12", { task_id: { $regex: "12" } }],
    ["a.b != true", { "a.b": { $ne: true } }],
    ["used.x = null", { "used.x": { $eq: null } }],
    ["used.x = NaN", { "used.x": { $eq: { $float: "NaN" } } }],
    ["used.x exists", { "used.x": { $exists: true } }],
    ["not used.x exists", { $nor: [{ "used.x": { $exists: true } }] }],
    ['used.opt in ["adam", "sgd"]', { "used.opt": { $in: ["adam", "sgd"] } }],
    ["a = 1 and b = 2 or c = 3", { $or: [{ $and: [{ a: { $eq: 1 } }, { b: { $eq: 2 } }] }, { c: { $eq: 3 } }] }],
    ["a = 1 and (b = 2 or c = 3)", { $and: [{ a: { $eq: 1 } }, { $or: [{ b: { $eq: 2 } }, { c: { $eq: 3 } }] }] }],
    ['{"used.x": {"$gt": 1}}', { "used.x": { $gt: 1 } }],
  ])("%s", (text, want) => expect(parseFilter(text)).toEqual(want));

  test("nothing is no filter", () => expect(parseFilter("  ")).toBeUndefined());

  test.each([
    ["status", 6],
    ["status =", 8],
    ["= 3", 0],
    ["a = 1 b = 2", 6],
    ["a = \"b", 4],
    ["(a = 1", 6],
    ["a in 3", 5],
    ["{not json", 0],
  ])("%s says where it goes wrong", (text, at) => {
    let caught: unknown;
    try {
      parseFilter(text);
    } catch (e) {
      caught = e;
    }
    expect(caught).toBeInstanceOf(Mistake);
    expect((caught as Mistake).at).toBe(at);
  });
});

describe("completion", () => {
  const known = [{ name: "status", values: ["FAILED", "FINISHED"] }, { name: "used.layers" }, { name: "used.learning_rate" }];
  const at = (text: string) => complete(text, text.length, known);
  test("of fields, those that begin so first", () => expect(at("lay").options).toEqual(["used.layers"]));
  test("of operators behind a field", () => expect(at("status ").options).toContain("="));
  test("of values behind an operator", () => expect(at("status = FA").options).toEqual(["FAILED"]));
  test("of words between conditions", () => expect(at("status = FAILED ").options).toEqual(["and", "or"]));
  test("of fields behind and", () => expect(at("status = FAILED and used.le").options).toEqual(["used.learning_rate"]));
  test("of nothing within JSON", () => expect(at('{"st').options).toEqual([]));
  test("quotes what needs quotes", () => {
    expect(quoted("round 1")).toBe('"round 1"');
    expect(quoted("1")).toBe('"1"');
    expect(quoted("adam")).toBe("adam");
  });
});

test("what people did is left out unless kinds are asked for", () => {
  expect(ofTools(undefined)).toEqual({ kind: { $ne: "people" } });
  expect(ofTools({ a: 1 })).toEqual({ $and: [{ a: 1 }, { kind: { $ne: "people" } }] });
  expect(ofTools({ $and: [{ kind: "people" }] })).toEqual({ $and: [{ kind: "people" }] });
});
