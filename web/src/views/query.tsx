import { useMemo, useRef, useState, type KeyboardEvent, type ReactNode } from "react";
import { runQuery, type Answer, type Query, type Row } from "../api";
import { useData } from "../data";
import { useKnown } from "../fields";
import { count, duration, plural } from "../format";
import { csv, download } from "../parts/download";
import { Problem, Waiting, Warnings } from "../parts/states";
import { TaskTable } from "../parts/tasktable";
import { asPython, completeJSON } from "../queryjson";
import { setParams, usePlace } from "../router";
import { isMap, leaves } from "../values";

const EXAMPLES: [string, Query][] = [
  ["Failures by error", { filter: { status: "FAILED" }, projection: ["activity_id", "error.type"], aggregation: [["count", "id"]], sort: [["count", "descending"]] }],
  ["Slowest tasks", { projection: ["id", "task_id", "activity_id", "host", "elapsed"], sort: [["elapsed", "descending"]], limit: 20 }],
  ["Memory by activity", { projection: ["activity_id"], aggregation: [["max", "telemetry_peak.process.memory.usage"], ["median", "telemetry_peak.process.memory.usage"]] }],
  ["Time by host", { projection: ["host"], aggregation: [["sum", "elapsed"], ["count", "id"]] }],
];

export function QueryPage(): ReactNode {
  const { params } = usePlace();
  const campaign = params.get("campaign") ?? "";
  const given = params.get("q") ?? "";
  const start = given || JSON.stringify({ filter: campaign ? { campaign_id: campaign } : {}, projection: ["id", "task_id", "activity_id", "status", "elapsed"], limit: 100 }, null, 2);
  const [text, setText] = useState(start);
  const [shown, setShown] = useState(given);
  if (shown !== given) {
    setShown(given); // somebody went back, or followed a link
    if (given) setText(given);
  }
  const mistake = mistakeIn(text);
  const run = (value = text): void => {
    if (!mistakeIn(value)) setParams({ q: value });
  };
  const choose = (q: Query): void => {
    const whole = campaign ? { ...q, filter: { campaign_id: campaign, ...q.filter } } : q;
    const value = JSON.stringify(whole, null, 2);
    setText(value);
    run(value);
  };
  return (
    <>
      <h1>Query</h1>
      <div className="query">
        <Editor text={text} campaign={campaign} mistake={mistake} onChange={setText} onRun={() => run()} />
        <div>
          <h2>Examples</h2>
          <ul className="plain">
            {EXAMPLES.map(([name, q]) => (
              <li key={name}>
                <button type="button" onClick={() => choose(q)}>
                  {name}
                </button>
              </li>
            ))}
          </ul>
          {!mistake && (
            <details>
              <summary>The same in Python</summary>
              <pre tabIndex={0}>{asPython(JSON.parse(text || "{}") as Query)}</pre>
            </details>
          )}
        </div>
      </div>
      {given && <Result text={given} />}
    </>
  );
}

function mistakeIn(text: string): string | undefined {
  if (text.trim() === "") return undefined;
  try {
    const v = JSON.parse(text) as unknown;
    return v !== null && typeof v === "object" && !Array.isArray(v) ? undefined : "a query is a JSON object";
  } catch (e) {
    return e instanceof Error ? e.message : String(e);
  }
}

interface EditorProps {
  text: string;
  campaign: string;
  mistake: string | undefined;
  onChange: (text: string) => void;
  onRun: () => void;
}

