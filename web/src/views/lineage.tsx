import { useMemo, useRef, useState, type ReactNode } from "react";
import { get, runQuery, type Graph } from "../api";
import { useData, type Loaded } from "../data";
import { useKnown } from "../fields";
import { and, ofTools, parseFilter } from "../filter";
import { count, plural } from "../format";
import { edgeLabel, GraphCanvas } from "../lineage/canvas";
import { layout } from "../lineage/layout";
import { draw, evidenceText, fromActivities, fromGraph, groupFilter, nodeName, OPENED, opened, path, usuallyOpen, type ActivityAnswer, type Drawing, type Source } from "../lineage/model";
import { Panel } from "../lineage/panel";
import { Search } from "../lineage/search";
import { useVersion } from "../live";
import { csv, download, savePNG, saveSVG } from "../parts/download";
import { FilterBox } from "../parts/filterbox";
import { Link } from "../parts/link";
import { Empty, Problem, Waiting, Warnings } from "../parts/states";
import { setParams, usePlace } from "../router";
import { show } from "../values";

const NONE = "none"; // nothing is open, rather than what usually is

export function Lineage(): ReactNode {
  const { params } = usePlace();
  const id = params.get("id") ?? "";
  return id ? <OfTask key={id} id={id} /> : <OfCampaign />;
}

// OfTask is the lineage of one task.
function OfTask({ id }: { id: string }): ReactNode {
  const { params } = usePlace();
  const direction = params.get("direction") ?? "both";
  const depth = params.get("depth") ?? "";
  const campaign = params.get("campaign") ?? "";
  const { data, error } = useData(`lineage ${id} ${direction} ${depth}`, useVersion(campaign), (s) => get<Graph>("lineage", { id, direction, depth }, s));
  const source = useMemo(() => data && fromGraph(data), [data]);
  const notes = data?.truncated ? [`Only the nearest ${count(data.tasks.length)} tasks are followed; there are more.`] : [];
  const root = data?.tasks.find((t) => data.ids.includes(t.id));
  return (
    <>
      <h1 className="hidden">Lineage</h1>
      <div className="bar">
        <strong className="cut">
          <Link to={`/task/${encodeURIComponent(id)}`}>
            <bdi>{root ? `${root.activity_id ?? ""} ${root.task_id}` : id}</bdi>
          </Link>
        </strong>
        <label>
          <span className="hidden">Direction</span>
          <select value={direction} onChange={(e) => setParams({ direction: e.target.value, open: undefined, sel: undefined })}>
            <option value="both">what it came from, and its impact</option>
            <option value="upstream">what it came from</option>
            <option value="downstream">its impact</option>
          </select>
        </label>
        <label>
          <span className="hidden">Steps</span>
          <select value={depth} onChange={(e) => setParams({ depth: e.target.value, open: undefined })}>
            <option value="">all steps</option>
            {[1, 2, 3, 5].map((n) => (
              <option key={n} value={n}>
                {n === 1 ? "1 step" : `${n} steps`}
              </option>
            ))}
          </select>
        </label>
        <Link to="/lineage" params={{ campaign }}>
          The whole campaign
        </Link>
      </div>
      {error && !data && <Problem error={error} />}
      {!source && !error && <Waiting what="Following links" />}
      {source && <GraphView source={source} notes={notes} usual={usuallyOpen(source)} />}
    </>
  );
}

