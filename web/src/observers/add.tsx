import { useId, useState, type FormEvent, type ReactNode } from "react";
import { Failure, get, post } from "../api";
import { useData } from "../data";
import { Problem, Waiting } from "../parts/states";
import { show } from "../values";
import { configOf, KINDS, type Observer, type Offer } from "./model";

interface Props {
  campaign: string;
  onAdded: () => void;
}

// AddForm registers an observer, with what its kind needs.
export function AddForm({ campaign, onAdded }: Props): ReactNode {
  const [kind, setKind] = useState("mlflow");
  const [error, setError] = useState<Failure>();
  const [busy, setBusy] = useState(false);
  const [told, setTold] = useState("");
  const id = useId();
  const send = async (e: FormEvent<HTMLFormElement>): Promise<void> => {
    e.preventDefault();
    const form = e.currentTarget;
    const typed = Object.fromEntries([...new FormData(form)].map(([k, v]) => [k, typeof v === "string" ? v : ""]));
    setBusy(true);
    setTold("");
    try {
      const config = configOf(kind, typed, typed.campaign ?? "", typed.more ?? "");
      const o = await post<Observer>("observers", { kind, config, ...(typed.id?.trim() ? { id: typed.id.trim() } : {}) });
      form.reset();
      setError(undefined);
      setTold(`${o.id} is registered, and ${o.state}.`);
      onAdded();
    } catch (failed) {
      setError(failed instanceof Failure ? failed : new Failure(-1, `Further keys are no JSON: ${failed instanceof Error ? failed.message : String(failed)}`));
    }
    setBusy(false);
  };
  const field = (name: string, label: string, hint: string, required = false, value?: string): ReactNode => (
    <label key={`${kind} ${name}`} htmlFor={`${id}${name}`}>
      {label}
      <input type="text" id={`${id}${name}`} name={name} placeholder={hint} required={required} defaultValue={value} spellCheck={false} />
    </label>
  );
  return (
    <form className="say" onSubmit={(e) => void send(e)} aria-label="Add an observer">
      <div className="fields">
        <label className="narrow">
          Kind
          <select value={kind} onChange={(e) => setKind(e.target.value)}>
            {Object.keys(KINDS).map((k) => (
              <option key={k}>{k}</option>
            ))}
          </select>
        </label>
        {KINDS[kind]!.map((k) => field(k.name, k.label + (k.list ? ", parted by commas" : ""), k.hint, k.required))}
        {field("campaign", "Campaign", "my_campaign_1", false, campaign)}
        {field("id", "Id, if you like", "search-runs")}
        {field("more", "Further keys as JSON", '{"capture": …}')}
        <button type="submit" disabled={busy}>
          {busy ? "Adding…" : "Add and start"}
        </button>
      </div>
      <p className="soft small">Relative paths begin where the collector was started. What the operator does not allow is refused with the reason.</p>
      <p role="status" className="small">
        {told}
      </p>
      {error && <Problem error={error} />}
    </form>
  );
}

interface Found {
  discovered: Offer[];
  notes: string[];
}

// Offers are what the collector found that could be observed, where its operator wants it to look.
export function Offers({ campaign, onAdded, round }: Props & { round: number }): ReactNode {
  const { data, error } = useData("discovered", round, (s) => get<Found>("observers/discovered", {}, s));
  if (error?.status === 404) return <p className="soft">{error.message.charAt(0).toUpperCase() + error.message.slice(1)}.</p>;
  if (error && !data) return <Problem error={error} />;
  if (!data) return <Waiting what="Looking" />;
  return (
    <>
      {data.discovered.length === 0 && <p className="soft">Nothing was found that could be observed within what is allowed.</p>}
      <ul className="said" aria-label="Could be observed">
        {data.discovered.map((o) => (
          <OfferItem key={o.id} offer={o} campaign={campaign} onAdded={onAdded} />
        ))}
      </ul>
      {data.notes.length > 0 && (
        <details>
          <summary>Found, and not to be observed ({data.notes.length})</summary>
          <ul className="plain soft">
            {data.notes.map((n) => (
              <li key={n}>
                <bdi>{n}</bdi>
              </li>
            ))}
          </ul>
        </details>
      )}
    </>
  );
}

function OfferItem({ offer: o, campaign, onAdded }: Props & { offer: Offer }): ReactNode {
  const id = useId();
  const [error, setError] = useState<Failure>();
  const add = async (): Promise<void> => {
    try {
      await post("observers", { kind: o.kind, config: { ...o.config, ...(campaign ? { campaign } : {}) } });
      setError(undefined);
      onAdded();
    } catch (e) {
      setError(e instanceof Failure ? e : new Failure(-1, String(e)));
    }
  };
  return (
    <li>
      <div className="bar">
        <span id={id}>
          <strong>{o.kind}</strong>{" "}
          <bdi className="mono">
            {Object.entries(o.config)
              .map(([k, v]) => `${k} ${show(v)}`)
              .join(", ")
              .slice(0, 300)}
          </bdi>
        </span>
        {o.observed ? (
          <span className="chip">observed{o.observed_by && ` by ${o.observed_by}`}</span>
        ) : (
          <button type="button" onClick={() => void add()} aria-describedby={id}>
            Observe{campaign && ` for ${campaign}`}
          </button>
        )}
      </div>
      <p className="soft small">
        <bdi>{o.evidence}</bdi>
        {o.note && <bdi> · {o.note}</bdi>}
      </p>
      {error && <Problem error={error} />}
    </li>
  );
}
