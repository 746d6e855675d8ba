import { useMemo, useRef, useState, type ReactNode } from "react";
import { get } from "../api";
import { useData } from "../data";
import { useKnown } from "../fields";
import { and, ofTools, parseFilter } from "../filter";
import { count, duration, plural, when } from "../format";
import { useVersion } from "../live";
import { csv, download, saveCanvas } from "../parts/download";
import { FilterBox } from "../parts/filterbox";
import { Empty, Problem, Waiting, Warnings } from "../parts/states";
import { setParams, usePlace } from "../router";
import { TimelineCanvas } from "../timeline/canvas";
import { buckets, type Span, type TimelineAnswer } from "../timeline/model";
import { activityColor } from "../timeline/paint";

const LANES: [string, string][] = [
  ["activity_id", "activity"],
  ["worker", "worker"],
  ["workflow_name", "workflow"],
  ["host", "host"],
  ["kind", "tool"],
  ["status", "status"],
];

const SOON = "8000";

export function Timeline(): ReactNode {
  const { params } = usePlace();
  const campaign = params.get("campaign") ?? "";
  const text = params.get("q") ?? "";
  const by = params.get("by") ?? "activity_id";
  const from = params.get("from") ?? "";
  const to = params.get("to") ?? "";
  const byActivity = params.get("colour") === "activity";
  const filter = useMemo(() => {
    let typed;
    try {
      typed = parseFilter(text);
    } catch {
      typed = undefined; // the filter box says what is wrong
    }
    return JSON.stringify(ofTools(and(campaign ? { campaign_id: campaign } : undefined, typed)) ?? {});
  }, [campaign, text]);
  const known = useKnown(campaign);
  const version = useVersion(campaign);
  const ask = (sample: string | undefined) => (s: AbortSignal) => get<TimelineAnswer>("timeline", { filter, by, from, to, buckets: "400", sample }, s);
  // A small sample is there soon; where it is not everything, a large one follows.
  const soon = useData(`timeline ${filter} ${by} ${from} ${to}`, version, ask(SOON));
  const more = soon.data !== undefined && soon.data.looked_at < soon.data.total;
  const whole = useData(`whole ${filter} ${by} ${from} ${to} ${more}`, version, (s) => (more ? ask(undefined)(s) : Promise.resolve(undefined)));
  const data = whole.data ?? soon.data;
  const error = soon.error ?? whole.error;
  const loading = soon.loading || (more && whole.loading);
  // While the next window is asked for, the last answer is drawn in it.
  const [kept, setKept] = useState<{ key: string; answer: TimelineAnswer }>();
  const key = `${filter} ${by}`;
  if (data && kept?.answer !== data) setKept({ key, answer: data });
  const answer = data ?? (kept?.key === key ? kept.answer : undefined);
  const canvas = useRef<HTMLCanvasElement>(null);
  const notes = answer && answer.looked_at < answer.total ? [`Drawn from ${plural(answer.looked_at, "task")} of ${count(answer.total)} in this window, a fair sample.`] : [];
  const names = new Set(answer?.tasks?.map((t) => t.activity_id));
  return (
    <>
      <h1 className="hidden">Timeline</h1>
      <div className="bar">
        <FilterBox value={text} known={known} onChange={(q) => setParams({ q })} />
        <label>
          Lanes by{" "}
          <select value={by} onChange={(e) => setParams({ by: e.target.value })}>
            {LANES.map(([v, name]) => (
              <option key={v} value={v}>
                {name}
              </option>
            ))}
            {!LANES.some(([v]) => v === by) && <option value={by}>{by}</option>}
          </select>
        </label>
        <label>
          Colours by{" "}
          <select value={byActivity ? "activity" : "status"} onChange={(e) => setParams({ colour: e.target.value === "status" ? undefined : e.target.value })}>
            <option value="status">status</option>
            <option value="activity">activity</option>
          </select>
        </label>
      </div>
      {error && <Problem error={error} />}
      {!answer && !error && <Waiting what="Laying out" />}
      {answer && answer.total === 0 && from === "" && to === "" && (
        <Empty>
          <h2>No task has started</h2>
        </Empty>
      )}
      {answer?.first_at !== undefined && answer.last_at !== undefined && (
        <>
          <div className="bar under">
            <span role="status">
              {plural(answer.total, "task")}
              {from || to ? " in this window" : ""}, {when(answer.from)} to {when(answer.to)} ({duration(answer.to! - answer.from!)})
              {!answer.tasks && ", drawn as how busy each lane was; zoom in for single tasks"}
            </span>
            {loading && <span role="status">…</span>}
            {(from || to) && (
              <button type="button" onClick={() => setParams({ from: undefined, to: undefined })}>
                Everything
              </button>
            )}
            <span className="right">
              <button type="button" onClick={() => canvas.current && void saveCanvas(canvas.current, `${campaign || "all"}-timeline.png`)}>
                PNG
              </button>
              <button type="button" onClick={() => download(`${campaign || "all"}-timeline.csv`, new Blob([asCSV(answer)], { type: "text/csv" }))}>
                CSV
              </button>
            </span>
          </div>
          <Warnings list={notes} />
          {byActivity && answer.tasks && (
            <p className="legend">
              {[...names].slice(0, 12).map((n) => (
                <span key={n}>
                  <svg width="10" height="10" aria-hidden="true">
                    <rect width="10" height="10" fill={activityColor(n)} />
                  </svg>{" "}
                  <bdi>{n}</bdi>
                </span>
              ))}
              <span className="status status-failed">failed</span>
            </p>
          )}
          <TimelineCanvas
            answer={answer}
            whole={{ from: answer.first_at, to: answer.last_at }}
            byActivity={byActivity}
            canvas={canvas}
            onWindow={(s: Span | undefined) => setParams({ from: s?.from.toFixed(4), to: s?.to.toFixed(4) }, true)}
          />
          <LaneTable answer={answer} />
        </>
      )}
    </>
  );
}

