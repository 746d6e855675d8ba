// Made-up tasks, as observers would send them (docs/journal.md).

const S = 1_000_000_000;
export const BEGAN = 1_790_000_000;

export interface Claim {
  role: "used" | "generated";
  entity: string;
  evidence: string;
  confidence: number;
  time?: number;
  field?: string;
  label?: string;
}

export function file(role: Claim["role"], path: string, at: number): Claim {
  return { role, entity: `file:site:${path}`, evidence: "path", confidence: 0.95, time: Math.round(at * S), field: `${role}.path`, label: path };
}

export function task(key: string, change: Record<string, unknown> = {}, at = BEGAN, took = 1): Record<string, unknown> {
  return {
    event: "mida.task.finished", time: Math.round((at + took) * S), kind: "synthetic", scope: "e2e", key, execution: "run", facet: "worker", attempt: 1,
    status: "FINISHED", campaign: "big", workflow_id: "w1", workflow_name: "search", activity: "train", submitted_at: Math.round((at - 0.5) * S),
    started_at: Math.round(at * S), ended_at: Math.round((at + took) * S), attributes: { "host.name": "node-1" }, ...change,
  };
}

// A small generator of numbers that are the same in every run.
function random(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

// big is a campaign of n tasks: images, datasets of them, trainings on these, evaluations of the models.
export function* big(n: number): Generator<object> {
  const r = random(7);
  const images = Math.floor(n * 0.15);
  const datasets = Math.floor(n * 0.05);
  const trainings = Math.floor(n * 0.7);
  const workers = 64;
  for (let i = 0; i < n; i++) {
    const at = BEGAN + (i / n) * 10_000 + r() * 5;
    const host = `node-${String(i % 16).padStart(2, "0")}`;
    const attributes = { "host.name": host, "dask.worker.name": `worker-${i % workers}`, "process.pid": 1000 + (i % workers) };
    const telemetry = { peak: { "process.memory.usage": Math.round(1e8 + r() * 4e9) }, delta: { "process.cpu.time": r() * 3 } };
    const common = { attributes, telemetry, kind: "dask" };
    if (i < images) {
      const path = `/data/img_${i}.npz`;
      yield task(`acquire-${i}`, { ...common, kind: "log", activity: "acquire_image", workflow_id: "w0", workflow_name: "acquire", generated: { path, defects: i % 40 }, claims: [file("generated", path, at + 1)] }, at, 0.5 + r());
    } else if (i < images + datasets) {
      const d = i - images;
      const used = [0, 1, 2].map((k) => `/data/img_${(d * 3 + k) % images}.npz`);
      yield task(`prepare-${d}`, { ...common, activity: "make_dataset", used: { paths: used }, generated: { path: `/data/set_${d}.npz` }, claims: [...used.map((p) => file("used", p, at)), file("generated", `/data/set_${d}.npz`, at + 1)] }, at, 1 + r());
    } else if (i < images + datasets + trainings) {
      const m = i - images - datasets;
      const failed = m % 97 === 5;
      const layers = 1 + (m % 4);
      const rate = 10 ** (-4 + 3 * r());
      const loss = Math.abs(Math.log10(rate) + 2.5) * 0.1 + 0.2 / layers + r() * 0.1;
      const end = at + 2 + layers * 2 * r();
      yield task(
        `train-${m}`,
        {
          ...common, activity: "train", status: failed ? "FAILED" : "FINISHED",
          used: { layers, learning_rate: rate, units: 16 * (1 + (m % 3)), optimizer: m % 2 ? "adam" : "sgd", path: `/data/set_${m % datasets}.npz` },
          ...(failed ? {} : { generated: { loss, accuracy: 1 - loss / 2, path: `/models/${m}.pkl` } }),
          claims: [file("used", `/data/set_${m % datasets}.npz`, at), ...(failed ? [] : [file("generated", `/models/${m}.pkl`, end)])],
          ...(failed ? { attributes: { ...attributes, "error.type": "ValueError", "exception.message": "diverged" } } : {}),
        },
        at,
        end - at,
      );
    } else {
      const m = (i * 7) % trainings;
      yield task(`evaluate-${i}`, { ...common, kind: "mlflow", activity: "evaluate", workflow_id: "w2", workflow_name: "evaluation", used: { path: `/models/${m}.pkl` }, generated: { mse: r() }, claims: [file("used", `/models/${m}.pkl`, at)] }, at, 0.5);
    }
  }
}

export const SCRIPT = `<script>window.attacked = 1</script><img src=x onerror="window.attacked = 1">`;
export const RTL = "\u202eتجربة\u202c مهمة \u2067עברית\u2069";

// hostile is what nobody should send: markup, text that turns the line round, huge text, thousands of keys.
export function* hostile(): Generator<object> {
  const keys: Record<string, unknown> = {};
  for (let i = 0; i < 5000; i++) keys[`key_${i}`] = i;
  const c = { campaign: "hostile" };
  yield task(SCRIPT, { ...c, activity: SCRIPT, workflow_name: SCRIPT, workflow_id: SCRIPT, used: { [SCRIPT]: SCRIPT, number: 1 }, generated: { html: SCRIPT, loss: 0.5 }, stdout: SCRIPT, stderr: SCRIPT, tags: [SCRIPT], claims: [{ ...file("generated", `/x/${SCRIPT}`, BEGAN), field: "generated.html" }] });
  yield task(RTL, { ...c, activity: RTL, workflow_name: RTL, used: { [RTL]: RTL, number: 2 }, generated: { loss: 0.25 }, claims: [file("used", `/x/${SCRIPT}`, BEGAN + 5)] }, BEGAN + 5);
  yield task("long", { ...c, activity: "long", used: { text: "x".repeat(1_000_000), lines: "word \n".repeat(160_000), number: 3 }, generated: { loss: 1 }, stdout: "line of output\n".repeat(66_000) });
  yield task("keys", { ...c, activity: "keys", used: keys, generated: { ...keys, loss: 2 } });
  yield task("odd", { ...c, activity: "odd", used: { nan: { $float: "NaN" }, big: { $int: "123456789012345678901234567890" }, exact: { $int: "9007199254740993" }, bytes: { $bytes: "AAEC" }, nothing: null, yes: true, formula: "=HYPERLINK(\"http://x\")" }, generated: { loss: { $float: "Infinity" } } });
  yield task("javascript:window.attacked=1", { ...c, activity: "javascript:window.attacked=1", status: "FAILED", used: { url: "javascript:window.attacked=1", number: 4 }, attributes: { "error.type": SCRIPT, "exception.message": SCRIPT, "exception.stacktrace": SCRIPT, "host.name": SCRIPT } });
  for (let i = 0; i < 300; i++) yield task(`n${i}`, { ...c, activity: `activity ${i} ${RTL.slice(0, 6)}`, used: { number: i }, generated: { loss: i / 7 } }, BEGAN + i);
}

