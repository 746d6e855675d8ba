import { expect, test } from "vitest";
import type { FieldInfo } from "../fields";
import { metricsOf, usualMetric, usualOrder } from "./model";

const field = (name: string, tasks = 1, type: FieldInfo["type"] = "number"): FieldInfo => ({ name, type, tasks });

test("metrics are what tasks generated, then telemetry and the rest; parameters are none", () => {
  const list = metricsOf([field("telemetry_peak.x"), field("used.layers"), field("attributes.n"), field("generated.loss", 3), field("generated.mse", 9), field("generated.name", 9, "text")]);
  expect(list.map((f) => f.name)).toEqual(["generated.mse", "generated.loss", "telemetry_peak.x", "attributes.n"]);
});

test("the metric of an evaluation is asked first, whatever there is more of", () => {
  expect(usualMetric([field("generated.size", 99), field("generated.history.mse.count", 99), field("generated.history.test_mse", 99), field("generated.loss", 37), field("generated.test_mse", 10)])).toBe("generated.test_mse");
  expect(usualMetric([field("generated.size", 99)])).toBe("generated.size");
  expect(usualMetric([field("telemetry_peak.x")])).toBeUndefined();
});

test("accuracy is best high, errors are best low", () => {
  expect(["generated.accuracy", "generated.val_f1", "generated.loss", "generated.mse", "generated.accurate_to"].map(usualOrder)).toEqual(["descending", "descending", "ascending", "ascending", "ascending"]);
});
