import { lazy, Suspense, useCallback, useMemo, useRef, useState, type ReactNode } from "react";
import { activityChoices, type ActivityChoice } from "../activities";
import { get } from "../api";
import { useCalm } from "../calm";
import { HeatMap } from "../correlation/map";
import { CORRECTIONS, layOut, PRESETS, probability, readFields, statistic, writeFields, X, type Cell, type Matrix } from "../correlation/model";
import { useData } from "../data";
import { useFields, useKnown } from "../fields";
import { and, parseFilter } from "../filter";
import { count, plural } from "../format";
import { useVersion } from "../live";
import { ColumnChoice } from "../parts/columns";
import { csv, download, savePNG, saveSVG } from "../parts/download";
import { FilterBox } from "../parts/filterbox";
import { Empty, Problem, Waiting, Warnings } from "../parts/states";
import { setParams, usePlace } from "../router";
import { showNumber } from "../values";

const CellTasks = lazy(() => import("../correlation/tasks").then((m) => ({ default: m.CellTasks })));

const COLUMNS = ["x", "y", "statistic", "value", "n", "p", "q", "reason"] as const;
const PREFIXES = ["used.*", "generated.*", "telemetry_peak.*", "telemetry_delta.*", "elapsed"];

export function Correlation(): ReactNode {
  const { params } = usePlace();
  const campaign = params.get("campaign") ?? "";
  const activities = useData(`correlation of ${campaign}`, 0, (s) => activityChoices(campaign, s));
  if (activities.error) return <Problem error={activities.error} />;
  if (!activities.data) return <Waiting />;
  return <Of campaign={campaign} activities={activities.data} />;
}

function Of({ campaign, activities }: { campaign: string; activities: ActivityChoice[] }): ReactNode {
  const { params } = usePlace();
  const text = params.get("q") ?? "";
  const activity = params.get("all") ? undefined : (params.get("activity") ?? activities[0]?.activity);
  const method = params.get("method") === "spearman" ? "spearman" : "pearson";
  const x = readFields(params.get("x"), X);
  const y = readFields(params.get("y"), PRESETS.metrics!.y);
  const known = useKnown(campaign);
  const filter = useMemo(() => {
    let typed;
    try {
      typed = parseFilter(text);
    } catch {
      typed = undefined; // the filter box says what is wrong
    }
    return and(campaign || activity !== undefined ? { ...(campaign ? { campaign_id: campaign } : {}), ...(activity === undefined ? {} : { activity_id: activity }) } : undefined, typed);
  }, [campaign, activity, text]);
  const fields = useFields(filter);
  const names = [...PREFIXES, ...(fields.data?.fields ?? []).map((f) => f.name)];
  const choose = (param: "x" | "y") => (list: string[] | undefined) => setParams({ [param]: list?.length ? writeFields(list) : undefined, cx: undefined, cy: undefined });
  return (
    <>
      <h1 className="hidden">Correlation</h1>
      <div className="bar">
        <label>
          Activity{" "}
          <select
            value={activity ?? ""}
            onChange={(e) => setParams({ activity: e.target.value, all: e.target.value === "" ? "1" : undefined, x: undefined, y: undefined, cx: undefined, cy: undefined })}
          >
            <option value="">All activities</option>
            {activities.map((a) => (
              <option key={a.activity} value={a.activity}>
                {a.activity.slice(0, 60) || "(none)"} ({count(a.tasks)})
              </option>
            ))}
          </select>
        </label>
        <FilterBox value={text} known={known} onChange={(q) => setParams({ q })} />
      </div>
      <div className="bar">
        <span className="tabs" role="group" aria-label="What x is correlated with">
          {Object.entries(PRESETS).map(([key, preset]) => (
            <button key={key} type="button" aria-pressed={writeFields(y) === writeFields(preset.y)} onClick={() => choose("y")(key === "metrics" ? undefined : preset.y)}>
              {preset.name}
            </button>
          ))}
        </span>
        <ColumnChoice name="x" known={names} chosen={x} onChange={choose("x")} />
        <ColumnChoice name="y" known={names} chosen={y} onChange={choose("y")} />
        <label>
          Method{" "}
          <select value={method} onChange={(e) => setParams({ method: e.target.value === "spearman" ? "spearman" : undefined })}>
            <option value="pearson">Pearson</option>
            <option value="spearman">Spearman</option>
          </select>
        </label>
        <Check param="cluster">Cluster</Check>
        <Check param="every">Fields without a number</Check>
      </div>
      <Answered campaign={campaign} filter={filter ? JSON.stringify(filter) : ""} x={x} y={y} method={method} />
    </>
  );
}

function Check({ param, children }: { param: string; children: ReactNode }): ReactNode {
  const { params } = usePlace();
  return (
    <label>
      <input type="checkbox" checked={params.get(param) === "1"} onChange={(e) => setParams({ [param]: e.target.checked ? "1" : undefined })} /> {children}
    </label>
  );
}

interface AnsweredProps {
  campaign: string;
  filter: string;
  x: string[];
  y: string[];
  method: string;
}