function asCSV(a: TimelineAnswer): string {
  if (a.tasks)
    return csv(
      ["lane", "id", "task_id", "activity_id", "status", "started_at", "ended_at"],
      a.tasks.map((t) => ({ ...t, lane: a.lanes[t.lane]?.lane })),
    );
  const width = (a.to! - a.from!) / a.buckets!;
  return csv(
    ["lane", "from", "to", "busy_seconds", "failed"],
    a.lanes.flatMap((l) => l.busy!.map((b, i) => ({ lane: l.lane, from: a.from! + i * width, to: a.from! + (i + 1) * width, busy_seconds: b, failed: l.failed![i] }))),
  );
}

function LaneTable({ answer }: { answer: TimelineAnswer }): ReactNode {
  const [open, setOpen] = useState(false);
  const busy = open ? buckets(answer, 100).map((b) => b.reduce((sum, v) => sum + v, 0)) : [];
  return (
    <details className="card" onToggle={(e) => setOpen(e.currentTarget.open)}>
      <summary>The timeline as a table</summary>
      {open && (
        <table>
          <thead>
            <tr>
              <th scope="col">Lane</th>
              <th scope="col" className="number">Tasks</th>
              <th scope="col" className="number">Busy, all tasks together</th>
              <th scope="col" className="number">At once, on average</th>
            </tr>
          </thead>
          <tbody>
            {answer.lanes.map((l, i) => (
              <tr key={l.lane}>
                <th scope="row" className="cut">
                  <bdi>{l.lane}</bdi>
                </th>
                <td className="number">{count(l.tasks)}</td>
                <td className="number">{duration(busy[i])}</td>
                <td className="number">{((busy[i] ?? 0) / (answer.to! - answer.from!)).toFixed(2)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </details>
  );
}
