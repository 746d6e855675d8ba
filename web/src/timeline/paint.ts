import { clock, when } from "../format";
import { color } from "../theme";
import { ticks, type Bar, type Span, type Track } from "./model";

export const LEFT = 190; // for the names of lanes
export const TOP = 26; // for the times

export interface Scene {
  tracks: Track[];
  span: Span;
  data: Span; // of the buckets
  width: number;
  height: number;
  scroll: number;
  hovered: Bar | undefined;
  byActivity: boolean;
}

const ACTIVITY = ["#4c78a8", "#b279a2", "#d08a3e", "#4f9a94", "#9d7660", "#8a7fc2", "#7f9a3f", "#c4698a"];
const colors = new Map<string, string>();

export function activityColor(name: string): string {
  let c = colors.get(name);
  if (!c) {
    c = ACTIVITY[colors.size % ACTIVITY.length]!;
    colors.set(name, c);
  }
  return c;
}

// paint draws the timeline: bars where single tasks are known, else how busy each lane was.
export function paint(canvas: HTMLCanvasElement, s: Scene): void {
  const ratio = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(s.width * ratio) || canvas.height !== Math.round(s.height * ratio)) {
    canvas.width = Math.round(s.width * ratio);
    canvas.height = Math.round(s.height * ratio);
  }
  const g = canvas.getContext("2d")!;
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.fillStyle = color("panel");
  g.fillRect(0, 0, s.width, s.height);
  const font = '11.5px system-ui, "Liberation Sans", sans-serif';
  const x = (t: number): number => LEFT + ((t - s.span.from) / (s.span.to - s.span.from)) * (s.width - LEFT);
  const palette = { line: color("line"), text: color("text"), soft: color("soft"), failed: color("failed") };
  const byStatus = new Map(["finished", "failed", "running", "submitted", "cancelled", "unknown"].map((k) => [k.toUpperCase(), color(k)]));
  g.font = font;
  g.textBaseline = "middle";
  for (const t of ticks(s.span, (s.width - LEFT) / 110)) {
    g.fillStyle = palette.line;
    g.fillRect(Math.round(x(t)), TOP, 1, s.height);
    g.fillStyle = palette.soft;
    g.fillText(tickText(t, s.span), x(t) + 4, TOP / 2);
  }
  g.save();
  g.beginPath();
  g.rect(0, TOP, s.width, s.height - TOP);
  g.clip();
  for (const track of s.tracks) {
    const y = TOP + track.y - s.scroll;
    if (y > s.height || y + track.height < TOP) continue;
    g.save();
    g.beginPath();
    g.rect(LEFT, y, s.width - LEFT, track.height);
    g.clip();
    if (track.lane.busy) strip(g, track, s, y, x, byStatus.get("FINISHED")!, palette.failed);
    else bars(g, track, s, y, x, byStatus);
    g.restore();
    g.fillStyle = palette.line;
    g.fillRect(0, y + track.height + 3, s.width, 1);
    laneName(g, track, y, palette.text, palette.soft);
  }
  g.restore();
  g.fillStyle = palette.line;
  g.fillRect(LEFT - 1, 0, 1, s.height);
  g.fillRect(0, TOP - 1, s.width, 1);
}

function bars(g: CanvasRenderingContext2D, track: Track, s: Scene, y: number, x: (t: number) => number, byStatus: Map<string, string>): void {
  for (const { bar, row } of track.bars) {
    if (bar.ended_at < s.span.from || bar.started_at > s.span.to) continue;
    const from = Math.max(LEFT - 2, x(bar.started_at));
    const width = Math.max(1.5, Math.min(s.width + 2, x(bar.ended_at)) - from);
    g.globalAlpha = s.hovered && s.hovered !== bar ? 0.55 : 0.9;
    g.fillStyle = s.byActivity && bar.status !== "FAILED" ? activityColor(bar.activity_id) : (byStatus.get(bar.status) ?? "#888");
    g.fillRect(from, y + 1 + row * track.row, width, track.row - 2);
    if (bar.status === "FAILED") {
      g.globalAlpha = 1;
      g.fillRect(from - 1, y + row * track.row, 3, track.row); // told by its shape too
    }
  }
  g.globalAlpha = 1;
}

function strip(g: CanvasRenderingContext2D, track: Track, s: Scene, y: number, x: (t: number) => number, fill: string, failed: string): void {
  const busy = track.lane.busy!;
  const width = (s.data.to - s.data.from) / busy.length;
  const most = Math.max(...busy, 1e-9);
  // One path for a lane: thousands of single fills are what is slow.
  g.beginPath();
  busy.forEach((b, i) => {
    const from = x(s.data.from + i * width);
    const to = x(s.data.from + (i + 1) * width);
    if (b <= 0 || to < LEFT || from > s.width) return;
    const h = Math.max(2, (track.height - 3) * (b / most));
    g.rect(from, y + track.height - h, to - from + 0.5, h);
  });
  g.globalAlpha = 0.75;
  g.fillStyle = fill;
  g.fill();
  g.beginPath();
  track.lane.failed?.forEach((n, i) => {
    const from = x(s.data.from + i * width);
    if (n > 0) g.rect(from, y, Math.max(2, x(s.data.from + (i + 1) * width) - from), 3);
  });
  g.globalAlpha = 1;
  g.fillStyle = failed;
  g.fill();
}

function laneName(g: CanvasRenderingContext2D, track: Track, y: number, text: string, soft: string): void {
  const middle = y + Math.min(track.height, 26) / 2;
  const n = track.lane.tasks.toLocaleString("en");
  g.textAlign = "right";
  g.fillStyle = soft;
  g.fillText(n, LEFT - 8, middle);
  g.textAlign = "left";
  g.fillStyle = text;
  g.fillText(shortened(g, track.lane.lane, LEFT - 26 - g.measureText(n).width), 10, middle);
}

function shortened(g: CanvasRenderingContext2D, text: string, width: number): string {
  let t = text.slice(0, 60);
  if (g.measureText(t).width <= width && t === text) return text;
  while (t.length > 1 && g.measureText(`${t}…`).width > width) t = t.slice(0, -1);
  return `${t}…`;
}

function tickText(t: number, span: Span): string {
  const width = span.to - span.from;
  if (width > 86400 * 2) return when(t).slice(5, 16);
  return clock(t, width < 20);
}

// barAt finds the task under a point.
export function barAt(s: Scene, px: number, py: number): Bar | undefined {
  if (px < LEFT || py < TOP) return undefined;
  const y = py - TOP + s.scroll;
  const track = s.tracks.find((t) => y >= t.y && y <= t.y + t.height);
  if (!track) return undefined;
  const row = Math.floor((y - track.y - 1) / track.row);
  const per = (s.span.to - s.span.from) / (s.width - LEFT);
  const t = s.span.from + (px - LEFT) * per;
  let best: Bar | undefined;
  let distance = 4 * per;
  for (const b of track.bars) {
    if (b.row !== row) continue;
    const d = Math.max(0, b.bar.started_at - t, t - b.bar.ended_at);
    if (d <= distance) {
      best = b.bar;
      distance = d;
    }
  }
  return best;
}
