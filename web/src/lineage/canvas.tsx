import { memo, useCallback, useEffect, useLayoutEffect, useRef, useState, type KeyboardEvent, type PointerEvent, type ReactNode, type RefObject } from "react";
import { STATUSES } from "../api";
import { count } from "../format";
import { curve, HEIGHT, WIDTH, type Layout } from "./layout";
import { evidenceText, nodeName, type Drawing, type Edge, type Node } from "./model";

interface View {
  x: number;
  y: number;
  scale: number; // pixels of the screen per unit
}

interface Props {
  drawing: Drawing;
  layout: Layout;
  selected: string | undefined;
  lit: ReadonlySet<string> | undefined; // the others are dim
  onSelect: (id: string | undefined) => void;
  onToggle: (group: string) => void;
  svg: RefObject<SVGSVGElement | null>;
}

// GraphCanvas draws the graph; it is moved by dragging and by keys, zoomed by the wheel and by keys.
export function GraphCanvas({ drawing, layout, selected, lit, onSelect, onToggle, svg }: Props): ReactNode {
  const box = useRef<HTMLDivElement>(null);
  const [size, setSize] = useState({ width: 800, height: 500 });
  const [view, setView] = useState<View>();
  const [fitted, setFitted] = useState<Layout>();
  useLayoutEffect(() => {
    const observer = new ResizeObserver(([e]) => e && setSize({ width: e.contentRect.width, height: e.contentRect.height }));
    observer.observe(box.current!);
    return () => observer.disconnect();
  }, []);
  const fit = (): View => {
    const scale = Math.max(0.05, Math.min(1.15, (size.width - 32) / layout.width, (size.height - 32) / layout.height));
    return { scale, x: layout.width / 2 - size.width / scale / 2, y: layout.height / 2 - size.height / scale / 2 };
  };
  if (fitted !== layout) {
    setFitted(layout);
    setView(undefined);
  }
  const v = view ?? fit();
  const zoom = (factor: number, cx = size.width / 2, cy = size.height / 2): void => {
    const scale = Math.min(3, Math.max(0.05, v.scale * factor));
    setView({ scale, x: v.x + cx / v.scale - cx / scale, y: v.y + cy / v.scale - cy / scale });
  };
  const wheel = useRef(zoom);
  useEffect(() => {
    wheel.current = zoom;
  });
  useEffect(() => {
    const b = box.current!;
    const turn = (e: WheelEvent): void => {
      e.preventDefault(); // React's own listener could not
      const r = b.getBoundingClientRect();
      wheel.current(Math.exp(-e.deltaY * 0.0015), e.clientX - r.left, e.clientY - r.top);
    };
    b.addEventListener("wheel", turn, { passive: false });
    return () => b.removeEventListener("wheel", turn);
  }, []);
  const drag = useRef<{ x: number; y: number; view: View; moved: boolean }>(undefined);
  const down = (e: PointerEvent): void => {
    if (e.button === 0) drag.current = { x: e.clientX, y: e.clientY, view: v, moved: false };
  };
  const move = (e: PointerEvent): void => {
    const d = drag.current;
    if (!d) return;
    const dx = e.clientX - d.x;
    const dy = e.clientY - d.y;
    if (!d.moved && Math.hypot(dx, dy) < 4) return;
    if (!d.moved) box.current!.setPointerCapture(e.pointerId);
    d.moved = true;
    setView({ scale: d.view.scale, x: d.view.x - dx / d.view.scale, y: d.view.y - dy / d.view.scale });
  };
  const up = (): void => {
    const moved = drag.current?.moved;
    setTimeout(() => (drag.current = undefined)); // the click that follows must know
    if (!moved) return;
  };
  // Boxes and edges are drawn anew only when they change, not for each step of a move.
  const handlers = useRef({ onSelect, onToggle });
  useEffect(() => {
    handlers.current = { onSelect, onToggle };
  });
  const pick = useCallback((id: string | undefined): void => {
    if (!drag.current?.moved) handlers.current.onSelect(id);
  }, []);
  const toggle = useCallback((group: string): void => handlers.current.onToggle(group), []);
  const key = (e: KeyboardEvent): void => {
    const step = 60 / v.scale;
    const pan = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[e.key];
    if (pan) setView({ ...v, x: v.x + pan[0]!, y: v.y + pan[1]! });
    else if (e.key === "+" || e.key === "=") zoom(1.25);
    else if (e.key === "-") zoom(0.8);
    else if (e.key === "0") setView(undefined);
    else if (e.key === "Escape") onSelect(undefined);
    else return;
    e.preventDefault();
  };
  return (
    <div className="canvas" ref={box} onKeyDown={key} onPointerDown={down} onPointerMove={move} onPointerUp={up}>
      <svg
        ref={svg}
        viewBox={`${v.x} ${v.y} ${size.width / v.scale} ${size.height / v.scale}`}
        role="group"
        aria-label={`Lineage: ${drawing.nodes.length} boxes and ${drawing.edges.length} edges. Tab goes from box to box, Enter selects, arrows move, plus and minus zoom, 0 shows all.`}
        onClick={(e) => e.target === e.currentTarget && pick(undefined)}
      >
        <defs>
          <marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
            <path d="M0,0.8 L7,4 L0,7.2 z" className="arrowhead" />
          </marker>
        </defs>
        {drawing.edges.map((e) => (
          <EdgeShape key={e.id} edge={e} layout={layout} selected={selected === e.id} dim={lit !== undefined && !(lit.has(e.from) && lit.has(e.to))} onSelect={pick} labelled={v.scale > 0.45} />
        ))}
        {drawing.nodes.map((n) => (
          <NodeShape key={n.id} node={n} layout={layout} selected={selected === n.id} dim={lit !== undefined && !lit.has(n.id)} onSelect={pick} onToggle={toggle} />
        ))}
      </svg>
      <div className="zoom">
        <button type="button" onClick={() => zoom(1.25)} aria-label="Zoom in">
          +
        </button>
        <button type="button" onClick={() => zoom(0.8)} aria-label="Zoom out">
          −
        </button>
        <button type="button" onClick={() => setView(undefined)} aria-label="Show all" title="Show all (0)">
          ⤢
        </button>
      </div>
    </div>
  );
}

