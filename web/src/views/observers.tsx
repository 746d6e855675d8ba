import { useEffect, useState, type ReactNode } from "react";
import { get } from "../api";
import { useData } from "../data";
import { ago, count, plural } from "../format";
import { useController, useVersion } from "../live";
import { AddForm, Offers } from "../observers/add";
import { byHost, type Observer, type Told } from "../observers/model";
import { Registered } from "../observers/registered";
import { Link } from "../parts/link";
import { Empty, Problem, Waiting } from "../parts/states";
import { csv, download } from "../parts/download";
import { setParams, usePlace } from "../router";
import { show } from "../values";

const EVERY = 3000; // milliseconds: an observer may fail, or see something, without a change of the view
const HOSTS = 200;

// ObserversPage tells who observes, and lets add, drain and remove where the collector has a controller.
export function ObserversPage(): ReactNode {
  const { params } = usePlace();
  const campaign = params.get("campaign") ?? "";
  const version = useVersion(campaign);
  const { data, error } = useData(`told ${campaign}`, version, (s) => get<{ observers: Told[] }>("completeness", { campaign_id: campaign }, s));
  const controller = useController();
  if (error && !data) return <Problem error={error} />;
  if (!data) return <Waiting what="Asking who observes" />;
  return (
    <>
      <h1>Observers</h1>
      {controller ? <Controlled campaign={campaign} told={data.observers} version={version} /> : <Uncontrolled />}
      <Hosts told={data.observers} campaign={campaign} />
    </>
  );
}

function Uncontrolled(): ReactNode {
  return (
    <section className="card" aria-label="Registered">
      <h2>Registered while the collector runs</h2>
      <p className="soft">This collector takes no observers while it runs: its configuration has no taskcontroller extension, which laptop.yaml and mida up have. What its configuration observes is told below.</p>
    </section>
  );
}

function Controlled({ campaign, told, version }: { campaign: string; told: Told[]; version: number }): ReactNode {
  const { params } = usePlace();
  const [round, setRound] = useState(0);
  const again = (): void => setRound((n) => n + 1);
  useEffect(() => {
    const timer = setInterval(() => document.visibilityState === "visible" && again(), EVERY);
    return () => clearInterval(timer);
  }, []);
  const [changes, setChanges] = useState(0); // offers are looked for anew only then: to look costs something
  const { data, error } = useData("registered", version + round, async (s) => (await get<{ observers: Observer[] }>("observers", {}, s)).observers);
  const adding = params.get("add") === "1";
  const [said, setSaid] = useState("");
  const changed = (removed = ""): void => {
    setSaid(removed);
    again();
    setChanges((n) => n + 1);
  };
  const list = (data ?? []).filter((o) => !campaign || show(o.config.campaign) === campaign);
  const others = (data?.length ?? 0) - list.length;
  const save = (): void => download("observers.csv", new Blob([csv(["id", "kind", "state", "problem", "events", "refused", "last_event_at", "by", "config"], list.map((o) => ({ ...o })))], { type: "text/csv" }));
  return (
    <>
      <section className="card" aria-label="Registered">
        <div className="bar">
          <h2>
            Registered while the collector runs {list.length > 0 && <span className="soft small">{count(list.length)}</span>}
          </h2>
          <span className="right">
            <button type="button" aria-expanded={adding} onClick={() => setParams({ add: adding ? undefined : "1" })}>
              {adding ? "Close" : "Add an observer"}
            </button>
            <button type="button" onClick={save} disabled={list.length === 0}>
              CSV
            </button>
          </span>
        </div>
        {adding && <AddForm campaign={campaign} onAdded={changed} />}
        <p role="status" className="soft">
          {said}
        </p>
        {error && <Problem error={error} />}
        {!data && !error && <Waiting />}
        {data && list.length === 0 && <p className="soft">Nobody has registered an observer{campaign && <> for campaign <bdi>{campaign}</bdi></>}. Add one here, with mida observers add, or around a script: mida.campaign(observers=[…]).</p>}
        {list.length > 0 && <Registered list={list} told={told} onChange={changed} />}
        {others > 0 && (
          <p className="soft">
            <Link to="/observers">{plural(others, "other observer")}</Link> of other campaigns
          </p>
        )}
      </section>
      <section className="card" aria-label="Could be observed">
        <div className="bar">
          <h2>Could be observed</h2>
          <button type="button" onClick={() => setChanges((n) => n + 1)}>
            Look again
          </button>
        </div>
        <Offers campaign={campaign} round={changes} onAdded={changed} />
      </section>
    </>
  );
}

function Hosts({ told, campaign }: { told: Told[]; campaign: string }): ReactNode {
  if (told.length === 0)
    return (
      <Empty>
        <h2>Nobody has told anything yet</h2>
        <p>Every process that observes counts what it sees. As soon as one has told something{campaign && <> of campaign <bdi>{campaign}</bdi></>}, it is listed here by host.</p>
      </Empty>
    );
  const hosts = byHost(told);
  return (
    <section className="card" aria-label="Hosts">
      <h2>Who has told something, by host</h2>
      <p>
        {plural(told.length, "observer")} on {plural(hosts.length, "host")}.{" "}
        <Link to="/completeness" params={{ campaign }}>
          Is everything here?
        </Link>
      </p>
      <div className="scroll flush">
        <table aria-label="Hosts">
          <thead>
            <tr>
              <th scope="col">Host</th>
              <th scope="col" className="number">Observers</th>
              <th scope="col" className="number">Open</th>
              <th scope="col" className="number">With losses</th>
              <th scope="col" className="number">Events arrived</th>
              <th scope="col">Last word</th>
            </tr>
          </thead>
          <tbody>
            {hosts.slice(0, HOSTS).map((h) => (
              <tr key={h.host}>
                <th scope="row" className="cut">
                  <Link to="/tasks" params={{ campaign, q: `host = ${JSON.stringify(h.host)}` }}>
                    <bdi>{h.host || "(not told)"}</bdi>
                  </Link>
                </th>
                <td className="number">{count(h.observers)}</td>
                <td className="number">{count(h.open)}</td>
                <td className={`number ${h.missing ? "bad" : ""}`}>{count(h.missing)}</td>
                <td className="number">{count(h.arrived)}</td>
                <td>{h.last === undefined ? "never" : ago(h.last)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {hosts.length > HOSTS && <p className="soft">{count(hosts.length - HOSTS)} more hosts; those with losses are shown first.</p>}
    </section>
  );
}
