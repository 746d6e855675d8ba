import { useSyncExternalStore } from "react";
import { basicUser } from "../auth";

// Who speaks: whom the collector's auth extension recognised; without one, the name that this browser was told.

const KEY = "mida.person";
const listeners = new Set<() => void>();
let recognised: string | undefined; // by an answer of the collector

export interface Person {
  name: string;
  known: boolean; // by the collector: it is not asked
}

let last: Person = { name: "", known: false };

function current(): Person {
  const user = recognised ?? basicUser();
  const next = user === undefined ? { name: localStorage.getItem(KEY) ?? "", known: false } : { name: user, known: true };
  if (next.name !== last.name || next.known !== last.known) last = next;
  return last;
}

export function usePerson(): Person {
  return useSyncExternalStore((l) => {
    listeners.add(l);
    return () => listeners.delete(l);
  }, current);
}

// remember keeps whom the collector took for the author.
export function remember(by: string, source: string): void {
  if (source === "authenticated") recognised = by;
  else if (source === "stated") localStorage.setItem(KEY, by);
  for (const l of listeners) l();
}