// OfCampaign is the lineage of a whole campaign, by activity.
function OfCampaign(): ReactNode {
  const { params } = usePlace();
  const campaign = params.get("campaign") ?? "";
  const text = params.get("q") ?? "";
  const filter = useMemo(() => {
    let typed;
    try {
      typed = parseFilter(text);
    } catch {
      typed = undefined; // the filter box says what is wrong
    }
    return ofTools(and(campaign ? { campaign_id: campaign } : undefined, typed));
  }, [campaign, text]);
  const key = filter ? JSON.stringify(filter) : "";
  const { data, error } = useData(`activities ${key}`, useVersion(campaign), (s) => get<ActivityAnswer>("lineage/activities", { filter: key }, s));
  const source = useMemo(() => data && fromActivities(data), [data]);
  const notes =
    data && data.looked_at < data.total
      ? [`The links are those of ${plural(data.looked_at, "task")} of ${count(data.total)}, a fair sample: which activity feeds which is seen, the numbers on edges are the sample's.`]
      : [];
  const known = useKnown(campaign);
  return (
    <>
      <h1 className="hidden">Lineage</h1>
      <div className="bar">
        <FilterBox value={text} known={known} onChange={(q) => setParams({ q, open: undefined, sel: undefined })} />
      </div>
      {error && !data && <Problem error={error} />}
      {!source && !error && <Waiting what="Linking" />}
      {source && source.groups.size === 0 && (
        <Empty>
          <h2>No tasks, so no lineage</h2>
        </Empty>
      )}
      {source && source.groups.size > 0 && <Opened source={source} notes={notes} />}
    </>
  );
}

// Opened asks for the tasks of the activities that are opened.
function Opened({ source, notes }: { source: Source; notes: string[] }): ReactNode {
  const { params } = usePlace();
  const open = params.get("open")?.split(",").filter((k) => source.groups.has(k)) ?? [];
  const tasks = useData(`opened ${open.join(",")}`, 0, (s) => Promise.all(open.map((k) => tasksOf(source, k, s))));
  const whole = useMemo(() => (tasks.data?.length ? opened(source, tasks.data) : source), [source, tasks.data]);
  return (
    <>
      {tasks.error && <Problem error={tasks.error} />}
      <GraphView source={whole} notes={notes} usual={new Set()} />
    </>
  );
}

async function tasksOf(source: Source, key: string, signal: AbortSignal): Promise<Graph> {
  const rows = await runQuery({ filter: groupFilter(source.groups.get(key)!), projection: ["id"], sort: [["started_at", "ascending"]], limit: OPENED }, signal);
  const search = new URLSearchParams(rows.rows.map((r) => ["id", show(r.id)]));
  search.set("direction", "both");
  search.set("depth", "1");
  return get<Graph>(`lineage?${search.toString()}`, {}, signal);
}

interface ViewProps {
  source: Source;
  notes: string[];
  usual: Set<string>;
}

