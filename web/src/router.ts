import { useSyncExternalStore } from "react";

// The address holds the whole state of a view: it can be kept, sent and gone back to.

const BASE = "/ui";
const CHANGED = "mida:navigated";

export interface Place {
  path: string; // below /ui, such as "/tasks"
  params: URLSearchParams;
}

let last: { href: string; place: Place } | undefined;

function current(): Place {
  const href = location.pathname + location.search;
  if (last?.href !== href) {
    const path = location.pathname.startsWith(BASE) ? location.pathname.slice(BASE.length) : location.pathname;
    last = { href, place: { path: path.replace(/\/+$/, "") || "/", params: new URLSearchParams(location.search) } };
  }
  return last.place;
}

function subscribe(changed: () => void): () => void {
  window.addEventListener("popstate", changed);
  window.addEventListener(CHANGED, changed);
  return () => {
    window.removeEventListener("popstate", changed);
    window.removeEventListener(CHANGED, changed);
  };
}

export function usePlace(): Place {
  return useSyncExternalStore(subscribe, current);
}

export type Params = Record<string, string | undefined>;

export function hrefOf(path: string, params: Params = {}): string {
  const search = new URLSearchParams();
  for (const [k, v] of Object.entries(params)) if (v !== undefined && v !== "") search.set(k, v);
  const text = search.toString();
  return BASE + (path === "/" ? "/" : path) + (text ? `?${text}` : "");
}

export function go(href: string, replace = false): void {
  if (href === location.pathname + location.search) return;
  history[replace ? "replaceState" : "pushState"](null, "", href);
  window.dispatchEvent(new Event(CHANGED));
}

// setParams changes parameters of the address and leaves the others.
export function setParams(change: Params, replace = false): void {
  const params = new URLSearchParams(location.search);
  for (const [k, v] of Object.entries(change)) {
    if (v === undefined || v === "") params.delete(k);
    else params.set(k, v);
  }
  const text = params.toString();
  go(location.pathname + (text ? `?${text}` : ""), replace);
}
