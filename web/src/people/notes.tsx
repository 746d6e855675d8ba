import { useState, type ReactNode } from "react";
import { get } from "../api";
import { useCalm, type Calm } from "../calm";
import { count } from "../format";
import { useVersion } from "../live";
import { Link } from "../parts/link";
import { Problem } from "../parts/states";
import { NoteForm } from "./form";
import { SaidItems } from "./list";
import { excludedBy, type Said, type SaidList, type Target } from "./model";

export interface Of {
  campaign_id?: string;
  id?: string;
  entity?: string;
  limit?: string;
  tasks?: "false"; // leaves out what was said of single tasks, for which many are looked at
}

// useSaid asks what people said; own counts what was said here, which is seen at once, live or not.
export function useSaid(of: Of, own: number): Calm<SaidList> {
  return useCalm(`said ${JSON.stringify(of)}`, useVersion(of.campaign_id) + own, (s) => get<SaidList>("annotations", { ...of }, s), own);
}

export function Behind({ of }: { of: Calm<unknown> }): ReactNode {
  if (!of.behind) return null;
  return (
    <p className="bar under" role="status">
      There may be more since.
      <button type="button" onClick={of.again}>
        Look again
      </button>
    </p>
  );
}

interface Props {
  of: Of;
  target: Target;
  label: string; // what it is said of
  mine: (s: Said) => boolean; // whether an annotation is on the target itself
  shown?: number;
  plain?: boolean; // within a card already
}

// Notes is what people said of a task, a thing or a campaign, and a form to say more.
export function Notes({ of, target, label, mine, shown = 20, plain = false }: Props): ReactNode {
  const [own, setOwn] = useState(0);
  const all = useSaid(of, own);
  const { data, error } = all;
  const [open, setOpen] = useState(false);
  const list = data?.annotations ?? [];
  const excluded = excludedBy(list.filter(mine));
  const more = (data?.total ?? 0) - Math.min(shown, list.length);
  const content = (
    <>
      <div className="bar">
        <h2>
          Notes {list.length > 0 && <span className="soft small">{count(data!.total)}</span>}
        </h2>
        {excluded && <span className="chip excluded">excluded</span>}
        <button type="button" className="small" aria-expanded={open} onClick={() => setOpen(!open)}>
          {open ? "Close" : "Say something"}
        </button>
      </div>
      {open && <NoteForm target={target} label={label} excluded={excluded !== undefined} onSaid={() => setOwn((n) => n + 1)} />}
      {error && !data && <Problem error={error} />}
      <Behind of={all} />
      {data && list.length === 0 && !open && <p className="soft">Nobody has said anything yet.</p>}
      <SaidItems list={list.slice(0, shown)} targets={list.some((s) => !mine(s))} label={`Notes on ${label}`} />
      {(more > 0 || data?.truncated) && (
        <Link to="/notes" params={{ campaign: of.campaign_id }} className="small">
          All notes
        </Link>
      )}
    </>
  );
  if (plain) return <div className="notes">{content}</div>;
  return (
    <section className="card notes" aria-label="Notes">
      {content}
    </section>
  );
}
