import { useMemo, useState, type ReactNode } from "react";
import { get, getText, type Filter } from "../api";
import { metricsOf, MOST, usualMetric, usualOrder, type Report, type ReportTask } from "../dossier/model";
import { useData } from "../data";
import { useFields, useKnown, type FieldInfo } from "../fields";
import { parseFilter } from "../filter";
import { count, plural } from "../format";
import { useVersion } from "../live";
import { download } from "../parts/download";
import { FilterBox } from "../parts/filterbox";
import { Link } from "../parts/link";
import { Empty, Problem, Waiting, Warnings } from "../parts/states";
import { setParams, usePlace } from "../router";
import { show } from "../values";

const CHOICES = 300;

export function Dossier(): ReactNode {
  const { params } = usePlace();
  const campaign = params.get("campaign") ?? "";
  const fields = useFields(campaign ? { campaign_id: campaign } : undefined);
  if (fields.error) return <Problem error={fields.error} />;
  if (!fields.data) return <Waiting />;
  return <Of campaign={campaign} metrics={metricsOf(fields.data.fields)} />;
}

function Of({ campaign, metrics }: { campaign: string; metrics: FieldInfo[] }): ReactNode {
  const { params } = usePlace();
  const metric = params.get("metric") ?? usualMetric(metrics);
  const order = params.get("order") ?? usualOrder(metric ?? "");
  const k = params.get("k") ?? "3";
  const text = params.get("q") ?? "";
  const known = useKnown(campaign);
  return (
    <>
      <h1>Dossier: the life of the best results</h1>
      <div className="bar">
        <MetricChoice metrics={metrics} metric={metric} />
        <label>
          Best{" "}
          <select value={order} onChange={(e) => setParams({ order: e.target.value })}>
            <option value="ascending">lowest</option>
            <option value="descending">highest</option>
          </select>
        </label>
        <label>
          Results{" "}
          <select value={k} onChange={(e) => setParams({ k: e.target.value === "3" ? undefined : e.target.value })}>
            {[...new Set([k, ...Array.from({ length: MOST }, (_, i) => String(i + 1))])].toSorted((a, b) => Number(a) - Number(b)).map((n) => (
              <option key={n}>{n}</option>
            ))}
          </select>
        </label>
        <FilterBox value={text} known={known} onChange={(q) => setParams({ q })} />
      </div>
      {metric === undefined ? (
        <Empty>
          <h2>Nothing to rank yet</h2>
          <p>As soon as a task of {campaign ? <>campaign <bdi>{campaign}</bdi></> : "any campaign"} has generated a number, such as a loss, the tasks with the best are followed back to the raw data here.</p>
        </Empty>
      ) : (
        <Answered campaign={campaign} metric={metric} order={order} k={k} text={text} />
      )}
    </>
  );
}

// MetricChoice offers the fields that hold numbers; any other field of the query language can be typed.
function MetricChoice({ metrics, metric }: { metrics: FieldInfo[]; metric: string | undefined }): ReactNode {
  const [typing, setTyping] = useState(false);
  const names = [...new Set([...(metric === undefined ? [] : [metric]), "elapsed", ...metrics.slice(0, CHOICES).map((f) => f.name)])];
  const rank = (name: string): number => (name.startsWith("generated.") ? 0 : name === "elapsed" ? 1 : 2);
  const tasks = new Map(metrics.map((f) => [f.name, f.tasks]));
  const choose = (name: string): void => {
    setTyping(false);
    if (name) setParams({ metric: name, order: undefined });
  };
  if (typing)
    return (
      <form
        className="inline"
        onSubmit={(e) => {
          e.preventDefault();
          choose(String(new FormData(e.currentTarget).get("metric")).trim());
        }}
      >
        <label>
          Metric <input name="metric" autoFocus defaultValue={metric} spellCheck={false} onKeyDown={(e) => e.key === "Escape" && setTyping(false)} />
        </label>
        <button type="submit">Rank</button>
      </form>
    );
  return (
    <label>
      Metric{" "}
      <select value={metric ?? ""} onChange={(e) => (e.target.value === "\0" ? setTyping(true) : choose(e.target.value))}>
        {metric === undefined && <option value="">(none)</option>}
        {names.toSorted((a, b) => rank(a) - rank(b)).map((n) => (
          <option key={n} value={n}>
            {n.slice(0, 70)}
            {tasks.has(n) ? ` (${plural(tasks.get(n)!, "task")})` : ""}
          </option>
        ))}
        <option value={"\0"}>another field…</option>
      </select>
    </label>
  );
}

interface Asked {
  campaign: string;
  metric: string;
  order: string;
  k: string;
  text: string;
}

function readFilter(text: string): Filter | undefined {
  try {
    return parseFilter(text);
  } catch {
    return undefined; // the filter box says what is wrong
  }
}

