import { useState } from "react";
import { useData } from "./data";
import type { Failure } from "./api";

const QUICK = 1; // seconds; what took longer is asked again only on request

export interface Calm<T> {
  data: T | undefined;
  version: number; // of the answer
  error: Failure | undefined;
  loading: boolean;
  behind: boolean; // there is more since, and nobody has asked
  again: () => void;
}

// useCalm follows the view as useData does, but never asks while an answer is on its way, which would never come, and does
// not ask again by itself what takes long.
// A growing count of what the person did here asks in any case.
export function useCalm<T>(key: string, live: number, ask: (signal: AbortSignal) => Promise<T>, done = 0): Calm<T> {
  const [version, setVersion] = useState(live);
  const [seen, setSeen] = useState(done);
  if (seen !== done) {
    setSeen(done);
    setVersion(live);
  }
  const { data, error, loading } = useData(key, version, async (s) => {
    const began = performance.now();
    const value = await ask(s);
    return { value, version, took: (performance.now() - began) / 1000 };
  });
  const answered = data?.version === version || error !== undefined;
  const slow = (data?.took ?? 0) > QUICK;
  if (answered && !slow && live !== version) setVersion(live);
  return { data: data?.value, version: data?.version ?? version, error, loading, behind: slow && live !== version, again: () => setVersion(live) };
}
