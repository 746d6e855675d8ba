import type { Value } from "../values";

// What the controller knows (docs/observers.md), and what the view knows of those who told it something.

export interface Observer {
  id: string;
  kind: string;
  config: { [key: string]: Value };
  by: string;
  state: "running" | "stopped" | "draining" | "failed";
  problem?: string;
  events: number;
  refused: number;
  registered_at?: number;
  started_at?: number;
  last_event_at?: number;
}
export interface Offer {
  id: string;
  kind: string;
  config: { [key: string]: Value };
  evidence: string;
  note?: string;
  observed: boolean;
  observed_by?: string;
}
export interface Told {
  observer: string;
  campaign_id: string;
  host: string;
  state: "complete" | "unknown" | "missing";
  arrived: number;
  dropped: number;
  missing: number;
  checkpoint_at?: number;
  final: boolean;
}

// A key of a receiver's configuration that the form asks for.
export interface Key {
  name: string;
  label: string;
  hint: string;
  list?: boolean; // several, parted by commas
  required?: boolean;
}

export const KINDS: Record<string, Key[]> = {
  mlflow: [{ name: "tracking_uri", label: "Database", hint: "sqlite:///mlflow.db", required: true }],
  dask: [
    { name: "schedulers", label: "Schedulers", hint: "tcp://127.0.0.1:8786", list: true },
    { name: "scheduler_files", label: "or their files", hint: "*.scheduler.json", list: true },
  ],
  tasklog: [
    { name: "include", label: "Logs", hint: "logs/*.log", list: true, required: true },
    { name: "rules_file", label: "Rules", hint: "rules.yaml", required: true },
  ],
};

// configOf makes a configuration of what was typed; more is JSON with further keys.
export function configOf(kind: string, typed: Record<string, string>, campaign: string, more: string): { [key: string]: unknown } {
  const config: { [key: string]: unknown } = {};
  if (campaign.trim()) config.campaign = campaign.trim();
  for (const k of KINDS[kind] ?? []) {
    const text = (typed[k.name] ?? "").trim();
    if (text) config[k.name] = k.list ? text.split(",").map((t) => t.trim()).filter(Boolean) : text;
  }
  if (!more.trim()) return config;
  const given: unknown = JSON.parse(more);
  if (given === null || typeof given !== "object" || Array.isArray(given)) throw new SyntaxError("want an object");
  return { ...config, ...given };
}

// toldBy are the lines of completeness that a registered observer wrote.
export function toldBy(o: Observer, told: Told[]): Told[] {
  return told.filter((t) => t.observer.startsWith(`${o.kind}/${o.id}@`));
}

export interface Host {
  host: string;
  observers: number;
  open: number;
  missing: number;
  arrived: number;
  last?: number;
}

// byHost adds up who told something.
export function byHost(told: Told[]): Host[] {
  const hosts = new Map<string, Host>();
  for (const t of told) {
    const h = hosts.get(t.host) ?? { host: t.host, observers: 0, open: 0, missing: 0, arrived: 0 };
    h.observers++;
    h.arrived += t.arrived;
    if (t.state === "unknown") h.open++;
    if (t.state === "missing") h.missing++;
    if (t.checkpoint_at !== undefined) h.last = Math.max(h.last ?? 0, t.checkpoint_at);
    hosts.set(t.host, h);
  }
  return [...hosts.values()].toSorted((a, b) => b.missing - a.missing || b.arrived - a.arrived);
}
