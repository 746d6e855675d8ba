import type { Status } from "../api";

export interface Bar {
  id: string;
  task_id: string;
  activity_id: string;
  status: Status;
  lane: number;
  started_at: number;
  ended_at: number;
  open?: boolean;
}
export interface Lane {
  lane: string;
  tasks: number;
  busy?: number[];
  failed?: number[];
}
export interface TimelineAnswer {
  lanes: Lane[];
  tasks?: Bar[];
  buckets?: number;
  first_at?: number;
  last_at?: number;
  from?: number;
  to?: number;
  looked_at: number;
  total: number;
}
export interface Span {
  from: number;
  to: number;
}

export interface Track {
  lane: Lane;
  y: number;
  height: number;
  bars: { bar: Bar; row: number }[];
  rows: number;
  row: number; // height of one
  crowded: number; // bars that lie over others, because more ran at once than there are rows
}

const HIGH_ROW = 15;
const LOW_ROW = 9;
const MANY = 40; // rows in all, from which they are low
export const GAP = 7;
export const STRIP = 24;
const ROWS = 24;

// tracks packs the bars of each lane into as few rows as do not overlap.
export function tracks(a: TimelineAnswer): Track[] {
  const byLane: Bar[][] = a.lanes.map(() => []);
  for (const b of a.tasks ?? []) byLane[b.lane]?.push(b);
  const packed = byLane.map(pack);
  const row = packed.reduce((sum, p) => sum + p.rows, 0) > MANY ? LOW_ROW : HIGH_ROW;
  let y = 0;
  return a.lanes.map((lane, i) => {
    const p = packed[i]!;
    const height = a.tasks ? Math.max(STRIP, p.rows * row + 2) : STRIP;
    const track = { lane, y, height, row, ...p };
    y += height + GAP;
    return track;
  });
}

function pack(lane: Bar[]): Pick<Track, "bars" | "rows" | "crowded"> {
  const ends: number[] = [];
  let crowded = 0;
  const bars = lane.map((bar) => {
    let row = ends.findIndex((end) => end <= bar.started_at);
    if (row < 0 && ends.length < ROWS) row = ends.length;
    if (row < 0) {
      crowded++;
      row = ends.indexOf(Math.min(...ends));
    }
    ends[row] = Math.max(bar.ended_at, bar.started_at);
    return { bar, row };
  });
  return { bars, rows: Math.max(1, ends.length), crowded };
}

// buckets adds bars up, as the server does for many: the seconds of tasks in each equal part, by lane.
export function buckets(a: TimelineAnswer, n: number): number[][] {
  if (a.from === undefined || a.to === undefined) return [];
  if (!a.tasks) return a.lanes.map((l) => l.busy ?? []);
  const width = (a.to - a.from) / n;
  const out = a.lanes.map(() => new Array<number>(n).fill(0));
  const at = (t: number): number => Math.min(n - 1, Math.max(0, Math.floor((t - a.from!) / width)));
  for (const b of a.tasks) {
    const lane = out[b.lane]!;
    for (let i = at(b.started_at); i <= at(b.ended_at); i++) {
      const from = a.from + i * width;
      lane[i]! += Math.max(0, Math.min(from + width, b.ended_at) - Math.max(from, b.started_at));
    }
  }
  return out;
}

// ticks are round moments of a window, at most so many.
export function ticks(span: Span, most: number): number[] {
  const steps = [1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 2592000];
  const wanted = (span.to - span.from) / Math.max(1, most);
  const step = steps.find((s) => s >= wanted) ?? Math.ceil(wanted / 2592000) * 2592000;
  const offset = step >= 3600 ? new Date(span.from * 1000).getTimezoneOffset() * 60 : 0;
  const out: number[] = [];
  for (let t = Math.ceil((span.from - offset) / step) * step + offset; t <= span.to && out.length < 50; t += step) out.push(t);
  return out;
}

export function zoomed(s: Span, factor: number, at: number): Span {
  const width = Math.max(1e-4, (s.to - s.from) / factor);
  const part = (at - s.from) / (s.to - s.from);
  return { from: at - part * width, to: at + (1 - part) * width };
}
