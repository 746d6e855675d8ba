import { useState, type ReactNode } from "react";
import { runQuery } from "../api";
import { useData } from "../data";
import { Link } from "../parts/link";
import { usePlace } from "../router";
import { show } from "../values";
import { nodeName, taskKey, type Drawing, type Source } from "./model";

interface Props {
  source: Source;
  drawing: Drawing;
  onSelect: (id: string, group?: string) => void; // the group to open first
}

const SHOWN = 12;

// Search finds boxes, tasks of the graph and files, and tasks of the whole campaign.
export function Search({ source, drawing, onSelect }: Props): ReactNode {
  const [text, setText] = useState("");
  const campaign = usePlace().params.get("campaign") ?? "";
  const wanted = text.trim().toLowerCase();
  const boxes = wanted ? drawing.nodes.filter((n) => !n.more && nodeName(n).toLowerCase().includes(wanted)).slice(0, SHOWN) : [];
  const drawn = new Set(boxes.map((n) => n.id));
  const tasks = wanted ? [...source.tasks.values()].filter((t) => !drawn.has(`t:${t.id}`) && t.task_id.toLowerCase().includes(wanted)).slice(0, SHOWN) : [];
  const links = wanted.length > 1 ? source.links.filter((l) => l.entity.toLowerCase().includes(wanted)).slice(0, SHOWN) : [];
  const elsewhere = useData(`search ${campaign} ${wanted}`, 0, async (s) => {
    if (wanted.length < 3 || source.roots.size > 0) return [];
    const pattern = text.trim().replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
    const answer = await runQuery({ filter: { ...(campaign ? { campaign_id: campaign } : {}), task_id: { $regex: pattern } }, projection: ["id", "task_id", "activity_id"], limit: 6 }, s);
    return answer.rows;
  });
  const none = boxes.length + tasks.length + links.length + (elsewhere.data?.length ?? 0) === 0;
  const pick = (id: string, group?: string): void => {
    onSelect(id, group);
    setText("");
  };
  return (
    <div className="search">
      <input type="search" aria-label="Find in the lineage" placeholder="Find an activity, task or file" value={text} onChange={(e) => setText(e.target.value)} />
      {wanted !== "" && (
        <ul className="panel" aria-label="Found">
          {boxes.map((n) => (
            <li key={n.id}>
              <button type="button" className="quiet row" onClick={() => pick(n.id)}>
                <bdi>{nodeName(n)}</bdi>
              </button>
            </li>
          ))}
          {tasks.map((t) => (
            <li key={t.id}>
              <button type="button" className="quiet row" onClick={() => pick(`t:${t.id}`, taskKey(t))}>
                <bdi>{t.task_id}</bdi> <span className="soft">{t.activity_id}</span>
              </button>
            </li>
          ))}
          {links.map((l) => (
            <li key={l.from + l.to + l.entity}>
              <button
                type="button"
                className="quiet row"
                onClick={() => {
                  const t = source.tasks.get(l.from);
                  pick(`t:${l.from}`, t && taskKey(t));
                }}
              >
                <bdi>{l.entity.slice(-70)}</bdi> <span className="soft">file or id</span>
              </button>
            </li>
          ))}
          {elsewhere.data?.map((r) => (
            <li key={show(r.id)}>
              <Link to="/lineage" params={{ id: show(r.id), campaign, direction: "both" }} className="row">
                <bdi>{show(r.task_id)}</bdi> <span className="soft">focus on this {show(r.activity_id)}</span>
              </Link>
            </li>
          ))}
          {none && <li className="soft">{elsewhere.loading ? "Looking…" : "Nothing found"}</li>}
        </ul>
      )}
    </div>
  );
}
