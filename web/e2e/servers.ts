import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { once } from "node:events";

export const ROOT = resolve(import.meta.dirname, "../..");

export interface Address {
  url: string;
  token: string;
}

const DEADLINE = 60_000;

export async function until<T>(what: string, ask: () => T | undefined | Promise<T | undefined>): Promise<T> {
  const end = Date.now() + DEADLINE;
  for (;;) {
    const v = await ask();
    if (v !== undefined) return v;
    if (Date.now() > end) throw new Error(`after ${DEADLINE / 1000} s: ${what}`);
    await new Promise((r) => setTimeout(r, 50));
  }
}

export function buildServer(into: string): string {
  const binary = join(into, "testserver");
  const done = spawnSync(process.env.GO ?? "go", ["build", "-trimpath", "-o", binary, "./extension/taskquery/internal/testserver"], {
    cwd: ROOT,
    env: { ...process.env, CGO_ENABLED: "0" },
    encoding: "utf8",
  });
  if (done.status !== 0) throw new Error(`the test server does not build: ${done.stderr}`);
  return binary;
}

// Server is the query API over a store of its own.
export class Server {
  private said = "";
  private constructor(
    private readonly process: ChildProcess,
    private readonly directory: string,
  ) {
    process.stdout?.setEncoding("utf8").on("data", (s: string) => (this.said += s));
  }

  static start(binary: string, directory: string): Server {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    return new Server(spawn(binary, [directory], { stdio: ["pipe", "pipe", "inherit"] }), directory);
  }

  address(): Promise<Address> {
    return until(`no server in ${this.directory}`, () => addressIn(join(this.directory, "mida-data"), this.process.pid));
  }

  // load stores events (maps of docs/journal.md) and returns when they are.
  async load(events: Iterable<object>): Promise<void> {
    const input = this.process.stdin!;
    let batch: string[] = [];
    let sent = (this.said.match(/ready/g) ?? []).length;
    const flush = async (): Promise<void> => {
      if (batch.length === 0) return;
      sent++;
      if (!input.write(`${batch.join("\n")}\n\n`)) await once(input, "drain");
      batch = [];
    };
    for (const e of events) {
      batch.push(JSON.stringify(e));
      if (batch.length === 2000) await flush();
    }
    await flush();
    await until(`the server stored ${this.said}`, () => (this.said.match(/ready/g) ?? []).length >= sent || undefined);
  }

  async stop(): Promise<void> {
    this.process.stdin!.end();
    if (this.process.exitCode === null) await once(this.process, "exit");
  }
}

function addressIn(state: string, pid: number | undefined): Address | undefined {
  const file = join(state, "endpoint.json");
  if (!existsSync(file)) return undefined;
  const info = JSON.parse(readFileSync(file, "utf8")) as { url: string; pid: number; token_file?: string };
  if (pid !== undefined && info.pid !== pid) return undefined;
  return { url: info.url, token: info.token_file ? readFileSync(info.token_file, "utf8").trim() : "" };
}

export async function freePort(): Promise<number> {
  const s = createServer().listen(0, "127.0.0.1");
  await once(s, "listening");
  const { port } = s.address() as { port: number };
  s.close();
  return port;
}

export interface Collector {
  address: Address;
  stop: () => Promise<void>;
}

// startBinary runs the real binary in a directory, with its view below it.
export async function startBinary(binary: string, args: string[], directory: string): Promise<Collector> {
  const state = join(directory, "mida-data");
  mkdirSync(state, { recursive: true, mode: 0o700 });
  const collector = spawn(binary, args, {
    cwd: directory,
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, MIDA_DATA: state, MIDA_QUERY_ENDPOINT: `127.0.0.1:${await freePort()}`, MIDA_METRICS_PORT: String(await freePort()) },
  });
  let log = "";
  collector.stderr.setEncoding("utf8").on("data", (s: string) => (log = (log + s).slice(-5000)));
  const address = await until("no collector", () => {
    if (collector.exitCode !== null) throw new Error(`the collector ended: ${log}`);
    return addressIn(state, collector.pid);
  });
  return {
    address,
    stop: async () => {
      collector.kill("SIGTERM");
      if (collector.exitCode === null) await once(collector, "exit");
    },
  };
}

export const DEMO_CONFIG = join(ROOT, "examples/microscopy/collector.yaml");

// startCollector runs the demo's configuration over a copy of what a demo recorded.
export async function startCollector(binary: string, recorded: string, directory: string, args: string[] = []): Promise<Collector> {
  const state = join(directory, "mida-data");
  mkdirSync(join(directory, "logs"), { recursive: true });
  mkdirSync(state, { recursive: true, mode: 0o700 });
  copyFileSync(join(recorded, "mida.db"), join(state, "mida.db"));
  copyFileSync(join(ROOT, "examples/microscopy/rules.yaml"), join(directory, "rules.yaml"));
  // The tasks name the files of the run, which lie where they were written.
  const files = `extensions::taskquery::report::read_files=[${JSON.stringify(join(recorded, "run"))}]`;
  return startBinary(binary, ["--config", DEMO_CONFIG, "--set", files, ...args], directory);
}
