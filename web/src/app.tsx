import { lazy, Suspense, useEffect, useState, type ReactNode } from "react";
import { get, type Campaign, type Failure } from "./api";
import { onRefused, useData } from "./data";
import { startLive, useConnection, useVersion } from "./live";
import { Link } from "./parts/link";
import { Waiting } from "./parts/states";
import { go, hrefOf, usePlace } from "./router";
import { SignIn } from "./signin";
import { toggleTheme, useTheme } from "./theme";
import { Overview } from "./views/overview";

const Tasks = lazy(() => import("./views/tasks").then((m) => ({ default: m.Tasks })));
const TaskPage = lazy(() => import("./views/task").then((m) => ({ default: m.TaskPage })));
const Lineage = lazy(() => import("./views/lineage").then((m) => ({ default: m.Lineage })));
const Timeline = lazy(() => import("./views/timeline").then((m) => ({ default: m.Timeline })));
const Parameters = lazy(() => import("./views/parameters").then((m) => ({ default: m.Parameters })));
const Correlation = lazy(() => import("./views/correlation").then((m) => ({ default: m.Correlation })));
const Dossier = lazy(() => import("./views/dossier").then((m) => ({ default: m.Dossier })));
const NotesPage = lazy(() => import("./views/notes").then((m) => ({ default: m.NotesPage })));
const QueryPage = lazy(() => import("./views/query").then((m) => ({ default: m.QueryPage })));
const ObserversPage = lazy(() => import("./views/observers").then((m) => ({ default: m.ObserversPage })));
const Completeness = lazy(() => import("./views/completeness").then((m) => ({ default: m.Completeness })));

const VIEWS: { path: string; name: string; view: () => ReactNode }[] = [
  { path: "/", name: "Overview", view: () => <Overview /> },
  { path: "/tasks", name: "Tasks", view: () => <Tasks /> },
  { path: "/lineage", name: "Lineage", view: () => <Lineage /> },
  { path: "/timeline", name: "Timeline", view: () => <Timeline /> },
  { path: "/parameters", name: "Parameters", view: () => <Parameters /> },
  { path: "/correlation", name: "Correlation", view: () => <Correlation /> },
  { path: "/dossier", name: "Dossier", view: () => <Dossier /> },
  { path: "/notes", name: "Notes", view: () => <NotesPage /> },
  { path: "/query", name: "Query", view: () => <QueryPage /> },
  { path: "/observers", name: "Observers", view: () => <ObserversPage /> },
  { path: "/completeness", name: "Completeness", view: () => <Completeness /> },
];

export function App(): ReactNode {
  const [refusal, setRefusal] = useState<Failure>();
  useEffect(() => {
    onRefused((e) => setRefusal((old) => old ?? e));
  }, []);
  if (refusal) return <SignIn refusal={refusal} />;
  return <Shell />;
}

function Shell(): ReactNode {
  const place = usePlace();
  const campaign = place.params.get("campaign") ?? "";
  const page = VIEWS.find((v) => v.path === place.path);
  const id = /^\/task\/(.+)$/.exec(place.path)?.[1];
  useEffect(startLive, []);
  const title = page?.name ?? (id ? "Task" : "Not found");
  useEffect(() => {
    document.querySelector(".top nav [aria-current]")?.scrollIntoView({ inline: "nearest", block: "nearest" }); // where the bar is narrow
  }, [page]);
  useEffect(() => nameTab([title, campaign, "MIDA"]), [title, campaign]);
  return (
    <>
      <a className="skip" href="#main">
        Skip to content
      </a>
      <header className="top">
        <Link to="/" params={{ campaign }} className="brand" aria-label="MIDA, to the overview">
          <span aria-hidden="true" className="mark" />
          MIDA
        </Link>
        <nav aria-label="Views">
          {VIEWS.map((v) => (
            <Link key={v.path} to={v.path} params={{ campaign }} aria-current={v === page ? "page" : undefined}>
              {v.name}
            </Link>
          ))}
        </nav>
        <div className="tools">
          <CampaignChoice campaign={campaign} />
          <Connection />
          <ThemeButton />
        </div>
      </header>
      <main id="main" tabIndex={-1}>
        <Suspense fallback={<Waiting />}>
          {page ? page.view() : id ? <TaskPage key={id} id={decodeURIComponent(id)} /> : <NotFound path={place.path} />}
        </Suspense>
      </main>
    </>
  );
}

function nameTab(parts: string[]): void {
  document.title = parts.filter(Boolean).join(" · ");
}

function NotFound({ path }: { path: string }): ReactNode {
  return (
    <section>
      <h1>There is no view {path}</h1>
      <p>
        <Link to="/">To the overview</Link>
      </p>
    </section>
  );
}

function CampaignChoice({ campaign }: { campaign: string }): ReactNode {
  const { data } = useData("campaigns", useVersion(""), (s) => get<{ campaigns: Campaign[] }>("campaigns", {}, s));
  const ids = (data?.campaigns ?? []).map((c) => c.campaign_id).filter((id) => id !== "");
  if (campaign && !ids.includes(campaign)) ids.push(campaign);
  const choose = (id: string): void => {
    const path = location.pathname.replace(/^\/ui/, "");
    go(hrefOf(path.startsWith("/task/") ? "/" : path || "/", { campaign: id }));
  };
  return (
    <label className="choice">
      <span className="hidden">Campaign</span>
      <select value={campaign} onChange={(e) => choose(e.target.value)}>
        <option value="">All campaigns</option>
        {ids.map((id) => (
          <option key={id} value={id}>
            {id.length > 60 ? `${id.slice(0, 60)}…` : id}
          </option>
        ))}
      </select>
    </label>
  );
}

function Connection(): ReactNode {
  const connection = useConnection();
  const text = { live: "Live", connecting: "Connecting", lost: "Not live" }[connection];
  return (
    <span className={`connection connection-${connection}`} role="status" title="Whether this page follows the view as it changes">
      {text}
    </span>
  );
}

function ThemeButton(): ReactNode {
  const now = useTheme();
  const other = now === "dark" ? "light" : "dark";
  return (
    <button type="button" className="quiet" onClick={toggleTheme} aria-label={`Use ${other} colours`} title={`Use ${other} colours`}>
      {now === "dark" ? "☀" : "☾"}
    </button>
  );
}