interface Shape {
  layout: Layout;
  selected: boolean;
  dim: boolean;
  onSelect: (id: string) => void;
}

const EdgeShape = memo(function EdgeShape({ edge: e, layout, selected, dim, onSelect, labelled }: Shape & { edge: Edge; labelled: boolean }): ReactNode {
  const route = layout.edges.get(e.id);
  if (!route) return null;
  const d = curve(route.points);
  return (
    <g className={`edge ${selected ? "selected" : ""} ${dim ? "dim" : ""} ${e.min < 0.7 ? "weak" : ""}`} onClick={() => onSelect(e.id)}>
      <title>{`${count(e.links)} links: ${evidenceText(e.evidence)}; confidence ${e.min.toFixed(2)} to ${e.max.toFixed(2)}`}</title>
      <path d={d} className="hit" />
      <path d={d} className="line" strokeWidth={1 + Math.min(3, Math.log10(e.links + 1))} markerEnd="url(#arrow)" />
      {route.label && labelled && (
        <text x={route.label.x} y={route.label.y} textAnchor="middle" className="edgelabel">
          {edgeLabel(e)}
        </text>
      )}
    </g>
  );
});

export function edgeLabel(e: Edge): string {
  const text = evidenceText(e.evidence);
  return text.length > 26 ? `${text.slice(0, 25)}…` : text;
}

const NodeShape = memo(function NodeShape({ node: n, layout, selected, dim, onSelect, onToggle }: Shape & { node: Node; onToggle: (group: string) => void }): ReactNode {
  const at = layout.nodes.get(n.id);
  if (!at) return null;
  const name = nodeName(n);
  const under = n.task ? `${n.group.activity} · ${n.group.kind}` : n.more ? "not drawn" : `${n.group.outside ? "outside" : count(n.group.tasks)}${n.group.outside ? "" : n.group.tasks === 1 ? " task" : " tasks"} · ${n.group.kind}`;
  const key = (e: KeyboardEvent): void => {
    if (e.key !== "Enter" && e.key !== " " && e.key !== "e") return;
    e.preventDefault();
    e.stopPropagation();
    if (e.key === "e") onToggle(n.group.key);
    else onSelect(n.id);
  };
  return (
    <g
      className={`node ${n.task ? "task" : n.more ? "more" : "group"} ${selected ? "selected" : ""} ${dim ? "dim" : ""} ${n.root ? "root" : ""}`}
      transform={`translate(${at.x},${at.y})`}
      tabIndex={0}
      role="button"
      aria-pressed={selected}
      data-node={n.id}
      onClick={() => onSelect(n.id)}
      onDoubleClick={() => onToggle(n.group.key)}
      onKeyDown={key}
    >
      <title>{name}</title>
      {!n.task && !n.more && n.group.tasks > 1 && <rect className="stack" x="4" y="4" width={WIDTH} height={HEIGHT} rx="5" />}
      <rect className="body" width={WIDTH} height={HEIGHT} rx="5" />
      <StatusStripe node={n} />
      <text x="12" y="22" className="name">
        {fitText(name, n.task ? 22 : 24)}
      </text>
      <text x="12" y="39" className="under">
        {fitText(under + (n.loops ? ` · ↻ ${count(n.loops)}` : ""), 32)}
      </text>
    </g>
  );
});

function StatusStripe({ node: n }: { node: Node }): ReactNode {
  const counts = n.task ? { [n.task.status]: 1 } : n.more ? {} : n.group.counts;
  const parts = STATUSES.filter((s) => counts[s]);
  const total = parts.reduce((sum, s) => sum + counts[s]!, 0);
  const width = WIDTH - 24;
  return parts.map((s, i) => {
    const before = parts.slice(0, i).reduce((sum, p) => sum + counts[p]!, 0);
    return <rect key={s} className={`fill-${s.toLowerCase()}`} x={12 + (width * before) / total} y={HEIGHT - 8} width={Math.max(2, (width * counts[s]!) / total)} height="3" />;
  });
}

function fitText(text: string, most: number): string {
  const characters = [...text.slice(0, 200)];
  return characters.length > most ? `${characters.slice(0, most - 1).join("")}…` : text;
}
