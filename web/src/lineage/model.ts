import type { Counts, Filter, Graph, GraphTask, Link } from "../api";

// What the lineage view draws: activities, of which some are opened into their tasks, and between them all links of the
// same ends as one edge. Never more than a person can read: an opened activity shows its first tasks and says how many
// more there are.

export interface Group {
  key: string;
  campaign: string;
  kind: string;
  activity: string;
  tasks: number;
  counts: Counts;
  workflows: string[];
  outside: boolean;
}
export interface GroupEdge {
  from: string; // keys of groups
  to: string;
  links: number;
  evidence: Record<string, number>;
  doubts: number;
  min: number;
  max: number;
  example?: Link;
}
export interface Source {
  groups: Map<string, Group>;
  edges: GroupEdge[];
  tasks: Map<string, GraphTask>; // known one by one
  links: Link[]; // between known tasks
  roots: Set<string>; // tasks that were asked for
}
export interface Node {
  id: string; // g:… a group, t:… a task, m:… the tasks of an opened group that are not drawn
  group: Group;
  task?: GraphTask;
  more?: number;
  loops: number; // links of the node to itself
  root: boolean;
}
export interface Edge extends Omit<GroupEdge, "example"> {
  id: string;
  list: Link[]; // those known one by one
}
export interface Drawing {
  nodes: Node[];
  edges: Edge[];
  left: number; // groups that are not drawn
}

// entityKey selects a thing that tasks used or generated, as g:… and t:… select boxes.
export const entityKey = (entity: string): string => `x:${entity}`;

// linksOver are all links that are known to lead over a thing.
export function linksOver(source: Source, drawing: Drawing, entity: string): Link[] {
  const all = new Map<string, Link>();
  for (const l of [...source.links, ...drawing.edges.flatMap((e) => e.list)]) if (l.entity === entity) all.set(`${l.from} ${l.to} ${l.evidence}`, l);
  return [...all.values()];
}

export const OPENED = 40; // tasks drawn of an opened group
export const DRAWN = 150; // groups drawn

export function keyOf(campaign: string, kind: string, activity: string): string {
  return [campaign, kind, activity].map(encodeURIComponent).join("|");
}

export function groupFilter(g: Group): Filter {
  const one = (field: string, v: string): Filter => (v === "" ? { [field]: { $exists: false } } : { [field]: v });
  return { $and: [one("campaign_id", g.campaign), one("kind", g.kind), one("activity_id", g.activity)] };
}

export function taskKey(t: GraphTask): string {
  return keyOf(t.campaign_id ?? "", t.kind, t.activity_id ?? "");
}

// fromGraph collapses the lineage of some tasks by activity.
export function fromGraph(g: Graph): Source {
  const tasks = new Map(g.tasks.map((t) => [t.id, t]));
  const groups = new Map<string, Group>();
  for (const t of g.tasks) {
    const key = taskKey(t);
    let group = groups.get(key);
    if (!group) {
      group = { key, campaign: t.campaign_id ?? "", kind: t.kind, activity: t.activity_id ?? "", tasks: 0, counts: {}, workflows: [], outside: false };
      groups.set(key, group);
    }
    group.tasks++;
    group.counts[t.status] = (group.counts[t.status] ?? 0) + 1;
    if (t.workflow_name && group.workflows.length < 5 && !group.workflows.includes(t.workflow_name)) group.workflows.push(t.workflow_name);
  }
  return { groups, edges: [], tasks, links: g.links, roots: new Set(g.ids) };
}

export interface ActivityAnswer {
  activities: { campaign_id: string; kind: string; activity_id: string; tasks: number; by_status: Counts; workflow_names: string[]; outside?: boolean }[];
  links: { from: number; to: number; links: number; evidence: Record<string, number>; doubts: number; min_confidence: number; max_confidence: number; example: Link }[];
  looked_at: number;
  total: number;
  truncated: boolean;
}

export function fromActivities(a: ActivityAnswer): Source {
  const keys = a.activities.map((x) => keyOf(x.campaign_id, x.kind, x.activity_id));
  const groups = new Map(
    a.activities.map((x, i) => [
      keys[i]!,
      { key: keys[i]!, campaign: x.campaign_id, kind: x.kind, activity: x.activity_id, tasks: x.tasks, counts: x.by_status, workflows: x.workflow_names, outside: x.outside ?? false },
    ]),
  );
  const edges = a.links.map((l) => ({
    from: keys[l.from]!, to: keys[l.to]!, links: l.links, evidence: l.evidence, doubts: l.doubts, min: l.min_confidence, max: l.max_confidence, example: l.example,
  }));
  return { groups, edges, tasks: new Map(), links: [], roots: new Set() };
}

// opened adds what is known of single tasks to a source of activities.
export function opened(source: Source, graphs: Graph[]): Source {
  const tasks = new Map(source.tasks);
  const links = new Map<string, Link>();
  for (const g of graphs) {
    for (const t of g.tasks) tasks.set(t.id, t);
    for (const l of g.links) links.set(`${l.from} ${l.to} ${l.entity} ${l.evidence}`, l);
  }
  return { ...source, tasks, links: [...links.values()] };
}

// usuallyOpen are the groups of a single task's lineage that are small enough to be drawn task by task.
export function usuallyOpen(source: Source): Set<string> {
  const small = [...source.groups.values()].filter((g) => g.tasks <= 6).sort((a, b) => a.tasks - b.tasks);
  const open = new Set<string>();
  let drawn = source.groups.size;
  for (const g of small) {
    if (drawn + g.tasks > 40) break;
    drawn += g.tasks - 1;
    open.add(g.key);
  }
  return open;
}