function Answered({ campaign, metric, order, k, text }: Asked): ReactNode {
  const filter = useMemo(() => readFilter(text), [text]);
  const asked = { campaign_id: campaign, metric, order, k, filter: filter && JSON.stringify(filter) };
  const live = useVersion(campaign);
  const [version, setVersion] = useState(live);
  const { data, error, loading } = useData(JSON.stringify(asked), version, async (s) => {
    const { report, html } = await get<{ report: Report; html: string }>("report", { ...asked, format: "page" }, s);
    return { report, html, version };
  });
  // A page that somebody reads is not taken from under the eyes; while there is none, it comes by itself.
  if (live !== version && !loading && (error !== undefined || data?.report.results?.length === 0)) setVersion(live);
  if (error && !data) return <Problem error={error} />;
  if (!data) return <Waiting what="Following the best results back" />;
  return (
    <>
      {live !== data.version && data.report.results?.length !== 0 && (
        <p className="bar under" role="status">
          There is more since.
          <button type="button" onClick={() => setVersion(live)} disabled={loading}>
            Make it again
          </button>
        </p>
      )}
      <Shown campaign={campaign} asked={asked} {...data} />
    </>
  );
}

interface ShownProps {
  campaign: string;
  asked: Record<string, string | undefined>;
  html: string;
  report: Report;
}

function Shown({ campaign, asked, html, report }: ShownProps): ReactNode {
  const results = report.results ?? [];
  const [problem, setProblem] = useState<string>();
  const name = `dossier-${campaign || "all"}-${report.question.metric}`;
  const save = async (format: string, ending: string, type: string): Promise<void> => {
    try {
      download(`${name}.${ending}`, new Blob([await getText("report", { ...asked, format })], { type }));
      setProblem(undefined);
    } catch (e) {
      setProblem(e instanceof Error ? e.message : String(e));
    }
  };
  if (results.length === 0)
    return (
      <>
        <Warnings list={report.warnings ?? undefined} />
        <Empty>
          <h2>No task has {report.question.metric}</h2>
          <p>Choose another metric, campaign or filter. As soon as a task has it, its life is shown here.</p>
        </Empty>
      </>
    );
  return (
    <>
      <div className="bar under">
        <span>
          {results.length === 1 ? "The best" : `The best ${results.length}`} of {plural(report.total, "task")} with {report.question.metric}
          {(report.decisions?.length ?? 0) > 0 && (
            <>
              {" · "}
              <Link to="/notes" params={{ campaign }}>
                {plural(report.decisions!.length, "decision")} of people
              </Link>
            </>
          )}
        </span>
        <span className="right">
          {problem && <span role="alert" className="bad">{problem} </span>}
          <button type="button" onClick={() => print(html)}>
            Open for printing
          </button>
          <button type="button" onClick={() => download(`${name}.html`, new Blob([html], { type: "text/html" }))}>
            HTML
          </button>
          <button type="button" onClick={() => void save("markdown", "md", "text/markdown")}>
            Markdown
          </button>
          <button type="button" onClick={() => void save("json", "json", "application/json")}>
            JSON
          </button>
        </span>
      </div>
      <Warnings list={report.warnings ?? undefined} />
      <Results report={report} campaign={campaign} />
      <Paper key={show(report.made_at)} html={html} />
    </>
  );
}

// Results lead from the page, which has no links, to the tasks and their lineage.
function Results({ report, campaign }: { report: Report; campaign: string }): ReactNode {
  return (
    <div className="card scroll flush">
      <table aria-label="Results">
        <thead>
          <tr>
            <th scope="col" className="number">Rank</th>
            <th scope="col" className="number"><bdi>{report.question.metric}</bdi></th>
            <th scope="col">Result</th>
            <th scope="col">Trained by</th>
            <th scope="col">Lineage</th>
            <th scope="col" className="number">Not recorded</th>
          </tr>
        </thead>
        <tbody>
          {report.results!.map((r) => (
            <tr key={r.task.id}>
              <td className="number">{r.rank}</td>
              <td className="number">{show(r.value)}</td>
              <th scope="row" className="cut">
                <TaskLink task={r.task} />
              </th>
              <td className="cut">
                {r.training.length === 0 && <span className="soft">not known</span>}
                {r.training.slice(0, 3).map((t) => (
                  <span key={t.task.id} className="item">
                    {t.task.id === r.task.id ? "itself" : <TaskLink task={t.task} />}
                  </span>
                ))}
              </td>
              <td className="nowrap">
                <Link to="/lineage" params={{ id: r.task.id, campaign, direction: "upstream" }} aria-label={`Lineage of result ${r.rank}, ${plural(r.lineage.tasks, "task")}`}>
                  {plural(r.lineage.tasks, "task")}
                </Link>
              </td>
              <td className="number">{count(r.not_recorded.length)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function TaskLink({ task: t }: { task: ReportTask }): ReactNode {
  return (
    <Link to={`/task/${encodeURIComponent(t.id)}`}>
      <bdi>
        {t.activity_id} {t.task_id.slice(0, 80)}
      </bdi>
    </Link>
  );
}

// Paper shows the report as it is saved and printed. The frame has no origin and runs nothing (sandbox), and the policy of this
// page, which the frame inherits, says so too. There a link within the report is relative to this page; it is told whose it is.
function Paper({ html }: { html: string }): ReactNode {
  return <iframe className="paper" sandbox="" srcDoc={html.replaceAll('<a href="#', '<a href="about:srcdoc#')} title="The dossier, as it is printed" />;
}

// print opens the report in a window of its own, and asks the browser to print it. Nothing of it runs there either: the window
// inherits the policy of this page, and the report has one.
function print(html: string): void {
  const url = URL.createObjectURL(new Blob([html], { type: "text/html;charset=utf-8" }));
  const opened = window.open(url, "_blank");
  opened?.addEventListener("load", () => {
    opened.print();
    URL.revokeObjectURL(url);
  });
}
