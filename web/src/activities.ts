import { runQuery, type Filter } from "./api";
import { asNumber, show } from "./values";

export interface ActivityChoice {
  activity: string;
  tasks: number;
}

// activityChoices are the activities, those with values that they used and generated first.
export async function activityChoices(campaign: string, signal: AbortSignal): Promise<ActivityChoice[]> {
  const filter: Filter = { ...(campaign ? { campaign_id: campaign } : {}), activity_id: { $exists: true } };
  const [all, both] = await Promise.all(
    [filter, { ...filter, used: { $exists: true }, generated: { $exists: true } }].map((f) =>
      runQuery({ filter: f, projection: ["activity_id"], aggregation: [["count", "id"]], sort: [["count", "descending"]], limit: 100 }, signal),
    ),
  );
  const good = new Map(both!.rows.map((r) => [show(r.activity_id), asNumber(r.count) ?? 0]));
  return all!.rows
    .map((r) => ({ activity: show(r.activity_id), tasks: asNumber(r.count) ?? 0 }))
    .toSorted((a, b) => (good.get(b.activity) ?? 0) - (good.get(a.activity) ?? 0));
}
