import { useState, type ReactNode } from "react";
import { Bytes, Cut, leaves, show, type Value } from "../values";
import { Cell } from "./cell";

const SHOWN = 150;

interface Props {
  title: string;
  value: Value;
  prefix: string; // the field's name in queries
  note?: (path: string, value: Value) => ReactNode; // beside a value
  empty?: string;
}

// LeafTable lists the values of a map by their path, with a search where there are many.
export function LeafTable({ title, value, prefix, note, empty }: Props): ReactNode {
  const [search, setSearch] = useState("");
  const [all, setAll] = useState(false);
  const list = value === undefined ? [] : leaves(value);
  const found = search ? list.filter(([path, v]) => path.toLowerCase().includes(search.toLowerCase()) || (typeof v === "string" && v.slice(0, 10_000).toLowerCase().includes(search.toLowerCase()))) : list;
  const shown = all ? found.slice(0, 5000) : found.slice(0, SHOWN);
  return (
    <section className="card" aria-label={title}>
      <h2>
        {title} {list.length > 0 && <span className="soft small">{list.length}</span>}
      </h2>
      {list.length === 0 && <p className="soft">{empty ?? "Nothing."}</p>}
      {list.length > 15 && <input type="search" placeholder={`Find in ${title.toLowerCase()}`} aria-label={`Find in ${title}`} value={search} onChange={(e) => setSearch(e.target.value)} />}
      {shown.length > 0 && (
        <table className="leaves">
          <tbody>
            {shown.map(([path, v]) => (
              <tr key={path}>
                <th scope="row" title={`${prefix}.${path}`}>
                  <bdi>{path}</bdi>
                </th>
                <td>
                  <Leaf name={`${prefix}.${path}`} value={v} /> {note?.(path, v)}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {found.length > shown.length && (
        <button type="button" onClick={() => setAll(true)} disabled={all}>
          {all ? `${found.length - shown.length} more: use the search` : `Show all ${found.length}`}
        </button>
      )}
    </section>
  );
}

function Leaf({ name, value }: { name: string; value: Value }): ReactNode {
  if (value instanceof Cut)
    return (
      <span className="soft" title="It was too large to keep; this is what is known of it">
        cut at capture: {show(value.what)}
      </span>
    );
  if (value instanceof Bytes) return <span className="soft">{show(value)}</span>;
  if (typeof value === "string" && value.length > 160) return <LongText text={value} />;
  return <Cell name={name} value={value} />;
}

const OPENED = 200_000;

export function LongText({ text }: { text: string }): ReactNode {
  const [open, setOpen] = useState(false);
  return (
    <>
      <bdi className={open ? "long" : ""} tabIndex={open ? 0 : undefined}>{open ? text.slice(0, OPENED) : `${text.slice(0, 160)}…`}</bdi>{" "}
      <button type="button" className="quiet small" onClick={() => setOpen(!open)} aria-expanded={open}>
        {open ? "less" : `all ${text.length.toLocaleString("en")} characters`}
      </button>
      {open && text.length > OPENED && <p className="soft">The first {OPENED.toLocaleString("en")} are shown; the task as JSON has them all.</p>}
    </>
  );
}
