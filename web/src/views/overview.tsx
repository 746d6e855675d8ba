import type { ReactNode } from "react";
import { get, runQuery, type Answer, type Campaign, type Workflow } from "../api";
import { useData } from "../data";
import { ofTools } from "../filter";
import { ago, bytes, count, duration, plural, when } from "../format";
import { useVersion } from "../live";
import { Link } from "../parts/link";
import { Empty, Problem, Waiting } from "../parts/states";
import { StatusBar } from "../parts/status";
import { Activity } from "../parts/activity";
import { Notes } from "../people/notes";
import { usePlace } from "../router";
import { asNumber, show } from "../values";

export function Overview(): ReactNode {
  const campaign = usePlace().params.get("campaign") ?? "";
  const { data, error } = useData("campaigns", useVersion(""), (s) => get<{ campaigns: Campaign[] }>("campaigns", {}, s));
  if (error && !data) return <Problem error={error} />;
  if (!data) return <Waiting />;
  const list = data.campaigns.filter((c) => !campaign || c.campaign_id === campaign);
  if (list.length === 0)
    return (
      <Empty>
        <h1>{campaign ? `Nothing yet of campaign ${campaign}` : "Nothing observed yet"}</h1>
        <p>The collector runs and waits. As soon as an observed tool starts a task it appears here, without a reload.</p>
        <p>How to observe Dask, MLflow, log files and programs with OpenTelemetry is in the README; whether anybody observes is under <Link to="/completeness">Completeness</Link>.</p>
      </Empty>
    );
  return (
    <>
      <h1>{campaign ? campaign : plural(list.length, "campaign")}</h1>
      {error && <Problem error={error} />}
      {list
        .toSorted((a, b) => (b.last_at ?? 0) - (a.last_at ?? 0))
        .map((c) => (
          <CampaignCard key={c.campaign_id} campaign={c} open={list.length <= 3} titled={!campaign} />
        ))}
    </>
  );
}

function CampaignCard({ campaign: c, open, titled }: { campaign: Campaign; open: boolean; titled: boolean }): ReactNode {
  const name = c.campaign_id || "(no campaign)";
  const running = c.by_status.RUNNING ?? 0;
  const params = { campaign: c.campaign_id };
  return (
    <section className="card" aria-label={`Campaign ${name}`}>
      {titled && (
        <h2 className="cut">
          <Link to="/" params={params}>
            {name}
          </Link>
        </h2>
      )}
      <dl className="facts">
        <Fact name="Tasks" value={count(c.tasks)} />
        <Fact name="Workflows" value={count(c.workflows)} />
        <Fact name="Running now" value={count(running)} />
        <Fact name="First" value={when(c.first_at)} />
        <Fact name="Last" value={running ? "running" : c.last_at ? ago(c.last_at) : "–"} title={when(c.last_at)} />
        <Fact name="Span" value={duration(c.first_at && c.last_at ? c.last_at - c.first_at : undefined)} />
      </dl>
      <StatusBar counts={c.by_status} total={c.tasks} />
      <p className="bar under">
        <Link to="/dossier" params={params}>
          Dossier of the best results
        </Link>
        <Link to="/lineage" params={params}>
          Lineage
        </Link>
        <Link to="/completeness" params={params}>
          Is everything here?
        </Link>
      </p>
      {open && c.campaign_id !== "" && (
        <>
          <Notes plain of={{ campaign_id: c.campaign_id, limit: "3", tasks: "false" }} shown={3} target={{ campaign: c.campaign_id }} label={`campaign ${c.campaign_id}`} mine={(s) => s.of === "campaign"} />
          <Activity campaign={c.campaign_id} />
          <Activities campaign={c.campaign_id} />
          <Workflows campaign={c.campaign_id} />
        </>
      )}
    </section>
  );
}

