import { useState, type ReactNode } from "react";

interface Props {
  name?: string;
  known: string[];
  chosen: string[];
  onChange: (columns: string[] | undefined) => void; // undefined = the usual ones
}

const SHOWN = 200;

export function ColumnChoice({ name = "Columns", known, chosen, onChange }: Props): ReactNode {
  const [search, setSearch] = useState("");
  const names = [...new Set([...chosen, ...known])];
  const found = names.filter((n) => n.toLowerCase().includes(search.toLowerCase()));
  const toggle = (name: string): void => onChange(chosen.includes(name) ? chosen.filter((c) => c !== name) : [...chosen, name]);
  return (
    <details className="popup">
      <summary>{name} ({chosen.length})</summary>
      <div className="panel">
        <input type="search" aria-label={`Find among ${name.toLowerCase()}`} placeholder="Find" value={search} onChange={(e) => setSearch(e.target.value)} />
        <ul>
          {found.slice(0, SHOWN).map((n) => (
            <li key={n}>
              <label>
                <input type="checkbox" checked={chosen.includes(n)} onChange={() => toggle(n)} /> <bdi>{n}</bdi>
              </label>
            </li>
          ))}
        </ul>
        {found.length > SHOWN && <p className="soft">{found.length - SHOWN} more; type to find them</p>}
        <button type="button" onClick={() => onChange(undefined)}>
          The usual ones
        </button>
      </div>
    </details>
  );
}
