import { useMemo, useState, type ReactNode } from "react";
import { runQuery, type Filter, type Query, type Row } from "../api";
import { useData } from "../data";
import { FIXED, isNumeric, useFields, useKnown, type FieldList } from "../fields";
import { and, parseFilter } from "../filter";
import { count, plural } from "../format";
import { useVersion } from "../live";
import { ColumnChoice } from "../parts/columns";
import { csv, download } from "../parts/download";
import { FilterBox } from "../parts/filterbox";
import { Empty, Problem, Waiting, Warnings } from "../parts/states";
import { MARKS, TaskTable } from "../parts/tasktable";
import { setParams, usePlace } from "../router";

const PAGE = 500;
const CSV_ROWS = 100_000;
const FIRST = ["status", "activity_id", "task_id", "started_at", "elapsed"];
const OF_EACH = 5; // columns of used and of generated that are shown unasked
const LONG = 120;

// Where pages begin, by the query and the page's number, so that one can go back; the address has the own one.
const cursors = new Map<string, string | undefined>();

export function Tasks(): ReactNode {
  const { params } = usePlace();
  const campaign = params.get("campaign") ?? "";
  const text = params.get("q") ?? "";
  const filter = useMemo(() => and(campaign ? { campaign_id: campaign } : undefined, safely(text)), [campaign, text]);
  const fields = useFields(filter);
  const known = useKnown(campaign);
  const chosen = params.get("cols");
  const columns = useMemo(() => (chosen ? chosen.split(",") : fields.data ? usual(fields.data) : undefined), [chosen, fields.data]);
  return (
    <>
      <h1 className="hidden">Tasks</h1>
      <div className="bar">
        <FilterBox value={text} known={known} onChange={(q) => setParams({ q, cursor: undefined, page: undefined })} />
        <ColumnChoice known={[...FIXED, ...(fields.data?.fields ?? []).map((f) => f.name)]} chosen={columns ?? FIRST} onChange={(cols) => setParams({ cols: cols?.join(",") })} />
      </div>
      {fields.error && !columns ? <Problem error={fields.error} /> : columns ? <Page filter={filter} columns={columns} /> : <Waiting />}
    </>
  );
}

function safely(text: string): Filter | undefined {
  try {
    return parseFilter(text);
  } catch {
    return undefined; // the filter box says what is wrong
  }
}

// usual are the columns that most tasks have something short in.
function usual(list: FieldList): string[] {
  const best = (root: string): string[] =>
    list.fields
      .filter((f) => f.name.startsWith(`${root}.`) && f.type !== "null" && f.type !== "other" && (f.longest ?? 0) <= LONG && f.name.length < 60 && (f.max === undefined || f.min !== f.max || f.tasks < list.looked_at))
      .toSorted((a, b) => b.tasks - a.tasks || Number(isNumeric(b)) - Number(isNumeric(a)) || a.name.localeCompare(b.name))
      .slice(0, OF_EACH)
      .map((f) => f.name);
  return [...FIRST, ...best("used"), ...best("generated")];
}

function Page({ filter, columns }: { filter: Filter | undefined; columns: string[] }): ReactNode {
  const { params } = usePlace();
  const campaign = params.get("campaign") ?? "";
  const sort = params.get("sort") ?? "started_at:desc";
  const page = Math.max(1, Number(params.get("page") ?? "1") || 1);
  const cursor = params.get("cursor") ?? undefined;
  const [field, direction] = splitSort(sort);
  const query: Query = {
    filter,
    projection: [...new Set(["id", ...columns, ...MARKS])],
    sort: field ? [[field, direction]] : undefined,
    limit: PAGE,
    cursor,
  };
  const key = JSON.stringify(query);
  const base = JSON.stringify({ ...query, cursor: undefined });
  const { data, error, loading } = useData(key, useVersion(campaign), (s) => runQuery(query, s), true);
  const [exporting, setExporting] = useState<string>();
  cursors.set(`${base} ${page}`, cursor);
  if (error && !data) return <Problem error={error} />;
  if (!data) return <Waiting what="Asking" />;
  if (data.total === 0)
    return (
      <Empty>
        <h2>No task matches</h2>
        <Warnings list={data.warnings} />
        {filter ? <p>Clear the filter, or choose another campaign.</p> : <p>As soon as an observed tool starts a task it appears here.</p>}
      </Empty>
    );
  const before = cursors.get(`${base} ${page - 1}`);
  const firstRow = (page - 1) * PAGE + 1;
  const save = async (): Promise<void> => {
    setExporting("Preparing…");
    const rows = await all({ ...query, cursor: undefined }, (n) => setExporting(`${count(n)} rows…`));
    download(`${campaign || "tasks"}.csv`, new Blob([csv(columns, rows)], { type: "text/csv" }));
    setExporting(rows.length < data.total ? `the first ${count(rows.length)} of ${count(data.total)} rows saved` : undefined);
  };
  return (
    <>
      <div className="bar under">
        <span role="status">
          {plural(data.total, "task")}
          {loading && "…"}
          {!loading && data.total > PAGE && `, ${count(firstRow)}–${count(firstRow + data.rows.length - 1)} shown`}
        </span>
        {data.total > PAGE && (
          <span className="pages">
            <button type="button" disabled={page === 1} onClick={() => setParams({ cursor: undefined, page: undefined })}>
              First
            </button>
            <button type="button" disabled={page === 1 || (page > 2 && before === undefined)} onClick={() => setParams({ cursor: before, page: page > 2 ? String(page - 1) : undefined })}>
              ‹ Previous
            </button>
            <button type="button" disabled={!data.next_cursor} onClick={() => setParams({ cursor: data.next_cursor, page: String(page + 1) })}>
              Next ›
            </button>
          </span>
        )}
        {data.live && page > 1 && <span className="soft">The order may move while tasks change</span>}
        <span className="right">
          {exporting && <span role="status">{exporting} </span>}
          <button type="button" onClick={() => void save()} disabled={exporting?.endsWith("…")}>
            CSV
          </button>
        </span>
      </div>
      <Warnings list={data.warnings} />
      {error && <Problem error={error} />}
      <TaskTable
        key={JSON.stringify([filter, sort, page])} // another page begins at its top
        stale={loading}
        rows={data.rows}
        columns={columns}
        firstRow={firstRow}
        total={data.total}
        sort={sort}
        onSort={(next) => setParams({ sort: next, cursor: undefined, page: undefined })}
      />
    </>
  );
}

export function splitSort(sort: string): [string, "ascending" | "descending"] {
  return sort.endsWith(":desc") ? [sort.slice(0, -5), "descending"] : [sort, "ascending"];
}

async function all(query: Query, progress: (n: number) => void): Promise<Row[]> {
  const rows: Row[] = [];
  let cursor: string | undefined;
  do {
    const answer = await runQuery({ ...query, limit: 10_000, cursor });
    rows.push(...answer.rows);
    progress(rows.length);
    cursor = answer.next_cursor;
  } while (cursor && rows.length < CSV_ROWS);
  return rows.slice(0, CSV_ROWS);
}
