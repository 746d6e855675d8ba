import type { ReactNode } from "react";
import { get } from "../api";
import { useData } from "../data";
import { ago, count, when } from "../format";
import { useVersion } from "../live";
import { Link } from "../parts/link";
import { Empty, Problem, Waiting } from "../parts/states";
import { usePlace } from "../router";
import { show, type Value } from "../values";

type State = "complete" | "unknown" | "missing";
interface Observer {
  observer: string;
  campaign_id: string;
  host: string;
  state: State;
  arrived: number;
  missing: number;
  dropped: number;
  last_seq: number;
  checkpoint_at?: number;
  open_since?: number;
  final: boolean;
  dropped_ranges?: Value[];
  missing_ranges?: Value[];
}
interface Answer {
  state: State;
  complete: number;
  unknown: number;
  missing: number;
  complete_up_to?: number;
  observers: Observer[];
  witnesses: { what: string; of: string; expected: number; found: number; state: State; detail?: Value }[];
}
const WORDS: Record<State, string> = { complete: "complete", unknown: "open", missing: "missing" };
const SAYS: Record<State, string> = {
  complete: "Everything that was observed is here.",
  unknown: "Nothing is known to be missing, and not every observer has ended.",
  missing: "Something is known to be lost, or has not arrived.",
};
const SHOWN = 300;

export function Completeness(): ReactNode {
  const campaign = usePlace().params.get("campaign") ?? "";
  const version = useVersion(campaign);
  const { data, error } = useData(`completeness ${campaign}`, version, (s) => get<Answer>("completeness", { campaign_id: campaign }, s));
  if (error && !data) return <Problem error={error} />;
  if (!data) return <Waiting what="Counting" />;
  return (
    <>
      <h1>Is everything here?</h1>
      {data.observers.length === 0 ? (
        <Empty>
          <p>Nobody has observed anything{campaign && ` of campaign ${campaign}`} yet, so nobody can say.</p>
        </Empty>
      ) : (
        <p>
          <StateMark state={data.state} /> {SAYS[data.state]}
          {data.complete_up_to && ` Complete up to ${when(data.complete_up_to)}.`}
        </p>
      )}
      <p>
        <Link to="/observers" params={{ campaign }}>
          Who observes, and what could be observed
        </Link>
      </p>
      {data.observers.length > 0 && <Observers list={data.observers} />}
      {data.witnesses.length > 0 && <Witnesses list={data.witnesses} />}
    </>
  );
}

function StateMark({ state }: { state: State }): ReactNode {
  const as = { complete: "finished", unknown: "running", missing: "failed" }[state];
  return <span className={`status status-${as}`}>{WORDS[state]}</span>;
}

function Observers({ list }: { list: Observer[] }): ReactNode {
  const rank = { missing: 0, unknown: 1, complete: 2 };
  const sorted = list.toSorted((a, b) => rank[a.state] - rank[b.state]);
  return (
    <section className="card" aria-label="Observers">
      <h2>Observers</h2>
      <div className="scroll flush">
        <table>
          <thead>
            <tr>
              <th scope="col">State</th>
              <th scope="col">Observer</th>
              <th scope="col">Host</th>
              <th scope="col">Campaign</th>
              <th scope="col" className="number">Events said</th>
              <th scope="col" className="number">Arrived</th>
              <th scope="col" className="number">Dropped</th>
              <th scope="col" className="number">Missing</th>
              <th scope="col">Last word</th>
            </tr>
          </thead>
          <tbody>
            {sorted.slice(0, SHOWN).map((o) => (
              <tr key={`${o.observer} ${o.campaign_id}`}>
                <td>
                  <StateMark state={o.state} />
                </td>
                <th scope="row" className="cut mono">
                  {o.observer}
                </th>
                <td>{o.host}</td>
                <td className="cut">{o.campaign_id}</td>
                <td className="number">{count(o.last_seq)}</td>
                <td className="number">{count(o.arrived)}</td>
                <td className={`number ${o.dropped ? "bad" : ""}`} title={o.dropped_ranges && show(o.dropped_ranges)}>
                  {count(o.dropped)}
                </td>
                <td className={`number ${o.missing ? "bad" : ""}`} title={o.missing_ranges && show(o.missing_ranges)}>
                  {count(o.missing)}
                </td>
                <td className="nowrap">
                  {o.checkpoint_at ? ago(o.checkpoint_at) : "never"}
                  {o.final ? ", ended" : ""}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {list.length > SHOWN && <p className="soft">{count(list.length - SHOWN)} more; all of the worst are shown.</p>}
    </section>
  );
}

function Witnesses({ list }: { list: Answer["witnesses"] }): ReactNode {
  return (
    <section className="card" aria-label="Witnesses">
      <h2>Witnesses</h2>
      <p className="soft">Independent counts, held against what is in the view.</p>
      <div className="scroll flush">
        <table>
          <thead>
            <tr>
              <th scope="col">State</th>
              <th scope="col">What was counted</th>
              <th scope="col">Of</th>
              <th scope="col" className="number">Expected</th>
              <th scope="col" className="number">Found</th>
              <th scope="col">Detail</th>
            </tr>
          </thead>
          <tbody>
            {list.slice(0, SHOWN).map((w) => (
              <tr key={`${w.what} ${w.of}`}>
                <td>
                  <StateMark state={w.state} />
                </td>
                <th scope="row">{w.what}</th>
                <td className="cut mono" title={w.of}>
                  {w.of}
                </td>
                <td className="number">{count(w.expected)}</td>
                <td className="number">{count(w.found)}</td>
                <td>{show(w.detail)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
