import type { ReactNode } from "react";
import { runQuery, type GraphTask } from "../api";
import { useData } from "../data";
import { count, duration } from "../format";
import { Evidence, entityName } from "../parts/evidence";
import { Link } from "../parts/link";
import { Problem, Waiting } from "../parts/states";
import { Notes } from "../people/notes";
import { StatusBar, StatusMark } from "../parts/status";
import { asNumber, show } from "../values";
import { entityKey, evidenceText, groupFilter, linksOver, nodeName, type Drawing, type Edge, type Group, type Node, type Source } from "./model";

interface Props {
  drawing: Drawing;
  source: Source;
  selected: string | undefined;
  open: ReadonlySet<string>;
  onToggle: (group: string) => void;
  onSelect: (id: string) => void;
}

// Panel tells what is selected.
export function Panel({ drawing, source, selected, open, onToggle, onSelect }: Props): ReactNode {
  const node = drawing.nodes.find((n) => n.id === selected);
  const edge = drawing.edges.find((e) => e.id === selected);
  return (
    <aside className="card side" aria-label="Selection" aria-live="polite">
      {node?.task ? (
        <TaskPanel task={node.task} group={node.group} onToggle={onToggle} />
      ) : node ? (
        <GroupPanel node={node} open={open.has(node.group.key)} onToggle={onToggle} />
      ) : edge ? (
        <EdgePanel edge={edge} drawing={drawing} source={source} onSelect={onSelect} />
      ) : selected?.startsWith("x:") ? (
        <EntityPanel key={selected} entity={selected.slice(2)} drawing={drawing} source={source} />
      ) : (
        <Summary drawing={drawing} onSelect={onSelect} />
      )}
    </aside>
  );
}

const LISTED = 100;

function Summary({ drawing, onSelect }: { drawing: Drawing; onSelect: (id: string) => void }): ReactNode {
  return (
    <>
      <p className="soft">Select a box to light its path and to open it; select an edge for its evidence.</p>
      <ul className="plain">
        {drawing.nodes
          .filter((n) => !n.more)
          .slice(0, LISTED)
          .map((n) => (
            <li key={n.id}>
              <button type="button" className="quiet row" onClick={() => onSelect(n.id)}>
                <bdi>{nodeName(n)}</bdi> {!n.task && <span className="soft">{count(n.group.tasks)}</span>}
              </button>
            </li>
          ))}
      </ul>
    </>
  );
}

function TaskPanel({ task: t, group, onToggle }: { task: GraphTask; group: Group; onToggle: (group: string) => void }): ReactNode {
  const params = (direction: string) => ({ id: t.id, campaign: t.campaign_id, direction });
  return (
    <>
      <h2>
        <bdi>{t.task_id}</bdi>
      </h2>
      <p>
        <StatusMark status={t.status} /> <bdi>{t.activity_id}</bdi> · {t.kind}
        {t.started_at !== undefined && t.ended_at !== undefined && ` · ${duration(t.ended_at - t.started_at)}`}
      </p>
      <p className="actions">
        <Link className="button" to={`/task/${encodeURIComponent(t.id)}`}>
          Task page
        </Link>
        <Link className="button" to="/lineage" params={params("upstream")}>
          Only what it came from
        </Link>
        <Link className="button" to="/lineage" params={params("downstream")}>
          Only its impact
        </Link>
        <button type="button" onClick={() => onToggle(group.key)}>
          Collapse {group.activity}
        </button>
      </p>
    </>
  );
}

function GroupPanel({ node, open, onToggle }: { node: Node; open: boolean; onToggle: (group: string) => void }): ReactNode {
  const g = node.group;
  return (
    <>
      <h2>
        <bdi>{g.activity || "(no activity)"}</bdi>
      </h2>
      <p>
        {g.outside ? "Outside of what is chosen" : `${count(g.tasks)} ${g.tasks === 1 ? "task" : "tasks"}`} · {g.kind}
        {g.campaign && <> · <bdi>{g.campaign}</bdi></>}
      </p>
      {!g.outside && <StatusBar counts={g.counts} total={g.tasks} />}
      {g.workflows.length > 0 && <p className="soft">In {g.workflows.join(", ")}</p>}
      <p className="actions">
        <button type="button" onClick={() => onToggle(g.key)}>
          {open ? "Collapse" : "Open into tasks"}
        </button>
        <Link className="button" to="/tasks" params={{ campaign: g.campaign, q: `activity_id = ${JSON.stringify(g.activity)} and kind = ${JSON.stringify(g.kind)}` }}>
          All in the table
        </Link>
      </p>
      <Latest group={g} />
    </>
  );
}

