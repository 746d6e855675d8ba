import { useSyncExternalStore } from "react";
import { Failure, get, request } from "./api";
import { refuse } from "./data";
import { events } from "./sse";

// Changes of the view as they happen: the server says which campaigns changed, views ask again. The stream is read with
// fetch, because EventSource cannot say who asks.

export type Connection = "connecting" | "live" | "lost";
interface State {
  connection: Connection;
  versions: ReadonlyMap<string, number>; // by campaign
  all: number;
  controller: boolean; // whether the collector takes observers while it runs
}

let state: State = { connection: "connecting", versions: new Map(), all: 0, controller: false };
const listeners = new Set<() => void>();
let running = false;

function set(next: Partial<State>): void {
  state = { ...state, ...next };
  for (const l of listeners) l();
}

function subscribe(l: () => void): () => void {
  listeners.add(l);
  return () => listeners.delete(l);
}

export function useConnection(): Connection {
  return useSyncExternalStore(subscribe, () => state.connection);
}

// useVersion grows whenever the campaign changed ("" = any).
export function useVersion(campaign: string | undefined): number {
  return useSyncExternalStore(subscribe, () => (campaign ? (state.versions.get(campaign) ?? 0) : state.all));
}

export function useController(): boolean {
  return useSyncExternalStore(subscribe, () => state.controller);
}

export function startLive(): void {
  if (running) return;
  running = true;
  void follow();
}

async function follow(): Promise<void> {
  let lastID = "";
  let wait = 500;
  for (;;) {
    try {
      const response = await request("stream", lastID ? { headers: { "Last-Event-ID": lastID } } : {});
      if (response.status === 401) await askWhy();
      if (!response.ok || !response.body) throw new Error(String(response.status));
      set({ connection: "live" });
      wait = 500;
      for await (const e of events(response.body)) {
        if (e.id) lastID = e.id;
        if (e.event === "ready" || e.event === "reset") set({ controller: (JSON.parse(e.data) as { takes_observers?: boolean }).takes_observers === true });
        if (e.event === "change") changed(JSON.parse(e.data) as { campaigns: { campaign_id: string }[] });
        if (e.event === "reset") reset();
      }
    } catch {
      // Told below; the next try says whether it works again.
    }
    set({ connection: "lost" });
    await new Promise((r) => setTimeout(r, wait));
    wait = Math.min(wait * 2, 10_000);
  }
}

// askWhy has the page say what to do when it is no longer let in: a token may have been replaced while nobody looked.
async function askWhy(): Promise<void> {
  await get("campaigns").catch((e: unknown) => {
    if (e instanceof Failure && e.status === 401) refuse(e);
  });
}

function changed(e: { campaigns: { campaign_id: string }[] }): void {
  const versions = new Map(state.versions);
  for (const c of e.campaigns) versions.set(c.campaign_id, (versions.get(c.campaign_id) ?? 0) + 1);
  set({ versions, all: state.all + 1 });
}

// reset: what was missed is not known, so everything may have changed.
function reset(): void {
  const versions = new Map([...state.versions].map(([k, v]) => [k, v + 1]));
  set({ versions, all: state.all + 1 });
}
