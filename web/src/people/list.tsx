import type { ReactNode } from "react";
import { ago, when } from "../format";
import { entityKey } from "../lineage/model";
import { entityName } from "../parts/evidence";
import { Link } from "../parts/link";
import type { Said } from "./model";

// What is at hand of an annotation that says on what it is.
const NAMED = 5;

interface Props {
  list: Said[];
  targets?: boolean; // say on what each is
  label: string;
}

export function SaidItems({ list, targets = false, label }: Props): ReactNode {
  if (list.length === 0) return null;
  return (
    <ul className="said" aria-label={label}>
      {list.map((s) => (
        <li key={s.id}>
          <p className="who">
            <strong>
              <bdi>{s.by}</bdi>
            </strong>{" "}
            {s.by_source !== "authenticated" && (
              <span className="soft" title={s.by_source === "stated" ? "as the author said; nobody checked it" : "the user of the collector: the author gave no name"}>
                ({s.by_source})
              </span>
            )}{" "}
            {s.via && (
              <span className="soft">
                by <bdi>{s.via}</bdi>
              </span>
            )}{" "}
            <time className="soft" dateTime={new Date(s.at * 1000).toISOString()} title={when(s.at)}>
              {ago(s.at)}
            </time>
          </p>
          <Words said={s} />
          {targets && <On said={s} />}
        </li>
      ))}
    </ul>
  );
}

function Words({ said: s }: { said: Said }): ReactNode {
  return (
    <div className="words">
      {s.action !== undefined && (
        <strong>
          <bdi>{s.action}</bdi>
        </strong>
      )}
      {s.excluded !== undefined && <span className={s.excluded ? "chip excluded" : "chip"}>{s.excluded ? "excluded" : "included again"}</span>}
      {s.tags_added?.map((t) => (
        <span key={t} className="chip">
          <bdi>{t}</bdi>
        </span>
      ))}
      {s.tags_removed?.map((t) => (
        <del key={t} className="chip">
          <bdi>{t}</bdi>
        </del>
      ))}
      {s.note !== undefined && <bdi className="text">{s.note}</bdi>}
      {s.why !== undefined && (
        <span className="text">
          <span className="soft">because </span>
          <bdi>{s.why}</bdi>
        </span>
      )}
    </div>
  );
}

function Thing({ said: s }: { said: Said }): ReactNode {
  const name = <bdi title={s.entity}>{s.label ?? entityName(s.entity ?? "")}</bdi>;
  if (s.generated_by === undefined || s.entity === undefined) return name;
  return (
    <Link to="/lineage" params={{ id: s.generated_by, campaign: s.campaigns[0], direction: "both", depth: "1", sel: entityKey(s.entity) }}>
      {name}
    </Link>
  );
}

function On({ said: s }: { said: Said }): ReactNode {
  const tasks = s.tasks ?? [];
  const more = (s.tasks_total ?? tasks.length) - Math.min(NAMED, tasks.length);
  return (
    <p className="soft small on">
      on{" "}
      {s.of === "campaign" && (
        <>
          campaign{" "}
          <Link to="/" params={{ campaign: s.campaigns[0] }}>
            <bdi>{s.campaigns[0]}</bdi>
          </Link>
        </>
      )}
      {s.of === "entity" && <Thing said={s} />}
      {s.of === "tasks" &&
        tasks.slice(0, NAMED).map((t) => (
          <span key={t.id} className="item">
            <Link to={`/task/${encodeURIComponent(t.id)}`} params={{ campaign: t.campaign_id }}>
              <bdi>
                {t.activity_id} {t.task_id.slice(0, 60)}
              </bdi>
            </Link>
          </span>
        ))}
      {s.of === "tasks" && more > 0 && `, and ${more} more`}
    </p>
  );
}
