import type { ReactNode } from "react";
import { get } from "../api";
import { useData } from "../data";
import { ofTools } from "../filter";
import { duration, when } from "../format";
import { useVersion } from "../live";
import { buckets, type TimelineAnswer } from "../timeline/model";
import { Link } from "./link";

const PARTS = 120;
const HEIGHT = 46;

// Activity is how many tasks ran at once, over the life of the campaign.
export function Activity({ campaign }: { campaign: string }): ReactNode {
  const filter = JSON.stringify(ofTools({ campaign_id: campaign }));
  const { data } = useData(`activity ${campaign}`, useVersion(campaign), (s) =>
    get<TimelineAnswer>("timeline", { filter, by: "kind", buckets: String(PARTS), sample: "20000" }, s),
  );
  if (!data || data.total === 0) return <div className="activity" />;
  const width = (data.to! - data.from!) / PARTS;
  const sums = buckets(data, PARTS).reduce((sum, lane) => sum.map((v, i) => v + (lane[i] ?? 0)), new Array<number>(PARTS).fill(0));
  const scale = data.total / Math.max(1, data.looked_at); // of a sample
  const running = sums.map((s) => (s / width) * scale);
  const most = Math.max(...running);
  return (
    <Link to="/timeline" params={{ campaign }} className="activity" title="To the timeline">
      <svg viewBox={`0 0 ${PARTS} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={`Tasks at once, from ${when(data.from)} for ${duration(data.to! - data.from!)}: at most ${most.toFixed(1)} on average of a ${duration(width)} part`}>
        {running.map((r, i) => {
          const h = most > 0 ? (r / most) * (HEIGHT - 2) : 0;
          return r > 0 && <rect key={i} className="fill-activity" x={i} width="0.85" y={HEIGHT - Math.max(1, h)} height={Math.max(1, h)} />;
        })}
      </svg>
      <span className="soft small">
        {when(data.from)}
        <span>tasks at once, at most {most < 10 ? most.toFixed(1) : Math.round(most)}</span>
        {when(data.to)}
      </span>
    </Link>
  );
}
