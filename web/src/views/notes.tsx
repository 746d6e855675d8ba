import { useEffect, useState, type ReactNode } from "react";
import { count, when } from "../format";
import { csv, download } from "../parts/download";
import { Link } from "../parts/link";
import { Empty, Problem, Waiting } from "../parts/states";
import { NoteForm } from "../people/form";
import { SaidItems } from "../people/list";
import { holds, KINDS, kindsOf, onWhat, what, type Kind } from "../people/model";
import { Behind, useSaid } from "../people/notes";
import { setParams, usePlace } from "../router";

const COLUMNS = ["at", "by", "by_source", "via", "what", "why", "of", "on", "campaign"];
const PAGE = 100;

// NotesPage lists what people said of a campaign, its tasks and its files.
export function NotesPage(): ReactNode {
  const { params } = usePlace();
  const campaign = params.get("campaign") ?? "";
  const kind = params.get("kind") ?? "";
  const text = params.get("text") ?? "";
  const [own, setOwn] = useState(0);
  const [open, setOpen] = useState(false);
  const [shown, setShown] = useState(PAGE);
  const all = useSaid({ campaign_id: campaign, limit: "1000" }, own);
  const { data, error } = all;
  if (error && !data) return <Problem error={error} />;
  if (!data) return <Waiting what="Listening" />;
  const found = data.annotations.filter((s) => (kind === "" || kindsOf(s).includes(kind as Kind)) && holds(s, text));
  const save = (): void => {
    const rows = found.map((s) => ({ ...s, at: when(s.at), what: what(s), on: onWhat(s), campaign: s.campaigns.join(", ") }));
    download(`notes-${campaign || "all"}.csv`, new Blob([csv(COLUMNS, rows as never)], { type: "text/csv" }));
  };
  return (
    <>
      <div className="bar">
        <h1>What people said{campaign && <> of <bdi>{campaign}</bdi></>}</h1>
        {campaign && (
          <button type="button" aria-expanded={open} onClick={() => setOpen(!open)}>
            {open ? "Close" : "Say something of the campaign"}
          </button>
        )}
      </div>
      {open && campaign && (
        <div className="card">
          <NoteForm target={{ campaign }} label={`campaign ${campaign}`} onSaid={() => setOwn((n) => n + 1)} />
        </div>
      )}
      <div className="bar">
        <span className="tabs" role="group" aria-label="Kind">
          {Object.entries({ "": "All", ...KINDS }).map(([k, name]) => (
            <button key={k} type="button" aria-pressed={kind === k} onClick={() => setParams({ kind: k })}>
              {name}
            </button>
          ))}
        </span>
        <Find text={text} />
        <Link to="/tasks" params={{ campaign, q: "custom.people.excluded = true" }}>
          Excluded tasks
        </Link>
        <span className="right">
          <span className="soft" role="status">
            {found.length < data.annotations.length ? `${count(found.length)} of ` : ""}
            {count(data.total)}
          </span>
          <button type="button" onClick={save} disabled={found.length === 0}>
            CSV
          </button>
        </span>
      </div>
      <Behind of={all} />
      {data.truncated && <p className="soft">There are more than are listed here; choose a campaign, or ask with mida notes.</p>}
      {found.length === 0 ? (
        <Empty>
          <h2>{data.annotations.length === 0 ? "Nobody has said anything yet" : "Nothing of that kind"}</h2>
          <p>Notes, tags, exclusions and decisions are kept with who, when and why. Say something on the page of a task, of a thing in the lineage, or of a campaign; or with mida annotate.</p>
        </Empty>
      ) : (
        <div className="card">
          <SaidItems list={found.slice(0, shown)} targets label="What people said" />
          {found.length > shown && (
            <button type="button" onClick={() => setShown(shown + PAGE)}>
              {count(found.length - shown)} more
            </button>
          )}
        </div>
      )}
    </>
  );
}

// Find keeps what is looked for in the address, once one has stopped typing.
function Find({ text }: { text: string }): ReactNode {
  const [typed, setTyped] = useState(text);
  const [given, setGiven] = useState(text);
  if (given !== text) {
    setGiven(text); // somebody went back, or followed a link
    setTyped(text);
  }
  useEffect(() => {
    if (typed === text) return;
    const timer = setTimeout(() => setParams({ text: typed }, true), 250);
    return () => clearTimeout(timer);
  }, [typed, text]);
  return <input type="search" placeholder="Find in notes" aria-label="Find in notes" value={typed} onChange={(e) => setTyped(e.target.value)} />;
}
