import { useEffect, useRef, useState } from "react";
import { Failure } from "./api";

export interface Loaded<T> {
  data: T | undefined;
  error: Failure | undefined;
  loading: boolean;
}

let refused: (e: Failure) => void = () => undefined;

// onRefused is called when the server does not let this page in.
export function onRefused(f: (e: Failure) => void): void {
  refused = f;
}

// refuse tells that the server does not let this page in, or no longer.
export function refuse(e: Failure): void {
  refused(e);
}

// useData asks whenever the key changes. While a newer version of the same key is asked for, the older answer stays; with
// keep, that of the key before stays too.
export function useData<T>(key: string, version: number, ask: (signal: AbortSignal) => Promise<T>, keep = false): Loaded<T> {
  const [state, setState] = useState<Loaded<T> & { key: string }>({ data: undefined, error: undefined, loading: true, key });
  const asked = useRef(ask);
  useEffect(() => {
    asked.current = ask;
  });
  useEffect(() => {
    const abort = new AbortController();
    let retry: ReturnType<typeof setTimeout> | undefined;
    const run = (): void => {
      asked.current(abort.signal).then(
        (data) => {
          if (!abort.signal.aborted) setState({ data, error: undefined, loading: false, key });
        },
        (e: unknown) => {
          if (abort.signal.aborted) return;
          const error = e instanceof Failure ? e : new Failure(-1, e instanceof Error ? e.message : String(e));
          if (error.status === 401) refused(error);
          setState((old) => ({ data: old.key === key ? old.data : undefined, error, loading: false, key }));
          if (error.status === 0) retry = setTimeout(run, 3000); // the collector may come back
        },
      );
    };
    run();
    return () => {
      abort.abort();
      clearTimeout(retry);
    };
  }, [key, version]);
  if (state.key !== key) return { data: keep ? state.data : undefined, error: undefined, loading: true };
  return state;
}