function Latest({ group }: { group: Group }): ReactNode {
  const { data, error } = useData(`latest ${group.key}`, 0, (s) =>
    runQuery({ filter: groupFilter(group), projection: ["id", "task_id", "status", "elapsed"], sort: [["started_at", "descending"]], limit: 12 }, s),
  );
  if (error) return <Problem error={error} />;
  if (!data) return <Waiting />;
  return (
    <>
      <h3>Latest tasks: focus on one</h3>
      <ul className="plain">
        {data.rows.map((r) => (
          <li key={show(r.id)} className="cut">
            <StatusMark status={show(r.status)} />{" "}
            <Link to="/lineage" params={{ id: show(r.id), campaign: group.campaign, direction: "both" }}>
              <bdi>{show(r.task_id)}</bdi>
            </Link>{" "}
            <span className="soft">{duration(asNumber(r.elapsed))}</span>
          </li>
        ))}
      </ul>
    </>
  );
}

interface EntityProps {
  entity: string;
  drawing: Drawing;
  source: Source;
}

// EntityPanel tells who made and who used a thing, and what people said of it.
function EntityPanel({ entity, drawing, source }: EntityProps): ReactNode {
  const links = linksOver(source, drawing, entity);
  const task = (id: string): ReactNode => {
    const t = source.tasks.get(id);
    return (
      <li key={id} className="cut">
        <Link to={`/task/${encodeURIComponent(id)}`}>
          <bdi>{t ? `${t.activity_id ?? ""} ${t.task_id}` : id}</bdi>
        </Link>
      </li>
    );
  };
  const list = (title: string, ids: string[]): ReactNode => (
    <>
      <h3>
        {title} {ids.length > 0 && <span className="soft small">{count(ids.length)}</span>}
      </h3>
      {ids.length === 0 ? <p className="soft">No task of this graph.</p> : <ul className="plain">{ids.slice(0, LISTED).map(task)}</ul>}
    </>
  );
  return (
    <>
      <h2>
        <bdi>{entityName(entity)}</bdi>
      </h2>
      <p className="mono soft">
        <bdi>{entity.slice(0, 1000)}</bdi>
      </p>
      <Notes plain of={{ entity }} target={{ entity }} label={entityName(entity)} mine={() => true} />
      {list("Generated by", [...new Set(links.map((l) => l.from))])}
      {list("Used by", [...new Set(links.map((l) => l.to))])}
    </>
  );
}

interface EdgeProps {
  edge: Edge;
  drawing: Drawing;
  source: Source;
  onSelect: (id: string) => void;
}

function EdgePanel({ edge: e, drawing, source, onSelect }: EdgeProps): ReactNode {
  const name = (id: string): string => {
    const n = drawing.nodes.find((x) => x.id === id);
    return n ? nodeName(n) : id;
  };
  const task = (id: string): string => source.tasks.get(id)?.task_id ?? id.slice(0, 12);
  return (
    <>
      <h2>
        <bdi>{name(e.from)}</bdi> → <bdi>{name(e.to)}</bdi>
      </h2>
      <dl className="facts">
        <div>
          <dt>Links</dt>
          <dd>{count(e.links)}</dd>
        </div>
        <div>
          <dt>Evidence</dt>
          <dd>{evidenceText(e.evidence)}</dd>
        </div>
        <div>
          <dt>Confidence</dt>
          <dd>{e.min === e.max ? e.min.toFixed(2) : `${e.min.toFixed(2)} to ${e.max.toFixed(2)}`}</dd>
        </div>
        {e.doubts > 0 && (
          <div>
            <dt>Doubted</dt>
            <dd className="bad">{count(e.doubts)}</dd>
          </div>
        )}
      </dl>
      <h3>{e.list.length < e.links ? "For example" : "Links"}</h3>
      <ul className="plain">
        {e.list.slice(0, LISTED).map((l) => (
          <li key={l.from + l.to + l.entity + l.evidence} title={l.entity}>
            <button type="button" className="quiet link" onClick={() => onSelect(entityKey(l.entity))}>
              <bdi>{entityName(l.entity)}</bdi>
            </button>{" "}
            <Evidence link={l} />
            <br />
            <Link to={`/task/${encodeURIComponent(l.from)}`} className="small">
              <bdi>{task(l.from).slice(0, 40)}</bdi>
            </Link>{" "}
            →{" "}
            <Link to={`/task/${encodeURIComponent(l.to)}`} className="small">
              <bdi>{task(l.to).slice(0, 40)}</bdi>
            </Link>
          </li>
        ))}
      </ul>
    </>
  );
}
