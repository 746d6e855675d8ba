import type { ReactNode } from "react";
import { STATUSES, type Counts, type Status } from "../api";
import { count } from "../format";

export function StatusMark({ status }: { status: Status | string }): ReactNode {
  return <span className={`status status-${status.toLowerCase()}`}>{status.toLowerCase()}</span>;
}

// StatusBar shows how many tasks are in which state; the text says the same.
export function StatusBar({ counts, total }: { counts: Counts; total: number }): ReactNode {
  const parts = STATUSES.filter((s) => counts[s]);
  const text = parts.map((s) => `${count(counts[s]!)} ${s.toLowerCase()}`).join(", ");
  return (
    <div className="statusbar">
      <svg viewBox="0 0 100 1" preserveAspectRatio="none" role="img" aria-label={text || "no tasks"}>
        {parts.map((s, i) => {
          const x = parts.slice(0, i).reduce((sum, p) => sum + (100 * counts[p]!) / total, 0);
          return <rect key={s} className={`fill-${s.toLowerCase()}`} x={x} width={Math.max((100 * counts[s]!) / total, 0.4)} height="1" />;
        })}
      </svg>
      <span className="statustext">
        {parts.map((s) => (
          <span key={s} className={`status status-${s.toLowerCase()}`}>
            {count(counts[s]!)} {s.toLowerCase()}
          </span>
        ))}
      </span>
    </div>
  );
}
