import { useId, useState, type FormEvent, type ReactNode } from "react";
import { Failure, post } from "../api";
import { Problem } from "../parts/states";
import { tagList, type Kind, type Target } from "./model";
import { remember, usePerson } from "./person";

interface Answer {
  id: string;
  by: string;
  by_source: string;
}

interface Props {
  target: Target;
  excluded?: boolean;
  label: string; // what it is said of
  onSaid: () => void;
}

const CHOICES: [Kind, string][] = [["note", "Note"], ["tag", "Tag"], ["exclusion", "Exclude"], ["action", "Decision"]];

// NoteForm says something of tasks, a thing or a campaign.
export function NoteForm({ target, excluded = false, label, onSaid }: Props): ReactNode {
  const [kind, setKind] = useState<Kind>("note");
  const [error, setError] = useState<Failure>();
  const [busy, setBusy] = useState(false);
  const [told, setTold] = useState("");
  const person = usePerson();
  const id = useId();
  const send = async (e: FormEvent<HTMLFormElement>): Promise<void> => {
    e.preventDefault();
    const form = e.currentTarget;
    const text = (name: string): string | undefined => String(new FormData(form).get(name) ?? "").trim() || undefined;
    const body = {
      ...target, by: person.known ? undefined : text("by"), note: text("note"), why: text("why"), action: text("action"),
      tags_added: kind === "tag" ? tagList(text("tags") ?? "") : undefined, excluded: kind === "exclusion" ? !excluded : undefined,
    };
    setBusy(true);
    setTold("");
    try {
      const answer = await post<Answer>("annotations", body);
      remember(answer.by, answer.by_source);
      form.reset();
      setError(undefined);
      setTold(`Kept, as said by ${answer.by}.`);
      onSaid();
    } catch (failed) {
      setError(failed instanceof Failure ? failed : new Failure(-1, String(failed)));
    }
    setBusy(false);
  };
  return (
    <form className="say" onSubmit={(e) => void send(e)} aria-label={`Say something of ${label}`}>
      <span className="tabs" role="group" aria-label="What to say">
        {CHOICES.map(([k, name]) => (
          <button key={k} type="button" aria-pressed={kind === k} onClick={() => setKind(k)}>
            {k === "exclusion" && excluded ? "Include again" : name}
          </button>
        ))}
      </span>
      <div className="fields">
        {kind === "note" && <Text id={`${id}n`} name="note" label="Note" lines={2} required />}
        {kind === "tag" && <Text id={`${id}t`} name="tags" label="Tags, parted by commas" required />}
        {kind === "action" && <Text id={`${id}a`} name="action" label="What was decided" placeholder="stopped the search" most={200} required />}
        {(kind === "action" || kind === "exclusion") && <Text id={`${id}w`} name="why" label={excluded && kind === "exclusion" ? "Why, if you like" : "Why"} required={kind === "action" || !excluded} />}
        {!person.known && <Text key={person.name} id={`${id}b`} name="by" label="Your name" value={person.name} most={200} required narrow />}
        <button type="submit" disabled={busy}>
          {busy ? "Keeping…" : person.known ? `Say it as ${person.name}` : "Say it"}
        </button>
      </div>
      <p role="status" className="soft small">
        {told}
      </p>
      {error && <Problem error={error} />}
    </form>
  );
}

interface TextProps {
  id: string;
  name: string;
  label: string;
  value?: string;
  placeholder?: string;
  lines?: number;
  most?: number;
  required?: boolean;
  narrow?: boolean;
}

function Text({ id, name, label, value, placeholder, lines, most = 4000, required = false, narrow = false }: TextProps): ReactNode {
  const common = { id, name, defaultValue: value, placeholder, maxLength: most, required, dir: "auto" };
  return (
    <label className={narrow ? "narrow" : undefined} htmlFor={id}>
      {label}
      {lines ? <textarea {...common} rows={lines} /> : <input type="text" {...common} />}
    </label>
  );
}