function GraphView({ source, notes, usual }: ViewProps): ReactNode {
  const { params } = usePlace();
  const given = params.get("open");
  const open = useMemo(() => (given === null ? usual : new Set(given.split(",").filter((k) => k !== NONE))), [given, usual]);
  const selected = params.get("sel") ?? undefined;
  const wanted = selected?.startsWith("t:") ? selected.slice(2) : undefined;
  const drawing = useMemo(() => draw(source, open, new Set(wanted ? [wanted] : [])), [source, open, wanted]);
  const shape = drawing.nodes.map((n) => n.id).join(" ") + drawing.edges.map((e) => e.id + edgeLabel(e)).join(" ");
  const placed = useLayout(drawing, shape);
  const svg = useRef<SVGSVGElement>(null);
  const edge = drawing.edges.find((e) => e.id === selected);
  const lit = useMemo(() => {
    if (edge) return new Set([edge.from, edge.to]);
    return selected && drawing.nodes.some((n) => n.id === selected) ? path(drawing, selected) : undefined;
  }, [drawing, selected, edge]);
  const toggle = (key: string): void => {
    const next = new Set(open);
    if (!next.delete(key)) next.add(key);
    setParams({ open: [...next].join(",") || NONE, sel: next.has(key) ? undefined : `g:${key}` });
  };
  const select = (id: string | undefined): void => setParams({ sel: id }, true);
  const name = params.get("id") ?? (params.get("campaign") || "lineage");
  const all = [...notes];
  if (drawing.left > 0) all.push(`${count(drawing.left)} activities with fewer tasks are not drawn; filter to see them.`);
  return (
    <>
      <div className="bar under">
        <span role="status">
          {plural(drawing.nodes.length, "box")
            .replace("boxs", "boxes")}
          , {plural(drawing.edges.reduce((sum, e) => sum + e.links, 0), "link")}
        </span>
        <Search source={source} drawing={drawing} onSelect={(id, group) => setParams({ sel: id, open: group && !open.has(group) ? [...open, group].join(",") : (given ?? undefined) })} />
        {open.size > 0 && (
          <button type="button" onClick={() => setParams({ open: NONE, sel: undefined })}>
            Collapse all
          </button>
        )}
        <span className="right">
          <button type="button" onClick={() => svg.current && saveSVG(svg.current, `${name}-lineage.svg`)}>
            SVG
          </button>
          <button type="button" onClick={() => svg.current && void savePNG(svg.current, `${name}-lineage.png`)}>
            PNG
          </button>
          <button type="button" onClick={() => download(`${name}-lineage.csv`, new Blob([asCSV(drawing)], { type: "text/csv" }))}>
            CSV
          </button>
        </span>
      </div>
      <Warnings list={all} />
      <div className="graph">
        {placed.error && <Problem error={placed.error} />}
        {placed.data && placed.data.shape === shape ? (
          <GraphCanvas drawing={drawing} layout={placed.data.layout} selected={selected} lit={lit} onSelect={select} onToggle={toggle} svg={svg} />
        ) : (
          <div className="canvas">
            <Waiting what="Drawing" />
          </div>
        )}
        <Panel drawing={drawing} source={source} selected={selected} open={open} onToggle={toggle} onSelect={select} />
      </div>
      <EdgeTable drawing={drawing} />
    </>
  );
}

function useLayout(drawing: Drawing, shape: string): Loaded<{ layout: Awaited<ReturnType<typeof layout>>; shape: string }> {
  const labels = new Map(drawing.edges.map((e) => [e.id, edgeLabel(e)]));
  return useData(`layout ${shape}`, 0, async () => ({ layout: await layout(drawing, (id) => labels.get(id) ?? ""), shape }));
}

function rowsOf(drawing: Drawing): { from: string; to: string; links: number; evidence: string; confidence: string }[] {
  const names = new Map(drawing.nodes.map((n) => [n.id, nodeName(n)]));
  return drawing.edges.map((e) => ({
    from: names.get(e.from) ?? e.from,
    to: names.get(e.to) ?? e.to,
    links: e.links,
    evidence: evidenceText(e.evidence),
    confidence: e.min === e.max ? e.min.toFixed(2) : `${e.min.toFixed(2)} to ${e.max.toFixed(2)}`,
  }));
}

function asCSV(drawing: Drawing): string {
  return csv(["from", "to", "links", "evidence", "confidence"], rowsOf(drawing));
}

// EdgeTable says in words what the graph draws.
function EdgeTable({ drawing }: { drawing: Drawing }): ReactNode {
  const [open, setOpen] = useState(false);
  return (
    <details className="card" onToggle={(e) => setOpen(e.currentTarget.open)}>
      <summary>The graph as a table</summary>
      {open && (
        <div className="scroll">
          <table>
            <thead>
              <tr>
                <th scope="col">From</th>
                <th scope="col">To</th>
                <th scope="col" className="number">Links</th>
                <th scope="col">Evidence</th>
                <th scope="col">Confidence</th>
              </tr>
            </thead>
            <tbody>
              {rowsOf(drawing).map((r) => (
                <tr key={`${r.from} ${r.to}`}>
                  <td className="cut"><bdi>{r.from}</bdi></td>
                  <td className="cut"><bdi>{r.to}</bdi></td>
                  <td className="number">{count(r.links)}</td>
                  <td>{r.evidence}</td>
                  <td>{r.confidence}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </details>
  );
}
