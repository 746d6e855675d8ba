import ELK, { type ElkNode } from "elkjs/lib/elk-api";
import workerUrl from "elkjs/lib/elk-worker.min.js?url";
import type { Drawing } from "./model";

// The layered layout is made in a worker, so that the page answers meanwhile.

export const WIDTH = 190;
export const HEIGHT = 54;

export interface Place {
  x: number;
  y: number;
}
export interface Route {
  points: Place[];
  label?: Place;
}
export interface Layout {
  width: number;
  height: number;
  nodes: Map<string, Place>;
  edges: Map<string, Route>;
}

let elk: InstanceType<typeof ELK> | undefined;

export async function layout(drawing: Drawing, label: (id: string) => string): Promise<Layout> {
  elk ??= new ELK({ workerUrl });
  const labelled = drawing.edges.length <= 60;
  const graph: ElkNode = {
    id: "root",
    layoutOptions: {
      "elk.algorithm": "layered",
      "elk.direction": "RIGHT",
      "elk.spacing.nodeNode": "16",
      "elk.layered.spacing.nodeNodeBetweenLayers": labelled ? "24" : "80",
      "elk.layered.spacing.edgeNodeBetweenLayers": "18",
      "elk.spacing.edgeEdge": "8",
      "elk.layered.nodePlacement.strategy": "BRANDES_KOEPF",
      "elk.layered.nodePlacement.bk.fixedAlignment": "BALANCED",
      "elk.edgeRouting": "SPLINES",
      "elk.spacing.componentComponent": "40",
    },
    children: drawing.nodes.map((n) => ({ id: n.id, width: WIDTH, height: HEIGHT })),
    edges: drawing.edges.map((e) => ({
      id: e.id,
      sources: [e.from],
      targets: [e.to],
      labels: labelled ? [{ text: label(e.id), width: label(e.id).length * 6.2 + 6, height: 14, layoutOptions: { "elk.edgeLabels.inline": "true" } }] : [],
    })),
  };
  const done: ElkNode = await elk.layout(graph);
  return {
    width: done.width ?? 0,
    height: done.height ?? 0,
    nodes: new Map((done.children ?? []).map((c) => [c.id, { x: c.x ?? 0, y: c.y ?? 0 }])),
    edges: new Map(
      (done.edges ?? []).map((e) => {
        const s = e.sections?.[0];
        const l = e.labels?.[0];
        const points = s ? [s.startPoint, ...(s.bendPoints ?? []), s.endPoint] : [];
        return [e.id, { points, label: l?.x !== undefined ? { x: l.x + (l.width ?? 0) / 2, y: (l.y ?? 0) + 11 } : undefined }];
      }),
    ),
  };
}

// curve is the SVG path of a route: ELK's bend points are the control points of cubic curves.
export function curve(points: Place[]): string {
  const [start, ...rest] = points;
  if (!start) return "";
  let d = `M${start.x},${start.y}`;
  let i = 0;
  for (; i + 2 < rest.length; i += 3) d += `C${rest[i]!.x},${rest[i]!.y} ${rest[i + 1]!.x},${rest[i + 1]!.y} ${rest[i + 2]!.x},${rest[i + 2]!.y}`;
  for (; i < rest.length; i++) d += `L${rest[i]!.x},${rest[i]!.y}`;
  return d;
}
