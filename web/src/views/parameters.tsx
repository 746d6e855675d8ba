import type { EChartsType } from "echarts/core";
import { useMemo, useRef, useState, type ReactNode } from "react";
import { activityChoices } from "../activities";
import { runQuery, type Filter, type Row } from "../api";
import { Chart, chartPNG, chartSVG } from "../charts/chart";
import { axisOf, parallel, scatter, short } from "../charts/options";
import { useData } from "../data";
import { isNumeric, useFields, useKnown, type FieldInfo } from "../fields";
import { and, parseFilter, quoted } from "../filter";
import { count, plural } from "../format";
import { useVersion } from "../live";
import { ColumnChoice } from "../parts/columns";
import { csv, download } from "../parts/download";
import { FilterBox } from "../parts/filterbox";
import { Empty, Problem, Waiting, Warnings } from "../parts/states";
import { MARKS, TaskTable } from "../parts/tasktable";
import { go, hrefOf, setParams, usePlace } from "../router";
import { useTheme } from "../theme";
import { show } from "../values";

const ROWS = 5000; // drawn; more are a fair sample, because they come by id, a hash
const AXES = 10;

export function Parameters(): ReactNode {
  const { params } = usePlace();
  const campaign = params.get("campaign") ?? "";
  const text = params.get("q") ?? "";
  const activities = useData(`parameters of ${campaign}`, 0, (s) => activityChoices(campaign, s));
  const activity = params.get("activity") ?? activities.data?.[0]?.activity;
  const known = useKnown(campaign);
  if (activities.error) return <Problem error={activities.error} />;
  if (!activities.data) return <Waiting />;
  return (
    <>
      <h1 className="hidden">Parameters</h1>
      <div className="bar">
        <label>
          Activity{" "}
          <select value={activity ?? ""} onChange={(e) => setParams({ activity: e.target.value, axes: undefined, x: undefined, y: undefined, colour: undefined })}>
            {activities.data.map((a) => (
              <option key={a.activity} value={a.activity}>
                {a.activity.slice(0, 60) || "(none)"} ({count(a.tasks)})
              </option>
            ))}
          </select>
        </label>
        <FilterBox value={text} known={known} onChange={(q) => setParams({ q })} />
      </div>
      {activity === undefined ? (
        <Empty>
          <h2>No task has finished with numbers yet</h2>
          <p>Parameters (used.*) and metrics (generated.*) of an activity are drawn here as soon as there are some.</p>
        </Empty>
      ) : (
        <Of key={activity} campaign={campaign} activity={activity} text={text} />
      )}
    </>
  );
}

function Of({ campaign, activity, text }: { campaign: string; activity: string; text: string }): ReactNode {
  const filter = useMemo(() => {
    let typed;
    try {
      typed = parseFilter(text);
    } catch {
      typed = undefined; // the filter box says what is wrong
    }
    return and({ ...(campaign ? { campaign_id: campaign } : {}), activity_id: activity }, typed);
  }, [campaign, activity, text]);
  const fields = useFields(filter);
  if (fields.error) return <Problem error={fields.error} />;
  if (!fields.data) return <Waiting />;
  const drawable = fields.data.fields.filter((f) => isNumeric(f) || (f.type === "text" && f.values !== undefined));
  if (fields.data.total === 0 || drawable.length === 0)
    return (
      <Empty>
        <h2>Nothing to draw of {activity}</h2>
        <p>Its tasks have no numbers, booleans or choices.</p>
      </Empty>
    );
  return <Charts campaign={campaign} activity={activity} filter={filter} fields={drawable} />;
}

const varies = (f: FieldInfo): boolean => (f.type === "number" ? f.min !== f.max : (f.values?.length ?? 0) > 1);

// What is nested deep, or names files, is seldom a parameter.
const rank = (f: FieldInfo): number => f.name.split(".").length + (f.values?.some((v) => typeof v === "string" && v.includes("/")) ? 10 : 0);

function usualAxes(fields: FieldInfo[]): string[] {
  const of = (root: string): string[] =>
    fields
      .filter((f) => f.name.startsWith(`${root}.`) && varies(f) && f.name.length < 80)
      .toSorted((a, b) => rank(a) - rank(b) || b.tasks - a.tasks)
      .map((f) => f.name);
  const metrics = of("generated").slice(0, 3);
  return [...of("used").slice(0, AXES - metrics.length - 1), "elapsed", ...metrics];
}

interface ChartsProps {
  campaign: string;
  activity: string;
  filter: Filter | undefined;
  fields: FieldInfo[];
}

