import { authorization } from "./auth";
import { decode, type Value } from "./values";

export type Status = "UNKNOWN" | "SUBMITTED" | "RUNNING" | "FINISHED" | "FAILED" | "CANCELLED";
export const STATUSES: Status[] = ["RUNNING", "SUBMITTED", "UNKNOWN", "FINISHED", "FAILED", "CANCELLED"];
export type Counts = Partial<Record<Status, number>>;

export interface Campaign {
  campaign_id: string;
  tasks: number;
  workflows: number;
  by_status: Counts;
  first_at?: number;
  last_at?: number;
}
export interface Workflow extends Omit<Campaign, "workflows"> {
  workflow_id: string;
  workflow_name: string;
  workflow_parent_id?: string;
  kind: string;
}
export type Row = Record<string, Value>;
export type Filter = Record<string, unknown>;
export interface Query {
  filter?: Filter;
  projection?: string[];
  aggregation?: [string, string][];
  sort?: [string, "ascending" | "descending"][];
  limit?: number;
  cursor?: string;
}
export interface Answer {
  rows: Row[];
  total: number;
  truncated: boolean;
  partial: boolean;
  next_cursor?: string;
  live?: boolean;
  warnings?: string[];
}
export interface Link {
  from: string;
  to: string;
  entity: string;
  evidence: string;
  confidence: number;
  field?: string;
  doubt?: string;
}
export interface GraphTask {
  id: string;
  task_id: string;
  kind: string;
  status: Status;
  campaign_id?: string;
  workflow_id?: string;
  workflow_name?: string;
  activity_id?: string;
  started_at?: number;
  ended_at?: number;
}
export interface Graph {
  ids: string[];
  direction: string;
  tasks: GraphTask[];
  entities: { entity: string; label?: string; used_by: string[]; generated_by: string[] }[];
  links: Link[];
  truncated: boolean;
}

// Failure is an answer that is none: what is wrong, where, and what would be valid.
export class Failure extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly field?: string,
    readonly suggestion?: string,
    readonly wantsToken = false,
  ) {
    super(message);
  }
}

export async function get<T>(path: string, params: Record<string, string | undefined> = {}, signal?: AbortSignal): Promise<T> {
  const search = new URLSearchParams();
  for (const [k, v] of Object.entries(params)) if (v !== undefined && v !== "") search.set(k, v);
  const query = search.toString();
  return ask<T>(path + (query ? `?${query}` : ""), { signal });
}

// getText asks for an answer as it is written: a page, or JSON to be saved.
export function getText(path: string, params: Record<string, string | undefined> = {}, signal?: AbortSignal): Promise<string> {
  const search = new URLSearchParams();
  for (const [k, v] of Object.entries(params)) if (v !== undefined && v !== "") search.set(k, v);
  return askText(`${path}?${search.toString()}`, { signal });
}

export function post<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> {
  return ask<T>(path, { method: "POST", body: body === undefined ? undefined : JSON.stringify(body), signal });
}

export function remove<T>(path: string): Promise<T> {
  return ask<T>(path, { method: "DELETE" });
}

export function runQuery(query: Query, signal?: AbortSignal): Promise<Answer> {
  return post<Answer>("query", query, signal);
}

export function request(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  const who = authorization();
  if (who) headers.set("Authorization", who);
  return fetch(`/api/v1/${path}`, { ...init, headers });
}

async function ask<T>(path: string, init: RequestInit): Promise<T> {
  return decode(await askText(path, init)) as T;
}

async function askText(path: string, init: RequestInit): Promise<string> {
  let response: Response;
  try {
    response = await request(path, init);
  } catch (e) {
    if (e instanceof DOMException && e.name === "AbortError") throw e;
    throw new Failure(0, "The collector does not answer. It may have ended; start it again, and this page goes on by itself.");
  }
  const text = await response.text();
  if (!response.ok) throw failure(response, text);
  return text;
}

function failure(response: Response, text: string): Failure {
  let error: { message?: string; field?: string; suggestion?: string } = {};
  try {
    error = (JSON.parse(text) as { error?: typeof error }).error ?? {};
  } catch {
    error.message = text.slice(0, 300);
  }
  const token = (response.headers.get("WWW-Authenticate") ?? "").startsWith("Bearer");
  return new Failure(response.status, error.message ?? `the server answered ${response.status}`, error.field, error.suggestion, token);
}
