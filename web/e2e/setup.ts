import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { big, hostile } from "./data";
import { buildServer, Server, startCollector, type Address } from "./servers";

declare module "vitest" {
  interface ProvidedContext {
    demo: Address;
    empty: Address;
    big: Address;
    hostile: Address;
    server: string; // the test server's program
    directory: string;
  }
}

export const BIG = 100_000;

// Servers over four stores: what a real demo recorded, nothing, 100,000 tasks, and hostile data. For the benchmark one, over a
// store that is there already.
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const recorded = process.env.MIDA_UI_DEMO ?? "";
  const collector = process.env.MIDA_BIN ?? "";
  if (!process.env.MIDA_CHROMIUM || (!process.env.MIDA_UI_STORE && (!recorded || !collector))) throw new Error("MIDA_UI_DEMO, MIDA_BIN and MIDA_CHROMIUM are not set; `make test-ui` sets them");
  const directory = mkdtempSync(join(tmpdir(), "mida-ui-"));
  const binary = buildServer(directory);
  const stops: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(stops.map((f) => f()));
    rmSync(directory, { recursive: true, force: true });
  };
  const kept = process.env.MIDA_UI_STORE;
  try {
    if (kept) {
      const server = Server.start(binary, kept); // tasks that were stored before
      stops.push(() => server.stop());
      project.provide("big", await server.address());
      return stop;
    }
    await serve(project, directory, binary, collector, recorded, stops);
  } catch (e) {
    await stop();
    throw e;
  }
  return stop;
}

async function serve(project: TestProject, directory: string, binary: string, collector: string, recorded: string, stops: (() => Promise<void>)[]): Promise<void> {
  const servers = ["empty", "big", "hostile"].map((name) => Server.start(binary, join(directory, name)));
  stops.push(...servers.map((s) => () => s.stop()));
  const demo = await startCollector(collector, recorded, join(directory, "demo"));
  stops.push(demo.stop);
  const began = Date.now();
  if (!process.env.MIDA_UI_PICTURES) {
    await Promise.all([servers[1]!.load(big(BIG)), servers[2]!.load(hostile())]);
    console.log(`web: ${BIG} tasks stored in ${((Date.now() - began) / 1000).toFixed(1)} s`);
  }
  project.provide("demo", demo.address);
  project.provide("empty", await servers[0]!.address());
  project.provide("big", await servers[1]!.address());
  project.provide("hostile", await servers[2]!.address());
  project.provide("server", binary);
  project.provide("directory", directory);
}
