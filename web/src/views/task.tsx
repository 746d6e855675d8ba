import type { ReactNode } from "react";
import { get, type Graph, type Link as Edge, type Row, type Status } from "../api";
import { useData } from "../data";
import { count, duration, when } from "../format";
import { entityKey } from "../lineage/model";
import { useVersion } from "../live";
import { download } from "../parts/download";
import { Evidence, entityName } from "../parts/evidence";
import { LeafTable } from "../parts/leaftable";
import { Link } from "../parts/link";
import { Problem, Waiting } from "../parts/states";
import { StatusMark } from "../parts/status";
import { Telemetry } from "../parts/telemetry";
import { Notes } from "../people/notes";
import { asNumber, isMap, show, type Value } from "../values";

const SHOWN_APART = new Set([
  "id", "task_id", "kind", "campaign_id", "workflow_id", "workflow_name", "activity_id", "status", "attempt", "attempts", "submitted_at",
  "started_at", "ended_at", "elapsed", "host", "user", "site", "used", "generated", "telemetry_start", "telemetry_end", "telemetry_peak",
  "telemetry_delta", "telemetry_coverage", "environment", "stdout", "stderr", "error", "upstream", "upstream_truncated", "tags",
]);

export function TaskPage({ id }: { id: string }): ReactNode {
  const { data: t, error } = useData(`task ${id}`, useVersion(""), (s) => get<Row>(`tasks/${encodeURIComponent(id)}`, {}, s));
  if (error && !t) return <Problem error={error} />;
  if (!t) return <Waiting />;
  const unique = show(t.id);
  const others = Object.fromEntries(Object.entries(t).filter(([k]) => !SHOWN_APART.has(k)));
  const people = isMap(t.custom) && isMap(t.custom.people) ? t.custom.people : undefined;
  if (people && isMap(others.custom)) {
    others.custom = Object.fromEntries(Object.entries(others.custom).filter(([k]) => k !== "people")); // has a place of its own
    if (Object.keys(others.custom).length === 0) delete others.custom;
  }
  const save = (): void =>
    download(`task-${unique}.json`, new Blob([JSON.stringify(t, (_k, v: unknown) => (typeof v === "bigint" ? String(v) : v), 1)], { type: "application/json" }));
  return (
    <article>
      <div className="bar">
        <h1>
          <bdi>{show(t.activity_id) || "Task"}</bdi> <span className="soft mono"><bdi>{show(t.task_id)}</bdi></span>
        </h1>
        {people?.excluded === true && <span className="chip excluded">excluded</span>}
        <span className="right">
          <Link to="/lineage" params={{ id: unique, campaign: show(t.campaign_id), direction: "upstream" }} className="button">
            Lineage
          </Link>
          <Link to="/lineage" params={{ id: unique, campaign: show(t.campaign_id), direction: "downstream" }} className="button">
            Impact
          </Link>
          <button type="button" onClick={save}>
            JSON
          </button>
        </span>
      </div>
      <Facts task={t} />
      <ErrorBox error={t.error} />
      <div className="two">
        <LeafTable title="Used" prefix="used" value={t.used} empty="Nothing that was observed." note={(path) => <Producers edges={upstreamOf(t)} path={path} />} />
        <LeafTable title="Generated" prefix="generated" value={t.generated} empty={t.status === "RUNNING" ? "Nothing yet." : "Nothing that was observed."} />
      </div>
      <Notes of={{ id: unique }} target={{ ids: [unique] }} label="this task" mine={(s) => s.of !== "entity"} />
      <Links id={unique} />
      <Attempts list={t.attempts} />
      <Telemetry task={t} />
      <Output name="stdout" text={t.stdout} />
      <Output name="stderr" text={t.stderr} />
      {isMap(t.environment) && <LeafTable title="Environment" prefix="environment" value={t.environment} />}
      {Object.keys(others).length > 0 && <LeafTable title="Other" prefix="" value={others} />}
    </article>
  );
}

function Facts({ task: t }: { task: Row }): ReactNode {
  const campaign = show(t.campaign_id);
  const tags = Array.isArray(t.tags) ? t.tags.map(show) : [];
  const facts: [string, ReactNode][] = [
    ["Status", <StatusMark key="s" status={show(t.status)} />],
    ["Elapsed", duration(asNumber(t.elapsed))],
    ["Started", when(asNumber(t.started_at))],
    ["Ended", when(asNumber(t.ended_at))],
    ["Waited", waited(t)],
    ["Tool", show(t.kind)],
    [
      "Workflow",
      <Link key="w" to="/tasks" params={{ campaign, q: `workflow_id = ${JSON.stringify(show(t.workflow_id))}` }}>
        <bdi>{show(t.workflow_name) || show(t.workflow_id)}</bdi>
      </Link>,
    ],
    [
      "Campaign",
      <Link key="c" to="/" params={{ campaign }}>
        <bdi>{campaign || "(none)"}</bdi>
      </Link>,
    ],
    ["Host", show(t.host)],
    ["User", show(t.user)],
    ["Site", show(t.site)],
    ["Attempt", show(t.attempt)],
    ["Tags", tags.join(", ")],
    ["Id", <span key="i" className="mono">{show(t.id)}</span>],
  ];
  return (
    <dl className="facts card">
      {facts
        .filter(([, v]) => v !== "" && v !== "–")
        .map(([name, v]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{v}</dd>
          </div>
        ))}
    </dl>
  );
}

function waited(t: Row): string {
  const submitted = asNumber(t.submitted_at);
  const started = asNumber(t.started_at);
  return submitted !== undefined && started !== undefined && started >= submitted ? duration(started - submitted) : "";
}