function Charts({ campaign, activity, filter, fields }: ChartsProps): ReactNode {
  const { params } = usePlace();
  const view = params.get("view") === "scatter" ? "scatter" : "parallel";
  const axes = useMemo(() => params.get("axes")?.split(",") ?? usualAxes(fields), [params, fields]);
  const names = ["elapsed", ...fields.map((f) => f.name)];
  const x = params.get("x") ?? axes[0] ?? "elapsed";
  const y = params.get("y") ?? axes.at(-1) ?? "elapsed";
  const coloured = params.get("colour") ?? axes.at(-1) ?? "elapsed";
  const projection = [...new Set(["id", "task_id", "status", ...(view === "scatter" ? [x, y] : axes), coloured])];
  const query = { filter, projection: [...new Set([...projection, ...MARKS])], limit: ROWS };
  const { data, error } = useData(JSON.stringify(query), useVersion(campaign), (s) => runQuery(query, s));
  const dark = useTheme() === "dark";
  const log = useMemo(() => ({ x: params.get("logx") === "1", y: params.get("logy") === "1" }), [params]);
  const rows = data?.rows;
  const option = useMemo(() => {
    if (!rows) return undefined;
    const axis = (name: string) => axisOf(name, rows, fields.find((f) => f.name === name));
    return view === "scatter" ? scatter(axis(x), axis(y), axis(coloured), rows, dark, log) : parallel(axes.map(axis), axis(coloured), rows, dark);
  }, [rows, fields, view, axes, x, y, coloured, dark, log]);
  const chart = useRef<EChartsType>(null);
  const [brushed, setBrushed] = useState<{ rows: Row[]; of: Row[] }>();
  if (error && !data) return <Problem error={error} />;
  if (!data || !rows || !option) return <Waiting what="Asking" />;
  const chosen = brushed?.of === rows ? brushed.rows : undefined;
  const name = `${activity}-${view}`;
  const field = (label: string, param: string, value: string): ReactNode => (
    <label>
      {label}{" "}
      <select value={value} onChange={(e) => setParams({ [param]: e.target.value })}>
        {[...new Set([value, ...names])].map((n) => (
          <option key={n} value={n}>
            {n.slice(0, 70)}
          </option>
        ))}
      </select>
    </label>
  );
  return (
    <>
      <div className="bar">
        <span className="tabs" role="group" aria-label="Kind of chart">
          <button type="button" aria-pressed={view === "parallel"} onClick={() => setParams({ view: undefined })}>
            Parallel coordinates
          </button>
          <button type="button" aria-pressed={view === "scatter"} onClick={() => setParams({ view: "scatter" })}>
            Scatter
          </button>
        </span>
        {view === "scatter" && (
          <>
            {field("x", "x", x)}
            {field("y", "y", y)}
            <label>
              <input type="checkbox" checked={log.x} onChange={(e) => setParams({ logx: e.target.checked ? "1" : undefined })} /> log x
            </label>
            <label>
              <input type="checkbox" checked={log.y} onChange={(e) => setParams({ logy: e.target.checked ? "1" : undefined })} /> log y
            </label>
          </>
        )}
        {field("Colour", "colour", coloured)}
        {view === "parallel" && <ColumnChoice name="Axes" known={names} chosen={axes} onChange={(a) => setParams({ axes: a?.join(",") })} />}
        <span className="right">
          <button type="button" onClick={() => chart.current && chartPNG(chart.current, `${name}.png`)}>
            PNG
          </button>
          <button type="button" onClick={() => chart.current && chartSVG(chart.current, option, `${name}.svg`)}>
            SVG
          </button>
          <button type="button" onClick={() => download(`${name}.csv`, new Blob([csv(projection, chosen ?? rows)], { type: "text/csv" }))}>
            CSV
          </button>
        </span>
      </div>
      <Warnings list={[...(data.warnings ?? []), ...(data.truncated ? [`Drawn from ${count(rows.length)} of ${plural(data.total, "task")}, a fair sample.`] : [])]} />
      <Chart
        option={option}
        onChart={(c) => {
          chart.current = c;
        }}
        label={
          view === "scatter"
            ? `Scatter of ${short(y)} over ${short(x)}, coloured by ${short(coloured)}, of ${plural(rows.length, "task")}; the table below has the values`
            : `Parallel coordinates of ${axes.map(short).join(", ")}, coloured by ${short(coloured)}, of ${plural(rows.length, "task")}; the table below has the values`
        }
        on={{
          axisareaselected: (c) => {
            const indices = selectedRows(c);
            setBrushed(indices.length < rows.length ? { rows: indices.map((i) => rows[i]!), of: rows } : undefined);
          },
          click: (_c, e) => {
            const at = (e as { data?: unknown[] }).data?.[3];
            const row = typeof at === "number" && view === "scatter" ? rows[at] : undefined;
            if (row) go(hrefOf(`/task/${encodeURIComponent(show(row.id))}`, { campaign }));
          },
        }}
      />
      <h2>
        {chosen ? `${plural(chosen.length, "task")} within the marks` : view === "parallel" ? "Drag along an axis to mark a range" : plural(rows.length, "task")}
        {chosen && (
          <>
            {" "}
            <a href={hrefOf("/tasks", { campaign, q: `activity_id = ${quoted(activity)}` })}>the whole activity in the table</a>
          </>
        )}
      </h2>
      <div>
        <TaskTable fit rows={chosen ?? rows} columns={projection.filter((c) => c !== "id")} firstRow={1} total={chosen?.length ?? rows.length} sort="" />
      </div>
    </>
  );
}

interface Series {
  getRawIndicesByActiveState(state: "active"): number[];
}

// selectedRows asks the chart which lines lie within the marked ranges.
function selectedRows(chart: EChartsType): number[] {
  const inner = chart as unknown as { getModel(): { getSeries(): Series[] } };
  return inner.getModel().getSeries()[0]?.getRawIndicesByActiveState("active") ?? [];
}