function Answered({ campaign, filter, x, y, method }: AnsweredProps): ReactNode {
  const asked = { filter, x: JSON.stringify(x), y: JSON.stringify(y), method };
  const { data, version, error, behind, again } = useCalm(JSON.stringify(asked), useVersion(campaign), (s) => get<Matrix>("correlation", asked, s));
  if (error && !data) return <Problem error={error} />;
  if (!data) return <Waiting what="Correlating" />;
  return (
    <>
      {behind && (
        <p className="bar under" role="status">
          There is more since.
          <button type="button" onClick={again}>
            Correlate again
          </button>
        </p>
      )}
      <Shown matrix={data} version={version} campaign={campaign} filter={filter} />
    </>
  );
}

function Shown({ matrix, version, campaign, filter }: { matrix: Matrix; version: number; campaign: string; filter: string }): ReactNode {
  const { params } = usePlace();
  const svg = useRef<SVGSVGElement>(null);
  const [cx, cy] = [params.get("cx"), params.get("cy")];
  const [opened, setOpened] = useState<string>();
  const every = params.get("every") === "1";
  const cluster = params.get("cluster") === "1";
  const layout = useMemo(() => layOut(matrix, every, cluster), [matrix, every, cluster]);
  const open = useCallback((c: Cell) => {
    setOpened(`${c.x} ${c.y}`);
    setParams({ cx: c.x, cy: c.y });
  }, []);
  const drawn = layout.rows.length > 0 && layout.columns.length > 0;
  const caption = `${matrix.method === "spearman" ? "Spearman" : "Pearson"}, ${plural(matrix.read, "task")}, ${plural(matrix.tests, "test")}; q is p corrected by ${CORRECTIONS[matrix.correction] ?? matrix.correction}`;
  return (
    <>
      <div className="bar under">
        <span>A cell opens into its tasks: click, or arrows and Enter. Bold in a frame: q &lt; 0.05.</span>
        <span className="right">
          <button type="button" disabled={!drawn} onClick={() => svg.current && void savePNG(svg.current, "correlation.png")}>
            PNG
          </button>
          <button type="button" disabled={!drawn} onClick={() => svg.current && saveSVG(svg.current, "correlation.svg")}>
            SVG
          </button>
          <button type="button" onClick={() => download("correlation.csv", new Blob([csv([...COLUMNS], matrix.cells.map((c) => ({ ...c })))], { type: "text/csv" }))}>
            CSV
          </button>
        </span>
      </div>
      <Warnings list={matrix.warnings ?? []} />
      {drawn ? (
        <HeatMap layout={layout} caption={caption} selected={cx !== null && cy !== null ? { x: cx, y: cy } : undefined} svg={svg} onOpen={open} />
      ) : (
        <Empty>
          <h2>{matrix.read === 0 ? "No task to correlate yet" : "No pair of these fields has a number"}</h2>
          <p>{matrix.read === 0 ? "What tasks used is correlated with what they generated as soon as there are some." : "Choose other fields, another activity or a wider filter."}</p>
        </Empty>
      )}
      {layout.without.length > 0 && (
        <details className="card">
          <summary>{plural(layout.without.length, "field")} without a number</summary>
          <ul className="plain">
            {layout.without.map((w, i) => (
              <li key={i}>
                <bdi>{w.field.slice(0, 200)}</bdi>: <bdi className="soft">{w.reason.slice(0, 300)}</bdi>
              </li>
            ))}
          </ul>
        </details>
      )}
      {cx !== null && cy !== null && (
        <Suspense fallback={<Waiting />}>
          <CellTasks campaign={campaign} filter={filter} x={cx} y={cy} cell={matrix.cells.find((c) => c.x === cx && c.y === cy)} version={version} focus={opened === `${cx} ${cy}`} />
        </Suspense>
      )}
      {matrix.cells.length > 0 && <AsTable cells={matrix.cells} />}
    </>
  );
}

function AsTable({ cells }: { cells: Cell[] }): ReactNode {
  const [open, setOpen] = useState(false);
  return (
    <details onToggle={(e) => setOpen(e.currentTarget.open)}>
      <summary>The map as a table</summary>
      {open && (
        <div className="scroll" tabIndex={0} role="region" aria-label="The map as a table">
          <table aria-label="Correlations">
            <thead>
              <tr>
                {COLUMNS.map((c) => (
                  <th key={c} scope="col">
                    {c}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {cells.map((c, i) => (
                <tr key={i}>
                  <td className="cut">
                    <bdi>{c.x}</bdi>
                  </td>
                  <td className="cut">
                    <bdi>{c.y}</bdi>
                  </td>
                  <td>{statistic(c)}</td>
                  <td className="number">{c.value === undefined ? "" : showNumber(c.value)}</td>
                  <td className="number">{count(c.n)}</td>
                  <td className="number">{c.p === undefined ? "" : probability(c.p)}</td>
                  <td className="number">{c.q === undefined ? "" : probability(c.q)}</td>
                  <td>{c.reason ?? ""}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </details>
  );
}