function Fact({ name, value, title }: { name: string; value: string; title?: string }): ReactNode {
  return (
    <div title={title}>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

const COST: [string, string][] = [
  ["sum", "elapsed"],
  ["median", "elapsed"],
  ["p95", "elapsed"],
  ["sum", "telemetry_delta.process.cpu.time"],
  ["max", "telemetry_peak.process.memory.usage"],
];

// Activities says what each kind of task cost.
function Activities({ campaign }: { campaign: string }): ReactNode {
  const version = useVersion(campaign);
  const { data, error } = useData(`activities ${campaign}`, version, (s) => activities(campaign, s));
  if (error) return <Problem error={error} />;
  if (!data) return <Waiting what="Adding up" />;
  return (
    <div className="scroll">
      <table>
        <caption>What it cost, by activity</caption>
        <thead>
          <tr>
            <th scope="col">Activity</th>
            <th scope="col">Tool</th>
            <th scope="col" className="number">Tasks</th>
            <th scope="col" className="number">Failed</th>
            <th scope="col" className="number">Time, all</th>
            <th scope="col" className="number">Median</th>
            <th scope="col" className="number">p95</th>
            <th scope="col" className="number">CPU time</th>
            <th scope="col" className="number">Peak memory</th>
          </tr>
        </thead>
        <tbody>
          {data.map((r) => (
            <tr key={`${r.activity}\0${r.kind}`}>
              <th scope="row" className="cut">
                <Link to="/tasks" params={{ campaign, q: `activity_id = ${JSON.stringify(r.activity)}` }}>
                  {r.activity || "(none)"}
                </Link>
              </th>
              <td>{r.kind}</td>
              <td className="number">{count(r.tasks)}</td>
              <td className={`number ${r.failed ? "bad" : ""}`}>{count(r.failed)}</td>
              <td className="number">{duration(r.cost[0])}</td>
              <td className="number">{duration(r.cost[1])}</td>
              <td className="number">{duration(r.cost[2])}</td>
              <td className="number">{duration(r.cost[3])}</td>
              <td className="number">{bytes(r.cost[4])}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface ActivityRow {
  activity: string;
  kind: string;
  tasks: number;
  failed: number;
  cost: (number | undefined)[];
}

async function activities(campaign: string, signal: AbortSignal): Promise<ActivityRow[]> {
  const projection = ["activity_id", "kind"];
  const [costs, failures] = await Promise.all([
    runQuery({ filter: ofTools({ campaign_id: campaign }), projection, aggregation: COST, sort: [["count", "descending"]], limit: 50 }, signal),
    runQuery({ filter: { campaign_id: campaign, status: "FAILED" }, projection, aggregation: [["count", "id"]], limit: 10000 }, signal),
  ]);
  const failed = byActivity(failures);
  return costs.rows.map((r) => {
    const activity = show(r.activity_id);
    const kind = show(r.kind);
    return {
      activity,
      kind,
      tasks: asNumber(r.count) ?? 0,
      failed: failed.get(`${activity}\0${kind}`) ?? 0,
      cost: COST.map(([op, field]) => asNumber(r[`${op}(${field})`])),
    };
  });
}

function byActivity(answer: Answer): Map<string, number> {
  return new Map(answer.rows.map((r) => [`${show(r.activity_id)}\0${show(r.kind)}`, asNumber(r.count) ?? 0]));
}

const SHOWN = 50;

function Workflows({ campaign }: { campaign: string }): ReactNode {
  const version = useVersion(campaign);
  const { data, error } = useData(`workflows ${campaign}`, version, (s) => get<{ workflows: Workflow[] }>("workflows", { campaign }, s));
  if (error) return <Problem error={error} />;
  if (!data) return <Waiting what="Listing workflows" />;
  const list = data.workflows.filter((w) => w.campaign_id === campaign).toSorted((a, b) => (b.last_at ?? 0) - (a.last_at ?? 0));
  return (
    <div className="scroll">
      <table>
        <caption>
          Workflows, latest first
          {list.length > SHOWN && ` (${SHOWN} of ${count(list.length)})`}
        </caption>
        <thead>
          <tr>
            <th scope="col">Workflow</th>
            <th scope="col">Tool</th>
            <th scope="col" className="number">Tasks</th>
            <th scope="col">Status</th>
            <th scope="col">Began</th>
            <th scope="col" className="number">Span</th>
          </tr>
        </thead>
        <tbody>
          {list.slice(0, SHOWN).map((w) => (
            <tr key={w.workflow_id}>
              <th scope="row" className="cut">
                <Link to="/tasks" params={{ campaign, q: `workflow_id = ${JSON.stringify(w.workflow_id)}` }} title={w.workflow_id}>
                  {w.workflow_name || w.workflow_id || "(none)"}
                </Link>
              </th>
              <td>{w.kind}</td>
              <td className="number">{count(w.tasks)}</td>
              <td>
                <StatusBar counts={w.by_status} total={w.tasks} />
              </td>
              <td>{when(w.first_at)}</td>
              <td className="number">{duration(w.first_at && w.last_at ? w.last_at - w.first_at : undefined)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