export function draw(source: Source, open: ReadonlySet<string>, shownFirst: ReadonlySet<string> = new Set()): Drawing {
  const groups = [...source.groups.values()].sort((a, b) => Number(b.tasks > 0) - Number(a.tasks > 0) || b.tasks - a.tasks);
  const drawn = new Set(groups.slice(0, DRAWN).map((g) => g.key));
  const byGroup = new Map<string, GraphTask[]>();
  for (const t of source.tasks.values()) {
    const key = taskKey(t);
    if (open.has(key)) byGroup.set(key, [...(byGroup.get(key) ?? []), t]);
  }
  const nodes = new Map<string, Node>();
  const place = new Map<string, string>(); // task → node
  for (const g of groups) {
    if (!drawn.has(g.key)) continue;
    const tasks = byGroup.get(g.key);
    if (!open.has(g.key) || !tasks) {
      nodes.set(`g:${g.key}`, { id: `g:${g.key}`, group: g, loops: 0, root: false });
      continue;
    }
    const rank = (t: GraphTask): number => (source.roots.has(t.id) ? 0 : shownFirst.has(t.id) ? 1 : 2);
    const sorted = tasks.sort((a, b) => rank(a) - rank(b) || (a.started_at ?? 0) - (b.started_at ?? 0));
    for (const t of sorted.slice(0, OPENED)) {
      nodes.set(`t:${t.id}`, { id: `t:${t.id}`, group: g, task: t, loops: 0, root: source.roots.has(t.id) });
      place.set(t.id, `t:${t.id}`);
    }
    const more = g.tasks - Math.min(sorted.length, OPENED);
    if (more > 0) nodes.set(`m:${g.key}`, { id: `m:${g.key}`, group: g, more, loops: 0, root: false });
  }
  const at = (t: GraphTask): string | undefined => {
    const id = place.get(t.id) ?? (nodes.has(`g:${taskKey(t)}`) ? `g:${taskKey(t)}` : `m:${taskKey(t)}`);
    return nodes.has(id) ? id : undefined;
  };
  for (const id of source.roots) {
    const t = source.tasks.get(id);
    const node = t && nodes.get(at(t) ?? "");
    if (node) node.root = true;
  }
  const edges = new Map<string, Edge>();
  const edge = (from: string, to: string): Edge => {
    const id = `${from} → ${to}`;
    let e = edges.get(id);
    if (!e) {
      e = { id, from, to, links: 0, evidence: {}, doubts: 0, min: 1, max: 0, list: [] };
      edges.set(id, e);
    }
    return e;
  };
  // Between two closed activities their common edge says it all; its links may be known only as a sum.
  for (const e of source.edges) {
    const from = nodes.get(`g:${e.from}`);
    const to = nodes.get(`g:${e.to}`);
    if (!from || !to) continue;
    if (from === to) from.loops += e.links;
    else add(edge(from.id, to.id), e.links, e.evidence, e.doubts, e.min, e.max, e.example ? [e.example] : []);
  }
  const summed = new Set(source.edges.map((e) => `g:${e.from} → g:${e.to}`));
  for (const l of source.links) {
    const a = source.tasks.get(l.from);
    const b = source.tasks.get(l.to);
    const from = a && at(a);
    const to = b && at(b);
    if (!from || !to || summed.has(`${from} → ${to}`)) continue;
    if (from === to) nodes.get(from)!.loops++;
    else add(edge(from, to), 1, { [l.evidence]: 1 }, l.doubt ? 1 : 0, l.confidence, l.confidence, [l]);
  }
  return { nodes: [...nodes.values()], edges: [...edges.values()], left: groups.length - drawn.size };
}

function add(e: Edge, links: number, evidence: Record<string, number>, doubts: number, min: number, max: number, list: Link[]): void {
  e.links += links;
  for (const [k, n] of Object.entries(evidence)) e.evidence[k] = (e.evidence[k] ?? 0) + n;
  e.doubts += doubts;
  e.min = Math.min(e.min, min);
  e.max = Math.max(e.max, max);
  if (e.list.length < 200) e.list.push(...list);
}

// path is all that a node came from and all that came from it.
export function path(drawing: Drawing, id: string): Set<string> {
  const found = new Set([id]);
  for (const [near, far] of [["to", "from"], ["from", "to"]] as const) {
    const next = new Map<string, string[]>();
    for (const e of drawing.edges) next.set(e[near], [...(next.get(e[near]) ?? []), e[far]]);
    const seen = new Set([id]);
    const queue = [id];
    for (let at = queue.pop(); at !== undefined; at = queue.pop())
      for (const n of next.get(at) ?? [])
        if (!seen.has(n)) {
          seen.add(n);
          found.add(n);
          queue.push(n);
        }
  }
  return found;
}

export function nodeName(n: Node): string {
  const activity = n.group.activity || "(no activity)";
  if (n.task) return n.task.task_id;
  return n.more ? `${n.more.toLocaleString("en")} more of ${activity}` : activity;
}

export function evidenceText(evidence: Record<string, number>): string {
  return Object.entries(evidence)
    .sort((a, b) => b[1] - a[1])
    .map(([k, n]) => (n > 1 ? `${k} ×${n.toLocaleString("en")}` : k))
    .join(", ");
}
