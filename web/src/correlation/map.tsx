import { memo, useCallback, useEffect, useRef, useState, type KeyboardEvent, type ReactNode, type Ref } from "react";
import { useTheme, type Theme } from "../theme";
import { fill, inCell, known, label, probability, statistic, told, type Cell, type Layout } from "./model";

const CHARACTER = 6.7; // width of a letter of the labels, about
const LEGEND = 56;

interface Props {
  layout: Layout;
  caption: string;
  selected: { x: string; y: string } | undefined;
  svg: Ref<SVGSVGElement>;
  onOpen: (c: Cell) => void;
}

// HeatMap draws a cell for each pair. Arrows go from cell to cell, Enter opens one.
export function HeatMap({ layout, caption, selected, svg, onOpen }: Props): ReactNode {
  const { rows, columns, at } = layout;
  const theme = useTheme();
  const box = useRef<HTMLDivElement>(null);
  const [active, setActive] = useState<[number, number]>([0, 0]);
  const [tip, setTip] = useState<{ cell: Cell; left: number; top: number }>();
  const moved = useRef(false);
  const [row, column] = [Math.min(active[0], rows.length - 1), Math.min(active[1], columns.length - 1)];
  useEffect(() => {
    if (!moved.current) return;
    moved.current = false;
    box.current?.querySelector<SVGGElement>(`[data-cell="${row},${column}"]`)?.focus();
  }, [row, column]);

  const width = columns.length > 24 ? 46 : 62;
  const height = rows.length > 40 ? 23 : 30;
  const longest = (names: string[]): number => Math.max(...names.map((n) => label(n).length)) * CHARACTER;
  const left = Math.max(120, longest(rows) + 16);
  const top = longest(columns) * 0.71 + 24;
  const right = longest(columns.slice(-3)) * 0.71 + 12;
  const size = { width: Math.max(560, left + columns.length * width + right), height: top + rows.length * height + LEGEND };

  const cellOf = (target: EventTarget): [number, number] | undefined => {
    const place = target instanceof Element ? target.closest("[data-cell]")?.getAttribute("data-cell") : undefined;
    return place?.split(",").map(Number) as [number, number] | undefined;
  };
  const point = (target: EventTarget): void => {
    const place = cellOf(target);
    if (!place) return setTip(undefined);
    const around = box.current!.getBoundingClientRect();
    const cell = (target as Element).closest("[data-cell]")!.getBoundingClientRect();
    setTip({ cell: at(...place), left: Math.max(0, Math.min(cell.right - around.left + 6, around.width - 330)), top: cell.bottom - around.top + 6 });
  };
  const key = (e: KeyboardEvent): void => {
    if (e.key === "Escape") return setTip(undefined);
    if (e.key === "Enter" || e.key === " ") {
      e.preventDefault();
      return onOpen(at(row, column));
    }
    const step = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1], Home: [0, -columns.length], End: [0, columns.length] }[e.key];
    if (!step) return;
    e.preventDefault();
    moved.current = true;
    const within = (v: number, n: number): number => Math.min(n - 1, Math.max(0, v));
    setActive([within(row + step[0]!, rows.length), within(column + step[1]!, columns.length)]);
  };
  const open = useCallback((c: Cell) => onOpen(c), [onOpen]);
  return (
    <div className="heatmap" ref={box} onMouseLeave={() => setTip(undefined)}>
      <div className="heatscroll">
        <svg
          ref={svg}
          viewBox={`0 0 ${size.width} ${size.height}`}
          width={size.width}
          height={size.height}
          role="group"
          aria-label={`Correlations, ${rows.length} × ${columns.length}: arrows go from cell to cell, Enter shows the tasks. ${caption}`}
          onMouseOver={(e) => point(e.target)}
          onFocus={(e) => {
            point(e.target);
            const place = cellOf(e.target);
            if (place) setActive(place);
          }}
          onBlur={() => setTip(undefined)}
          onKeyDown={key}
        >
          {columns.map((name, c) => (
            <text key={name} className={name === tip?.cell.y ? "axis here" : "axis"} transform={`translate(${left + (c + 0.5) * width - 4} ${top - 8}) rotate(-45)`}>
              <title>{name}</title>
              {label(name)}
            </text>
          ))}
          {rows.map((name, r) => (
            <text key={name} className={name === tip?.cell.x ? "axis end here" : "axis end"} x={left - 8} y={top + (r + 0.5) * height + 4}>
              <title>{name}</title>
              {label(name)}
            </text>
          ))}
          {rows.map((x, r) =>
            columns.map((y, c) => (
              <HeatCell
                key={`${r},${c}`}
                place={`${r},${c}`}
                cell={at(r, c)}
                x={left + c * width}
                y={top + r * height}
                width={width}
                height={height}
                theme={theme}
                reached={r === row && c === column}
                selected={selected?.x === x && selected.y === y}
                onOpen={open}
              />
            )),
          )}
          <Legend x={8} y={top + rows.length * height + 20} caption={caption} theme={theme} />
        </svg>
      </div>
      {tip && (
        <div className="tip" aria-hidden="true" style={{ left: tip.left, top: tip.top }}>
          <Told cell={tip.cell} />
        </div>
      )}
    </div>
  );
}

