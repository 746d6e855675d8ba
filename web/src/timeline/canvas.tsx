import { useEffect, useLayoutEffect, useMemo, useRef, useState, type KeyboardEvent, type PointerEvent, type ReactNode, type RefObject } from "react";
import { clock, count, duration } from "../format";
import { go, hrefOf } from "../router";
import { useTheme } from "../theme";
import { tracks, zoomed, type Bar, type Span, type TimelineAnswer } from "./model";
import { barAt, LEFT, paint, TOP, type Scene } from "./paint";

interface Props {
  answer: TimelineAnswer;
  whole: Span;
  byActivity: boolean;
  onWindow: (s: Span | undefined) => void; // when it came to rest; undefined = everything
  canvas: RefObject<HTMLCanvasElement | null>;
}

const REST = 220; // milliseconds after the last move

// TimelineCanvas follows wheel, drag and keys at once with what it has, and asks for the new window when it came to rest.
export function TimelineCanvas({ answer, whole, byActivity, onWindow, canvas }: Props): ReactNode {
  const data = useMemo(() => ({ from: answer.from ?? 0, to: answer.to ?? 1 }), [answer]);
  const [local, setLocal] = useState<{ span: Span; of: TimelineAnswer }>();
  const span = local && local.of === answer ? local.span : padded(data);
  const [size, setSize] = useState({ width: 900, height: 500 });
  const [scroll, setScroll] = useState(0);
  const [hover, setHover] = useState<{ bar: Bar; x: number; y: number }>();
  const box = useRef<HTMLDivElement>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const theme = useTheme();
  const rows = useMemo(() => tracks(answer), [answer]);
  const last = rows.at(-1);
  const full = last ? last.y + last.height + 12 : 0;
  const top = Math.min(scroll, Math.max(0, full - size.height + TOP));
  const scene: Scene = { tracks: rows, span, data, width: size.width, height: size.height, scroll: top, hovered: hover?.bar, byActivity };

  useLayoutEffect(() => {
    const observer = new ResizeObserver(([e]) => e && setSize({ width: Math.max(300, e.contentRect.width), height: e.contentRect.height }));
    observer.observe(box.current!);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    const frame = requestAnimationFrame(() => canvas.current && paint(canvas.current, scene));
    return () => cancelAnimationFrame(frame);
  });
  useEffect(() => {
    if (canvas.current) paint(canvas.current, scene); // in the new colours
  // eslint-disable-next-line react-hooks/exhaustive-deps -- the scene itself is drawn above
  }, [theme]);
  useEffect(() => () => clearTimeout(timer.current), []);

  const show = (next: Span): void => {
    const width = Math.min(next.to - next.from, (whole.to - whole.from) * 1.2);
    const from = Math.min(Math.max(next.from, whole.from - width * 0.5), whole.to - width * 0.5);
    const bounded = { from, to: from + width };
    setLocal({ span: bounded, of: answer });
    clearTimeout(timer.current);
    timer.current = setTimeout(() => onWindow(bounded), REST);
  };
  const timeAt = (px: number): number => span.from + ((px - LEFT) / (size.width - LEFT)) * (span.to - span.from);
  const turn = (e: WheelEvent): void => {
    e.preventDefault();
    const r = box.current!.getBoundingClientRect();
    const px = e.clientX - r.left;
    if (e.shiftKey || Math.abs(e.deltaX) > Math.abs(e.deltaY)) {
      const d = ((e.deltaX || e.deltaY) / (size.width - LEFT)) * (span.to - span.from);
      show({ from: span.from + d, to: span.to + d });
    } else if (px < LEFT || e.altKey) setScroll(Math.max(0, top + e.deltaY));
    else show(zoomed(span, Math.exp(-e.deltaY * 0.002), timeAt(px)));
  };
  const wheel = useRef(turn);
  useEffect(() => {
    wheel.current = turn;
  });
  useEffect(() => {
    const b = box.current!;
    const listen = (e: WheelEvent): void => wheel.current(e);
    b.addEventListener("wheel", listen, { passive: false });
    return () => b.removeEventListener("wheel", listen);
  }, []);

  const drag = useRef<{ x: number; y: number; span: Span; top: number; moved: boolean }>(undefined);
  const point = (e: PointerEvent): [number, number] => {
    const r = box.current!.getBoundingClientRect();
    return [e.clientX - r.left, e.clientY - r.top];
  };
  const move = (e: PointerEvent): void => {
    const [x, y] = point(e);
    const d = drag.current;
    if (!d) {
      const bar = barAt(scene, x, y);
      setHover(bar && { bar, x, y });
      return;
    }
    if (!d.moved && Math.hypot(x - d.x, y - d.y) < 4) return;
    d.moved = true;
    const dt = ((d.x - x) / (size.width - LEFT)) * (d.span.to - d.span.from);
    show({ from: d.span.from + dt, to: d.span.to + dt });
    setScroll(Math.max(0, d.top + d.y - y));
  };
  const up = (e: PointerEvent): void => {
    const moved = drag.current?.moved;
    drag.current = undefined;
    if (moved) return;
    const bar = barAt(scene, ...point(e));
    if (bar) go(hrefOf(`/task/${encodeURIComponent(bar.id)}`, { campaign: new URLSearchParams(location.search).get("campaign") ?? "" }));
  };
  const key = (e: KeyboardEvent): void => {
    const middle = (span.from + span.to) / 2;
    const step = (span.to - span.from) / 5;
    switch (e.key) {
      case "ArrowLeft":
        show({ from: span.from - step, to: span.to - step });
        break;
      case "ArrowRight":
        show({ from: span.from + step, to: span.to + step });
        break;
      case "ArrowUp":
        setScroll(Math.max(0, top - 40));
        break;
      case "ArrowDown":
        setScroll(top + 40);
        break;
      case "+":
      case "=":
        show(zoomed(span, 1.5, middle));
        break;
      case "-":
        show(zoomed(span, 1 / 1.5, middle));
        break;
      case "0":
        clearTimeout(timer.current);
        setLocal(undefined);
        onWindow(undefined);
        break;
      default:
        return;
    }
    e.preventDefault();
  };
  return (
    <div
      className="canvas time"
      ref={box}
      style={{ height: `min(calc(100vh - 230px), ${full + TOP + 8}px)` }}
      tabIndex={0}
      role="group"
      aria-label="Timeline. Left and right move, plus and minus zoom, 0 shows everything; the table below says the same."
      onKeyDown={key}
      onPointerDown={(e) => {
        if (e.button !== 0) return;
        const [x, y] = point(e);
        box.current!.setPointerCapture(e.pointerId);
        drag.current = { x, y, span, top, moved: false };
      }}
      onPointerMove={move}
      onPointerUp={up}
      onPointerLeave={() => setHover(undefined)}
    >
      <canvas ref={canvas} style={{ width: size.width, height: size.height }} />
      {hover && (
        <div className="tip" style={{ left: Math.min(hover.x + 14, size.width - 280), top: Math.min(hover.y + 14, size.height - 90) }}>
          <strong>
            <bdi>{hover.bar.activity_id}</bdi>
          </strong>{" "}
          <span className={`status status-${hover.bar.status.toLowerCase()}`}>{hover.bar.status.toLowerCase()}</span>
          <div className="mono cut">
            <bdi>{hover.bar.task_id}</bdi>
          </div>
          {clock(hover.bar.started_at, true)}, {duration(hover.bar.ended_at - hover.bar.started_at)}
          {hover.bar.open && " so far"}
        </div>
      )}
      {full > size.height - TOP && <p className="more">{count(rows.length)} lanes: drag, or turn the wheel over the names</p>}
    </div>
  );
}

function padded(s: Span): Span {
  const pad = (s.to - s.from) * 0.01;
  return { from: s.from - pad, to: s.to + pad };
}
