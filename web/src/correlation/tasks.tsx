import type { EChartsType } from "echarts/core";
import { useEffect, useMemo, useRef, type ReactNode } from "react";
import { get, type Row } from "../api";
import { Chart, chartPNG, chartSVG } from "../charts/chart";
import { axisOf, scatter } from "../charts/options";
import { useData } from "../data";
import { count, plural } from "../format";
import { csv, download } from "../parts/download";
import { Problem, Waiting, Warnings } from "../parts/states";
import { TaskTable } from "../parts/tasktable";
import { go, hrefOf, setParams } from "../router";
import { useTheme } from "../theme";
import { show, type Value } from "../values";
import { told, type Cell } from "./model";

const POINTS = 5000; // more are a fair sample

interface Answer {
  points: { id: string; task_id: string; x: Value; y: Value }[];
  total: number;
  sampled: boolean;
  warnings?: string[];
}
interface Props {
  campaign: string;
  filter: string;
  x: string;
  y: string;
  cell: Cell | undefined;
  version: number;
  focus: boolean; // somebody opened it just now
}

function close(): void {
  setParams({ cx: undefined, cy: undefined });
  document.querySelector<SVGGElement>('.heat[tabindex="0"]')?.focus();
}

// CellTasks are the tasks behind one cell.
export function CellTasks({ campaign, filter, x, y, cell, version, focus }: Props): ReactNode {
  const params = { filter, x, y, limit: String(POINTS) };
  const { data, error } = useData(`scatter ${JSON.stringify(params)}`, version, (s) => get<Answer>("correlation/scatter", params, s));
  const dark = useTheme() === "dark";
  const heading = useRef<HTMLHeadingElement>(null);
  const chart = useRef<EChartsType>(null);
  useEffect(() => {
    if (focus) heading.current?.focus();
  }, [focus, x, y]);
  const rows = useMemo(() => data?.points.map((p): Row => ({ id: p.id, task_id: p.task_id, [x]: p.x, [y]: p.y })), [data, x, y]);
  const option = useMemo(() => {
    if (!rows) return undefined;
    const axis = axisOf(y, rows);
    return scatter(axisOf(x, rows), axis, axis, rows, dark, { x: false, y: false });
  }, [rows, x, y, dark]);
  const columns = [...new Set(["task_id", x, y])];
  const name = `${y}-over-${x}`.slice(0, 100);
  return (
    <section aria-label="The tasks of one cell">
      <div className="bar">
        <h2 ref={heading} tabIndex={-1} className="flush">
          <bdi>{y.slice(0, 80)}</bdi> over <bdi>{x.slice(0, 80)}</bdi>
        </h2>
        <span className="right">
          <button type="button" disabled={!option} onClick={() => chart.current && option && chartPNG(chart.current, `${name}.png`)}>
            PNG of these tasks
          </button>
          <button type="button" disabled={!option} onClick={() => chart.current && option && chartSVG(chart.current, option, `${name}.svg`)}>
            SVG of these tasks
          </button>
          <button type="button" disabled={!rows} onClick={() => rows && download(`${name}.csv`, new Blob([csv(["id", ...columns], rows)], { type: "text/csv" }))}>
            CSV of these tasks
          </button>
          <button type="button" onClick={close}>
            Close
          </button>
        </span>
      </div>
      {cell && <p className="soft">{told(cell)}</p>}
      {error && !data && <Problem error={error} />}
      {!data && !error && <Waiting what="Asking" />}
      {data && rows && option && (
        <>
          <Warnings list={[...(data.warnings ?? []), ...(data.sampled ? [`Drawn from ${count(rows.length)} of ${plural(data.total, "task")}, a fair sample.`] : [])]} />
          <Chart
            option={option}
            onChart={(c) => {
              chart.current = c;
            }}
            label={`Scatter of ${y.slice(0, 80)} over ${x.slice(0, 80)} of ${plural(rows.length, "task")}; the table below has the values`}
            on={{
              click: (_c, e) => {
                const at = (e as { data?: unknown[] }).data?.[3];
                const row = typeof at === "number" ? rows[at] : undefined;
                if (row) go(hrefOf(`/task/${encodeURIComponent(show(row.id))}`, { campaign }));
              },
            }}
          />
          <TaskTable fit rows={rows} columns={columns} firstRow={1} total={rows.length} sort="" label="Tasks of the cell" />
        </>
      )}
    </section>
  );
}
