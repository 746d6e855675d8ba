import type { ReactNode } from "react";
import type { Row } from "../api";
import { metric } from "../format";
import { asNumber, isMap, leaves, show, type Value } from "../values";

const PARTS = ["telemetry_start", "telemetry_end", "telemetry_peak", "telemetry_delta"] as const;

export function Telemetry({ task }: { task: Row }): ReactNode {
  const maps = PARTS.map((p) => new Map(isMap(task[p]) ? leaves(task[p]) : []));
  const coverage = new Map(isMap(task.telemetry_coverage) ? leaves(task.telemetry_coverage) : []);
  const names = [...new Set(maps.flatMap((m) => [...m.keys()]))].sort((a, b) => order(a) - order(b) || a.localeCompare(b));
  if (names.length === 0) return null;
  return (
    <section className="card" aria-label="Telemetry">
      <h2>Telemetry</h2>
      <div className="scroll flush">
        <table>
          <thead>
            <tr>
              <th scope="col">Metric</th>
              <th scope="col" className="number">Used</th>
              <th scope="col" className="number">Peak</th>
              <th scope="col" className="number">Start</th>
              <th scope="col" className="number">End</th>
              <th scope="col">Whose number it is</th>
            </tr>
          </thead>
          <tbody>
            {names.slice(0, 500).map((n) => (
              <tr key={n}>
                <th scope="row">{n}</th>
                {[3, 2, 0, 1].map((i) => (
                  <td key={i} className="number">
                    {cell(n, maps[i]!.get(n))}
                  </td>
                ))}
                <td className="soft">{show(coverage.get(n))}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function cell(name: string, v: Value): string {
  const n = asNumber(v);
  return n === undefined ? "" : metric(name, n);
}

// What is the task's own comes first.
function order(name: string): number {
  return ["task.", "process.", "thread.", "gpu.", "hw.", "container.", "system."].findIndex((p) => name.startsWith(p));
}
