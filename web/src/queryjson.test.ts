import { expect, test } from "vitest";
import { asPython, completeJSON } from "./queryjson";

const known = [{ name: "status", values: ["FAILED"] }, { name: "used.layers" }, { name: "generated.loss" }];
const at = (text: string) => completeJSON(text, text.length, known).options;

test.each([
  ['{"fil', ["filter"]],
  ['{"filter": {"used', ["used.layers"]],
  ['{"filter": {"status": "', ["FAILED"]],
  ['{"filter": {"used.layers": {"$g', ["$gt", "$gte"]],
  ['{"projection": ["gen', ["generated.loss"]],
  ['{"aggregation": [["mi', ["min"]],
  ['{"aggregation": [["min", "gen', ["generated.loss"]],
  ['{"sort": [["used.layers", "desc', ["descending"]],
  ['{"filter": {}, "pro', ["projection"]],
  ["{", []],
])("%s", (text, want) => expect(at(text)).toEqual(want));

test("the same query in Python", () => {
  expect(asPython({ filter: { "used.swa": true, "used.x": null as unknown as string }, limit: 3 })).toBe('import mida\n\nmida.query(\n    filter={"used.swa": True, "used.x": None},\n    limit=3,\n)');
});
