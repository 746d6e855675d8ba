// What people said (docs/steering.md): of tasks, of an entity, of a campaign.

export interface Said {
  id: string;
  at: number;
  by: string;
  by_source: "authenticated" | "stated" | "collector";
  via?: string;
  of: "tasks" | "entity" | "campaign";
  campaigns: string[];
  note?: string;
  action?: string;
  why?: string;
  tags_added?: string[];
  tags_removed?: string[];
  excluded?: boolean;
  entity?: string;
  label?: string;
  generated_by?: string;
  tasks?: { id: string; task_id: string; activity_id?: string; campaign_id?: string }[];
  tasks_total?: number;
}
export interface SaidList {
  annotations: Said[];
  total: number;
  truncated: boolean;
}

// Target is what a new annotation is on.
export type Target = { ids: string[] } | { campaign: string } | { entity: string };

export const KINDS = { note: "Notes", tag: "Tags", exclusion: "Exclusions", action: "Decisions" } as const;
export type Kind = keyof typeof KINDS;

export function kindsOf(s: Said): Kind[] {
  const out: Kind[] = [];
  if (s.action !== undefined) out.push("action");
  if (s.excluded !== undefined) out.push("exclusion");
  if (s.tags_added?.length || s.tags_removed?.length) out.push("tag");
  if (s.note !== undefined) out.push("note");
  return out;
}

// excludedBy is the annotation by which tasks or a thing are excluded now, of a list with the latest first.
export function excludedBy(list: Said[]): Said | undefined {
  const last = list.find((s) => s.excluded !== undefined);
  return last?.excluded ? last : undefined;
}

// tagsOf are the tags that remain of a list with the latest first.
export function tagsOf(list: Said[]): string[] {
  const tags = new Set<string>();
  for (const s of list.toReversed()) {
    for (const t of s.tags_removed ?? []) tags.delete(t);
    for (const t of s.tags_added ?? []) tags.add(t);
  }
  return [...tags];
}

export function what(s: Said): string {
  const parts = [];
  if (s.action !== undefined) parts.push(s.action);
  if (s.excluded !== undefined) parts.push(s.excluded ? "excluded" : "included again");
  for (const t of s.tags_added ?? []) parts.push(`+${t}`);
  for (const t of s.tags_removed ?? []) parts.push(`-${t}`);
  if (s.note !== undefined) parts.push(s.note);
  return parts.join("; ");
}

export function onWhat(s: Said): string {
  if (s.of === "entity") return s.label ?? s.entity ?? "";
  if (s.of === "campaign") return `campaign ${s.campaigns.join(", ")}`;
  return (s.tasks ?? []).map((t) => `${t.activity_id ?? ""} ${t.task_id}`.trim()).join(", ");
}

// holds says whether a text is anywhere in what was said.
export function holds(s: Said, text: string): boolean {
  const wanted = text.trim().toLowerCase();
  return wanted === "" || [what(s), s.why, s.by, s.via, onWhat(s), s.entity].some((t) => t?.toLowerCase().includes(wanted));
}

// tagList reads tags that are parted by commas.
export function tagList(text: string): string[] {
  return [...new Set(text.split(",").map((t) => t.trim()).filter(Boolean))];
}