function ErrorBox({ error }: { error: Value }): ReactNode {
  if (!isMap(error)) return null;
  return (
    <section className="problem" aria-label="Error">
      <strong>{show(error.type) || "Error"}</strong>
      <p>
        <bdi>{show(error.message)}</bdi>
      </p>
      {typeof error.stacktrace === "string" && (
        <details>
          <summary>Stack trace</summary>
          <pre tabIndex={0}>{error.stacktrace.slice(0, 50_000)}</pre>
        </details>
      )}
    </section>
  );
}

interface Upstream extends Omit<Edge, "from" | "to"> {
  id: string;
  task_id: string;
}

function upstreamOf(t: Row): Upstream[] {
  return Array.isArray(t.upstream) ? (t.upstream as unknown as Upstream[]) : [];
}

// Producers are the tasks that made what a value names.
function Producers({ edges, path }: { edges: Upstream[]; path: string }): ReactNode {
  const own = edges.filter((e) => e.field === path || e.field === `used.${path}`);
  return own.slice(0, 3).map((e) => (
    <span key={e.id + e.entity + e.evidence} className="producer">
      from{" "}
      <Link to={`/task/${encodeURIComponent(e.id)}`}>
        <bdi>{e.task_id.slice(0, 40)}</bdi>
      </Link>{" "}
      <Evidence link={e} />
    </span>
  ));
}

function Links({ id }: { id: string }): ReactNode {
  const version = useVersion("");
  const { data, error } = useData(`links ${id}`, version, (s) => get<Graph>("lineage", { id, direction: "both", depth: "1" }, s));
  if (error) return <Problem error={error} />;
  if (!data) return <Waiting what="Following links" />;
  return (
    <div className="two">
      <LinkList title="Came from" here={id} graph={data} links={data.links.filter((l) => l.to === id)} end="from" />
      <LinkList title="Led to" here={id} graph={data} links={data.links.filter((l) => l.from === id)} end="to" />
    </div>
  );
}

const LINKS = 50;

function LinkList({ title, here, graph, links, end }: { title: string; here: string; graph: Graph; links: Edge[]; end: "from" | "to" }): ReactNode {
  const tasks = new Map(graph.tasks.map((t) => [t.id, t]));
  return (
    <section className="card" aria-label={title}>
      <h2>
        {title} {links.length > 0 && <span className="soft small">{count(links.length)} {links.length === 1 ? "link" : "links"}</span>}
      </h2>
      {links.length === 0 ? (
        <p className="soft">No link is known.</p>
      ) : (
        <div className="scroll flush">
          <table>
            <thead>
              <tr>
                <th scope="col">Task</th>
                <th scope="col">Evidence</th>
                <th scope="col">By</th>
              </tr>
            </thead>
            <tbody>
              {links.slice(0, LINKS).map((l) => {
                const t = tasks.get(l[end]);
                return (
                  <tr key={l.from + l.to + l.entity + l.evidence}>
                    <td className="cut">
                      <StatusDot status={t?.status ?? "UNKNOWN"} />{" "}
                      <Link to={`/task/${encodeURIComponent(l[end])}`}>
                        <bdi>{t?.activity_id ? `${t.activity_id} · ` : ""}{t?.task_id ?? l[end]}</bdi>
                      </Link>
                    </td>
                    <td>
                      <Evidence link={l} />
                    </td>
                    <td className="cut" title={l.entity}>
                      <Link to="/lineage" params={{ id: here, campaign: graph.tasks.find((x) => x.id === here)?.campaign_id, direction: "both", depth: "1", sel: entityKey(l.entity) }}>
                        <bdi>{entityName(l.entity)}</bdi>
                      </Link>
                      {l.field && <span className="soft"> {l.field}</span>}
                    </td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
      {links.length > LINKS && <p className="soft">{count(links.length - LINKS)} more are in the lineage.</p>}
    </section>
  );
}

function StatusDot({ status }: { status: Status }): ReactNode {
  return (
    <span className={`status status-${status.toLowerCase()} dot`} title={status.toLowerCase()}>
      <span className="hidden">{status.toLowerCase()}</span>
    </span>
  );
}

function Attempts({ list }: { list: Value }): ReactNode {
  if (!Array.isArray(list) || list.length === 0) return null;
  return (
    <section className="card" aria-label="Earlier attempts">
      <h2>Earlier attempts</h2>
      <table>
        <thead>
          <tr>
            <th scope="col">Attempt</th>
            <th scope="col">Status</th>
            <th scope="col">Started</th>
            <th scope="col">Ended</th>
            <th scope="col">Host</th>
            <th scope="col">Error</th>
          </tr>
        </thead>
        <tbody>
          {list.filter(isMap).map((a) => (
            <tr key={show(a.attempt)}>
              <td>{show(a.attempt)}</td>
              <td>
                <StatusMark status={show(a.status)} />
              </td>
              <td>{when(asNumber(a.started_at))}</td>
              <td>{when(asNumber(a.ended_at))}</td>
              <td>{show(a.host)}</td>
              <td>
                <bdi>{isMap(a.error) ? `${show(a.error.type)}: ${show(a.error.message)}` : ""}</bdi>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

const OUTPUT = 200_000;

function Output({ name, text }: { name: string; text: Value }): ReactNode {
  if (text === undefined || text === "") return null;
  const whole = show(text);
  const long = typeof text === "string" ? text : whole;
  return (
    <section className="card" aria-label={name}>
      <h2>{name}</h2>
      <pre tabIndex={0} dir="auto">{long.slice(-OUTPUT)}</pre>
      {long.length > OUTPUT && <p className="soft">The last {count(OUTPUT)} of {count(long.length)} characters.</p>}
    </section>
  );
}