function Editor({ text, campaign, mistake, onChange, onRun }: EditorProps): ReactNode {
  const known = useKnown(campaign);
  const [caret, setCaret] = useState(0);
  const area = useRef<HTMLTextAreaElement>(null);
  const found = useMemo(() => completeJSON(text, caret, known), [text, caret, known]);
  const accept = (option: string): void => {
    const after = text.slice(found.to).replace(/^"/, "");
    onChange(`${text.slice(0, found.from)}${option}"${after}`);
    const at = found.from + option.length + 1;
    requestAnimationFrame(() => {
      area.current?.focus();
      area.current?.setSelectionRange(at, at);
      setCaret(at);
    });
  };
  const key = (e: KeyboardEvent): void => {
    if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) {
      e.preventDefault();
      onRun();
    }
    if (e.key === "Tab" && !e.shiftKey && found.options[0] && found.from < caret) {
      e.preventDefault();
      accept(found.options[0]);
    }
  };
  return (
    <div>
      <textarea
        ref={area}
        aria-label="Query as JSON"
        aria-describedby="query-help"
        spellCheck={false}
        dir="ltr"
        value={text}
        onChange={(e) => {
          onChange(e.target.value);
          setCaret(e.target.selectionStart);
        }}
        onSelect={(e) => setCaret(e.currentTarget.selectionStart)}
        onKeyDown={key}
      />
      <div className="completions" role="group" aria-label="Completions">
        {found.options.slice(0, 14).map((o) => (
          <button key={o} type="button" onMouseDown={(e) => e.preventDefault()} onClick={() => accept(o)}>
            {o}
          </button>
        ))}
      </div>
      {mistake && (
        <p className="mistake" role="alert">
          {mistake}
        </p>
      )}
      <p className="bar">
        <button type="button" onClick={onRun} disabled={mistake !== undefined}>
          Run
        </button>
        <span className="soft small" id="query-help">
          Ctrl+Enter runs; within quotes, Tab takes the first completion
        </span>
      </p>
    </div>
  );
}

function Result({ text }: { text: string }): ReactNode {
  const { data, error, loading } = useData(`query ${text}`, 0, async (s) => {
    const began = performance.now();
    const answer = await runQuery(JSON.parse(text) as Query, s);
    return { answer, took: performance.now() - began };
  });
  if (error) return <Problem error={error} />;
  if (!data || loading) return <Waiting what="Asking" />;
  const { rows, columns } = flat(data.answer, JSON.parse(text) as Query);
  return (
    <section aria-label="Answer">
      <div className="bar under">
        <span role="status">
          {plural(data.answer.rows.length, "row")}
          {data.answer.truncated && ` of ${count(data.answer.total)}`}, {duration(data.took / 1000)}
          {data.answer.partial && ", partial"}
        </span>
        <span className="right">
          <button type="button" onClick={() => download("query.csv", new Blob([csv(columns, rows)], { type: "text/csv" }))}>
            CSV
          </button>
        </span>
      </div>
      <Warnings list={data.answer.warnings} />
      {rows.length > 0 && (
        <div>
          <TaskTable fit rows={rows} columns={columns} firstRow={1} total={rows.length} sort="" label="Answer" />
        </div>
      )}
    </section>
  );
}

const COLUMNS = 60;
const WHOLE = ["status", "activity_id", "task_id", "started_at", "elapsed"];

// flat makes columns: those that were asked for, or, of whole tasks, their values.
function flat(answer: Answer, query: Query): { rows: Row[]; columns: string[] } {
  if (query.projection?.length || query.aggregation?.length) {
    const columns = new Set<string>((query.projection ?? []).filter((p) => answer.rows.some((r) => p in r)));
    for (const r of answer.rows) for (const k of Object.keys(r)) columns.add(k);
    return { rows: answer.rows, columns: [...columns].slice(0, COLUMNS) };
  }
  const columns = new Set(WHOLE);
  const rows = answer.rows.map((r) => {
    const out: Row = { ...r };
    for (const root of ["used", "generated"])
      if (isMap(r[root]))
        for (const [path, v] of leaves(r[root])) {
          out[`${root}.${path}`] = v;
          if (columns.size < COLUMNS) columns.add(`${root}.${path}`);
        }
    return out;
  });
  return { rows, columns: [...columns] };
}
