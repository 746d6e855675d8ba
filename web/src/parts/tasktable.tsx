import { useEffect, useLayoutEffect, useRef, useState, type KeyboardEvent, type ReactNode } from "react";
import type { Row } from "../api";
import { go, hrefOf } from "../router";
import { show } from "../values";
import { Cell, isNumberCell } from "./cell";
import { Link } from "./link";

const HEIGHT = 31; // of a row, in pixels; the style sheet has the same
const AROUND = 12; // rows drawn above and below what is seen

interface Props {
  rows: Row[];
  columns: string[];
  firstRow: number;
  total: number;
  sort: string;
  label?: string;
  fit?: boolean; // no higher than its rows
  stale?: boolean; // others are asked for
  onSort?: (sort: string) => void;
}

// TaskTable draws only the rows that are seen. Arrow keys go from row to row, Enter opens.
export function TaskTable({ rows, columns, firstRow, total, sort, label = "Tasks", fit = false, stale = false, onSort }: Props): ReactNode {
  const box = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(600);
  const [active, setActive] = useState(0);
  const moved = useRef(false);
  useLayoutEffect(() => {
    const observer = new ResizeObserver(([entry]) => entry && setHeight(entry.contentRect.height));
    observer.observe(box.current!);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    if (!moved.current) return;
    moved.current = false;
    const b = box.current!;
    const y = active * HEIGHT;
    if (y < b.scrollTop) b.scrollTop = y;
    else if (y + 2 * HEIGHT > b.scrollTop + b.clientHeight) b.scrollTop = y + 2 * HEIGHT - b.clientHeight;
    b.querySelector<HTMLElement>(`[data-row="${active}"]`)?.focus({ preventScroll: true });
  }, [active]);
  const marked = columns.includes("task_id") ? "task_id" : columns.includes("id") ? "id" : undefined;
  const from = Math.max(0, Math.floor(top / HEIGHT) - AROUND);
  const to = Math.min(rows.length, Math.ceil((top + height) / HEIGHT) + AROUND);
  const key = (e: KeyboardEvent): void => {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15, Home: -rows.length, End: rows.length }[e.key];
    if (step === undefined || !(e.target instanceof HTMLElement) || e.target.dataset.row === undefined) {
      if (e.key === "Enter" && e.target instanceof HTMLElement && e.target.dataset.row !== undefined) open(rows[active]);
      return;
    }
    e.preventDefault();
    moved.current = true;
    setActive((a) => Math.min(rows.length - 1, Math.max(0, a + step)));
  };
  return (
    <div className={stale ? "grid stale" : "grid"} aria-busy={stale} style={fit ? { height: Math.min(352, rows.length * HEIGHT + 52) } : undefined} ref={box} onScroll={(e) => setTop(e.currentTarget.scrollTop)} onKeyDown={key} tabIndex={-1}>
      <table aria-rowcount={total + 1} aria-label={label}>
        <thead>
          <tr aria-rowindex={1}>
            {columns.map((c) => (
              <HeadCell key={c} name={c} right={rows[0] !== undefined && isNumberCell(c, rows[0][c])} sort={sort} onSort={onSort} />
            ))}
          </tr>
        </thead>
        <tbody>
          {from > 0 && <Spacer rows={from} />}
          {rows.slice(from, to).map((r, i) => {
            const index = from + i;
            return (
              <tr
                key={r.id === undefined ? index : show(r.id)}
                aria-rowindex={firstRow + index + 1}
                tabIndex={index === Math.min(active, rows.length - 1) ? 0 : -1}
                data-row={index}
                onFocus={() => setActive(index)}
                onDoubleClick={() => open(r)}
              >
                {columns.map((c) => (
                  <td key={c} className={isNumberCell(c, r[c]) ? "number cut" : "cut"}>
                    {c === marked && <Marks row={r} />}
                    {(c === "task_id" || c === "id") && r.id !== undefined ? (
                      <Link to={`/task/${encodeURIComponent(show(r.id))}`} tabIndex={-1}>
                        <Cell name={c} value={r[c]} />
                      </Link>
                    ) : (
                      <Cell name={c} value={r[c]} />
                    )}
                  </td>
                ))}
              </tr>
            );
          })}
          {to < rows.length && <Spacer rows={rows.length - to} />}
        </tbody>
      </table>
    </div>
  );
}

// What people said is asked for beside the columns that are shown.
export const MARKS = ["tags", "custom.people.excluded"];
const TAGS = 3;

function Marks({ row }: { row: Row }): ReactNode {
  const tags = Array.isArray(row.tags) ? row.tags.map(show) : typeof row.tags === "string" ? [row.tags] : [];
  const excluded = row["custom.people.excluded"];
  return (
    <>
      {(excluded === true || (Array.isArray(excluded) && excluded.includes(true))) && <span className="chip excluded">excluded</span>}
      {tags.slice(0, TAGS).map((t) => (
        <span key={t} className="chip">
          <bdi>{t.slice(0, 30)}</bdi>
        </span>
      ))}
      {tags.length > TAGS && <span className="chip">+{tags.length - TAGS}</span>}
    </>
  );
}

function open(row: Row | undefined): void {
  const campaign = new URLSearchParams(location.search).get("campaign") ?? "";
  if (row?.id !== undefined) go(hrefOf(`/task/${encodeURIComponent(show(row.id))}`, { campaign }));
}

// Spacer takes the place of rows that are not drawn.
function Spacer({ rows }: { rows: number }): ReactNode {
  return (
    <tr aria-hidden="true" className="spacer">
      <td style={{ height: rows * HEIGHT }} />
    </tr>
  );
}

function HeadCell({ name, right, sort, onSort }: { name: string; right: boolean; sort: string; onSort: ((sort: string) => void) | undefined }): ReactNode {
  const direction = sort === name ? "ascending" : sort === `${name}:desc` ? "descending" : undefined;
  const next = direction === "descending" ? name : `${name}:desc`;
  return (
    <th scope="col" className={right ? "right" : undefined} aria-sort={direction ?? "none"}>
      {onSort ? (
        <button type="button" className="head" onClick={() => onSort(next)} title={`Sort by ${name}`}>
          <HeadText name={name} />
          <span aria-hidden="true" className="arrow">
            {direction === "ascending" ? "▲" : direction === "descending" ? "▼" : ""}
          </span>
        </button>
      ) : (
        <span className="head">
          <HeadText name={name} />
        </span>
      )}
    </th>
  );
}

function HeadText({ name }: { name: string }): ReactNode {
  const dot = name.startsWith("used.") || name.startsWith("generated.") ? name.indexOf(".") : -1;
  return (
    <bdi>
      {dot > 0 && <span className="root">{name.slice(0, dot + 1)}</span>}
      {name.slice(dot + 1)}
    </bdi>
  );
}
