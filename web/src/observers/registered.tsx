import { useState, type ReactNode } from "react";
import { Failure, post, remove } from "../api";
import { ago, count, when } from "../format";
import { Link } from "../parts/link";
import { show } from "../values";
import { toldBy, type Observer, type Told } from "./model";

interface Drained {
  drained?: boolean;
  deleted?: boolean;
  problem?: string;
}

interface Props {
  list: Observer[];
  told: Told[];
  onChange: (removed?: string) => void; // what of it is no longer in the table
}

const STATES = { running: "running", stopped: "unknown", draining: "submitted", failed: "failed" } as const;

export function Registered({ list, told, onChange }: Props): ReactNode {
  return (
    <div className="scroll flush">
      <table aria-label="Registered observers">
        <thead>
          <tr>
            <th scope="col">State</th>
            <th scope="col">Observer</th>
            <th scope="col">Kind</th>
            <th scope="col">Campaign</th>
            <th scope="col" className="number">Events</th>
            <th scope="col" className="number">Refused</th>
            <th scope="col">Last event</th>
            <th scope="col">Host</th>
            <th scope="col">By</th>
            <th scope="col">
              <span className="hidden">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {list.map((o) => (
            <Line key={o.id} observer={o} told={toldBy(o, told)} onChange={onChange} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Line({ observer: o, told, onChange }: { observer: Observer; told: Told[]; onChange: Props["onChange"] }): ReactNode {
  const [busy, setBusy] = useState("");
  const [said, setSaid] = useState<{ text: string; bad: boolean }>();
  const [asking, setAsking] = useState<"remove" | "force">();
  const campaign = show(o.config.campaign);
  const path = `observers/${encodeURIComponent(o.id)}`;
  const act = async (name: string, ask: () => Promise<Drained>, force = false): Promise<void> => {
    setBusy(name);
    setSaid(undefined);
    setAsking(undefined);
    let removed: string | undefined;
    try {
      const answer = await ask();
      if (answer.drained !== undefined) setSaid({ text: answer.drained ? "Drained: all that the tool did before is in the view." : `Not drained: ${answer.problem ?? "the time was over"}`, bad: !answer.drained });
      if (answer.deleted === false && !force) setAsking("force");
      if (answer.deleted) removed = `${o.id} is removed. ${answer.drained ? "All that the tool did before is in the view." : "It was not drained."}`;
    } catch (e) {
      setSaid({ text: e instanceof Failure ? e.message : String(e), bad: true });
    }
    setBusy("");
    onChange(removed);
  };
  const running = o.state === "running" || o.state === "draining";
  return (
    <>
      <tr>
        <td>
          <span className={`status status-${STATES[o.state]}`}>{busy || o.state}</span>
        </td>
        <th scope="row" className="cut" title={show(o.config)}>
          <bdi>{o.id}</bdi>
          <span className="soft small block cut">
            <bdi>{target(o)}</bdi>
          </span>
        </th>
        <td>{o.kind}</td>
        <td className="cut">
          {campaign && (
            <Link to="/completeness" params={{ campaign }} aria-label={`Completeness of campaign ${campaign}`}>
              <bdi>{campaign}</bdi>
            </Link>
          )}
        </td>
        <td className="number">{count(o.events)}</td>
        <td className={`number ${o.refused ? "bad" : ""}`}>{count(o.refused)}</td>
        <td title={o.last_event_at === undefined ? undefined : when(o.last_event_at)}>{o.last_event_at === undefined ? "none yet" : ago(o.last_event_at)}</td>
        <td>{[...new Set(told.map((t) => t.host))].join(", ")}</td>
        <td className="cut">
          <bdi>{o.by}</bdi>
        </td>
        <td>
          <span className="actions right">
            {running ? (
              <button type="button" disabled={busy !== ""} onClick={() => void act("draining", () => post<Drained>(`${path}/stop`, undefined))} aria-label={`Drain and stop ${o.id}`}>
                Drain and stop
              </button>
            ) : (
              <button type="button" disabled={busy !== ""} onClick={() => void act("starting", () => post<Drained>(`${path}/start`, undefined))} aria-label={`Start ${o.id}`}>
                Start
              </button>
            )}
            {asking === undefined ? (
              <button type="button" className="quiet" disabled={busy !== ""} onClick={() => setAsking("remove")} aria-label={`Remove ${o.id}`}>
                Remove
              </button>
            ) : (
              <>
                <button
                  type="button"
                  className="danger"
                  autoFocus
                  onClick={() => void act("removing", () => remove<Drained>(asking === "force" ? `${path}?force=true` : path), asking === "force")}
                >
                  {asking === "force" ? `Remove ${o.id} although it is not drained` : `Really remove ${o.id}`}
                </button>
                <button type="button" className="quiet" onClick={() => setAsking(undefined)}>
                  Keep it
                </button>
              </>
            )}
          </span>
        </td>
      </tr>
      {(o.problem !== undefined || said) && (
        <tr className="under">
          <td colSpan={10}>
            {o.problem !== undefined && (
              <p className="bad">
                <bdi>{o.problem}</bdi>
              </p>
            )}
            {said && (
              <p role="status" className={said.bad ? "bad" : "soft"}>
                {said.text}
              </p>
            )}
          </td>
        </tr>
      )}
    </>
  );
}

// target is what an observer looks at, in a line.
function target(o: Observer): string {
  const keys = ["tracking_uri", "schedulers", "scheduler_files", "include"].filter((k) => o.config[k] !== undefined);
  return keys.map((k) => (Array.isArray(o.config[k]) ? o.config[k].map(show).join(", ") : show(o.config[k]))).join(", ");
}
