import type { ReactNode } from "react";
import type { Failure } from "../api";

export function Problem({ error }: { error: Failure }): ReactNode {
  return (
    <div className="problem" role="alert">
      <strong>{error.status === 404 ? "Not found" : error.status === 0 ? "No connection" : "That did not work"}</strong>
      <p>{error.message}</p>
      {error.suggestion && <p>Did you mean {error.suggestion}?</p>}
    </div>
  );
}

export function Waiting({ what = "Loading" }: { what?: string }): ReactNode {
  return (
    <p className="waiting" role="status">
      {what}…
    </p>
  );
}

export function Empty({ children }: { children: ReactNode }): ReactNode {
  return <div className="empty">{children}</div>;
}

export function Warnings({ list }: { list: string[] | undefined }): ReactNode {
  if (!list?.length) return null;
  return (
    <ul className="warnings" aria-label="Warnings">
      {list.map((w) => (
        <li key={w}>{w}</li>
      ))}
    </ul>
  );
}
