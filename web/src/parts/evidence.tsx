import type { ReactNode } from "react";

const MEANING: Record<string, string> = {
  declared: "the tool declared it",
  digest: "both have the same content",
  io: "it was seen being read or written",
  path: "both name the same file",
  uri: "both name the same address",
  id: "both name the same id",
  value: "a configured rule links this value",
  person: "a person said so",
};

interface Props {
  link: { evidence: string; confidence: number; doubt?: string };
}

// Evidence says why a link is believed, and how much.
export function Evidence({ link: l }: Props): ReactNode {
  return (
    <span className={`evidence ${l.doubt ? "doubted" : ""}`} title={[MEANING[l.evidence], l.doubt && `doubt: ${l.doubt}`].filter(Boolean).join("; ")}>
      {l.evidence} {l.confidence.toFixed(2)}
      {l.doubt && ` (${l.doubt})`}
    </span>
  );
}

// entityName is the short name of an entity: a file's name, an id's end.
export function entityName(entity: string): string {
  if (entity.startsWith("task:")) return "its result";
  const tail = entity.slice(Math.max(entity.lastIndexOf("/"), entity.startsWith("file:") ? -1 : entity.lastIndexOf(":")) + 1);
  return tail.length > 80 ? `${tail.slice(0, 80)}…` : tail || entity.slice(0, 80);
}