function Told({ cell }: { cell: Cell }): ReactNode {
  return (
    <>
      <strong>
        <bdi>{label(cell.x)}</bdi> with <bdi>{label(cell.y)}</bdi>
      </strong>
      <br />
      {cell.value === undefined ? `no number: ${cell.reason ?? ""}` : `${statistic(cell)} ${cell.value.toFixed(4)}`}
      <br />n = {cell.n}, p = {probability(cell.p)}, q = {probability(cell.q)}
    </>
  );
}

interface CellProps {
  place: string;
  cell: Cell;
  x: number;
  y: number;
  width: number;
  height: number;
  theme: Theme;
  reached: boolean;
  selected: boolean;
  onOpen: (c: Cell) => void;
}

const HeatCell = memo(function HeatCell({ place, cell, x, y, width, height, theme, reached, selected, onOpen }: CellProps): ReactNode {
  const colours = cell.value === undefined ? undefined : fill(cell.value, cell.statistic === "eta", theme);
  const sure = known(cell);
  return (
    <g className={selected ? "heat selected" : "heat"} role="button" tabIndex={reached ? 0 : -1} data-cell={place} aria-label={told(cell)} aria-pressed={selected} onClick={() => onOpen(cell)}>
      <rect className={sure ? "sure" : "unsure"} x={x + 1.5} y={y + 1.5} width={width - 3} height={height - 3} fill={colours?.fill ?? "none"} />
      <text className={colours ? (sure ? "value sure" : "value") : "value none"} x={x + width / 2} y={y + height / 2 + 4} fill={colours?.text}>
        {inCell(cell)}
      </text>
    </g>
  );
});

const STEPS = 24;

function Legend({ x, y, caption, theme }: { x: number; y: number; caption: string; theme: Theme }): ReactNode {
  const bar = (from: number, to: number, eta: boolean, at: number): ReactNode =>
    Array.from({ length: STEPS }, (_, i) => (
      <rect key={i} x={at + i * 5} y={y} width={5.2} height={9} fill={fill(from + ((to - from) * i) / (STEPS - 1), eta, theme).fill} />
    ));
  return (
    <g aria-hidden="true">
      <text className="axis" x={x} y={y + 9}>−1</text>
      {bar(-1, 1, false, x + 22)}
      <text className="axis" x={x + 148} y={y + 9}>1</text>
      <text className="axis" x={x + 180} y={y + 9}>η 0</text>
      {bar(0, 1, true, x + 206)}
      <text className="axis" x={x + 332} y={y + 9}>1</text>
      <rect className="sure" x={x + 364} y={y - 2} width={22} height={12} fill="none" />
      <text className="axis" x={x + 394} y={y + 9}>q &lt; 0.05</text>
      <text className="axis" x={x} y={y + 28}>{caption}</text>
    </g>
  );
}
