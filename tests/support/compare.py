"""Compare the view with the ground truth: nothing missing, nothing extra, values and types equal."""

from __future__ import annotations

import math
import re
from typing import Any

from .truth import Call, Image, Run, Truth, seconds
from .view import View

# What a clock, a hook and a loaded machine may put between the script's note of a call and the scheduler's.
SLACK = 30.0
MILLISECOND = 0.0011
# Dask shifts a task's times by its guess of the scheduler's clock, half the way of one heartbeat, and a heartbeat may
# change that while the task runs; on a busy machine a heartbeat takes long.
DASK_CLOCK = 0.5
CAUSES = {"MemoryError": "out_of_memory"}
_MISSING = object()


def same(a: Any, b: Any) -> bool:
    """Say whether two values are equal, and of equal types all the way down; NaN equals NaN."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(v, b[k]) for k, v in a.items())
    if isinstance(a, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return a == b or (isinstance(a, float) and math.isnan(a) and math.isnan(b))


class Differences(list):
    """Readable differences, each with the task that it is about."""

    def expect(self, of: str, field: str, want: Any, got: Any) -> None:
        """Note a difference when two values are not the same."""
        if not same(want, got):
            self.append(f"{of}: {field}: want {_show(want)}, got {_show(got)}")

    def within(self, of: str, field: str, low: float, high: float, got: Any) -> None:
        """Note a difference when a time lies outside a range."""
        if not isinstance(got, (int, float)) or not low <= got <= high:
            self.append(f"{of}: {field}: want {low:.6f} to {high:.6f}, got {_show(got)}")


def _show(value: Any) -> str:
    return "nothing" if value is _MISSING else f"{value!r} ({type(value).__name__})"[:400]


def identify(truth: Truth, view: View) -> tuple[dict[tuple, dict], Differences]:
    """Pair what happened with the tasks of the view; the differences tell what has no partner."""
    differences = Differences()
    pairs: dict[tuple, dict] = {}
    left = dict(view.tasks)
    for name in [*truth.calls, *truth.runs]:
        kind, scope, key = name
        found = [t for t in left.values() if t["kind"] == kind and t["task_id"] == key and t.get("scope", "") == scope]
        _pair(name, found, pairs, left, differences)
    for name, image in truth.images.items():
        found = [
            t
            for t in left.values()
            if t["kind"] == "log"
            and t.get("used", {}).get("number") == image.record["number"]
            and abs(t.get("started_at", 0) - image.logged_start) < MILLISECOND
        ]
        _pair(name, found, pairs, left, differences)
    for task in left.values():
        differences.append(
            f"extra task: {task['kind']} {task.get('activity_id')} {task['task_id']} of {task.get('scope')}"
        )
    return pairs, differences


def _pair(name: tuple, found: list[dict], pairs: dict[tuple, dict], left: dict, differences: Differences) -> None:
    if len(found) != 1:
        differences.append(f"{' '.join(map(str, name))}: want one task, found {len(found)}")
    for task in found[:1]:
        pairs[name] = left.pop(task["id"])


def compare_tasks(truth: Truth, view: View, campaign: str | None) -> Differences:
    """Compare every Dask call, MLflow run and image with its task."""
    pairs, differences = identify(truth, view)
    for name, call in truth.calls.items():
        if name in pairs:
            _compare_call(call, pairs[name], truth, differences)
    for name, run in truth.runs.items():
        if name in pairs:
            _compare_run(run, pairs[name], pairs, differences)
    for name, image in truth.images.items():
        if name in pairs:
            _compare_image(image, pairs[name], differences)
    for task in pairs.values():
        differences.expect(task["task_id"], "campaign_id", campaign, task.get("campaign_id"))
    _compare_scopes(truth, pairs, differences)
    return differences


def _compare_scopes(truth: Truth, pairs: dict[tuple, dict], differences: Differences) -> None:
    """Each run of the log's script is a run of its own, and no task mixes two."""
    scopes: dict[str, set] = {}
    for name in truth.images:
        if name in pairs:
            scopes.setdefault(name[1], set()).add(pairs[name].get("scope"))
    for run, found in scopes.items():
        if len(found) != 1:
            differences.append(f"the run of the log that began at {run} became several: {found}")
    if len(set().union(*scopes.values())) != len(scopes):
        differences.append(f"runs of the log became one: {scopes}")


# ---- Dask ----------------------------------------------------------------------------------------------------------


def _compare_call(call: Call, task: dict, truth: Truth, d: Differences) -> None:
    record, of = call.record, f"dask {call.record['key']}"
    used = task.get("used", {})
    d.expect(of, "activity_id", record["function"], task.get("activity_id"))
    d.expect(of, "names of the arguments", sorted(record["arguments"]), sorted(used))
    refs = {}
    for argument, value in record["arguments"].items():
        got = used.get(argument, _MISSING)
        if not (isinstance(value, dict) and "$key" in value):
            d.expect(of, f"used.{argument}", value, got)
            continue
        key = refs[argument] = value["$key"]
        source = truth.calls["dask", call.scheduler, key].record
        if not same(got, {"$ref": {"key": key}}):
            d.expect(of, f"used.{argument} (result of {key})", source.get("result"), got)
    d.expect(of, "refs", refs, task.get("refs", {}))
    finished = record["status"] == "finished"
    d.expect(of, "status", "FINISHED" if finished else "FAILED", task.get("status"))
    d.expect(of, "generated", record["result"] if finished else {}, task.get("generated", {}))
    attempts = 1 if finished else record["retries"] + 1
    d.expect(of, "attempt", attempts, task.get("attempt"))
    earlier = [a.get("status") for a in task.get("attempts", [])]
    d.expect(of, "status of earlier attempts", ["FAILED"] * (attempts - 1), earlier)
    if not finished:
        error, exception = task.get("error", {}), record["exception"]
        if exception == "KilledWorker":  # the scheduler's own words; the text for the client is made there
            last = re.search(r"was (\S+)\. Inspecting", record["message"])
            d.expect(of, "the last worker", last and last[1], error.get("message", "").rpartition(" ")[2])
            d.expect(of, "exception.type", exception, task["attributes"].get("exception.type", "").rpartition(".")[2])
            return
        d.expect(of, "error.type", CAUSES.get(exception, exception), error.get("type"))
        d.expect(of, "error.message", record["message"], error.get("message"))
        if "Traceback" not in error.get("stacktrace", "") and "File " not in error.get("stacktrace", ""):
            d.append(f"{of}: error.stacktrace: want the traceback, got {error.get('stacktrace')!r}")
    d.expect(of, "workflow_id", call.client, task.get("workflow_id"))
    if "search" not in task.get("workflow_name", ""):
        d.append(f"{of}: workflow_name: want the script, got {task.get('workflow_name')!r}")
    for field in ("host", "user", "submitted_at", "started_at", "ended_at"):
        if not task.get(field):
            d.append(f"{of}: {field} is missing")
    submitted = seconds(record["submitted"])
    d.within(of, "submitted_at", submitted - SLACK, submitted + SLACK, task.get("submitted_at"))
    for use in call.read + call.written:
        # Noted inside the task; the executing attempt is the last one.
        end = task.get("ended_at", 0) + DASK_CLOCK
        if use.at > end or (finished and use.at < task.get("started_at", math.inf) - DASK_CLOCK):
            d.append(f"{of}: {use.path} was touched at {use.at:.6f}, outside the task's times")


# ---- MLflow --------------------------------------------------------------------------------------------------------


def _compare_run(run: Run, task: dict, pairs: dict[tuple, dict], d: Differences) -> None:
    record, of = run.record, f"mlflow {run.record['name']} {run.record['run_id']}"
    used, generated = dict(task.get("used", {})), dict(task.get("generated", {}))
    inputs = used.pop("inputs", [])
    d.expect(of, "used", record["params"], used)
    want = [
        {
            "name": i["name"],
            "digest": i["digest"],
            "source": i["absolute_path"],
            "context": "testing",
        }
        for i in record["inputs"]
    ]
    got = [{k: i.get(k) for k in ("name", "digest", "source", "context")} for i in inputs]
    d.expect(of, "used.inputs", sorted(want, key=str), sorted(got, key=str))
    history = record.get("history") or {k: [v] for k, v in record["metrics"].items()}
    d.expect(of, "generated.metrics_history", _summary(history), _pop_summary(generated))
    artifacts = {(a["artifact"], a["absolute_path"]) for a in record["artifacts"]}
    shown = {(a.get("artifact"), a.get("path")) for a in generated.pop("artifacts", [])}
    if artifacts != shown:
        d.append(f"{of}: generated.artifacts: want {sorted(artifacts)}, got {sorted(shown, key=str)}")
    d.expect(of, "generated.run_id", record["run_id"], generated.pop("run_id", None))
    generated.pop("artifact_uri", None)
    d.expect(of, "metrics", record["metrics"], generated)
    d.expect(of, "status", record["status"], task.get("status"))
    custom = task.get("custom", {})
    d.expect(of, "run_name", record["name"], custom.get("run_name"))
    d.expect(of, "tags", record["tags"], custom.get("tags", {}))
    parent = record.get("parent_run_id")
    want_parent = pairs.get(("mlflow", "", parent), {}).get("id") if parent else None
    d.expect(of, "parent", want_parent, task.get("parent"))
    for field in ("started_at", "ended_at"):
        if not task.get(field):
            d.append(f"{of}: {field} is missing")


def _summary(history: dict[str, list]) -> dict:
    return {
        key: {"first": v[0], "last": v[-1], "min": min(v), "max": max(v), "count": len(v)} for key, v in history.items()
    }


def _pop_summary(generated: dict) -> dict:
    fields = ("first", "last", "min", "max", "count")
    summary = generated.pop("metrics_history", {})
    return {key: {f: v.get(f) for f in fields} for key, v in summary.items()}


# ---- the microscope ------------------------------------------------------------------------------------------------


def _compare_image(image: Image, task: dict, d: Differences) -> None:
    record, of = image.record, f"image {image.record['number']} of round {image.record['round']}"
    used, generated = task.get("used", {}), task.get("generated", {})
    d.expect(of, "activity_id", "acquire_image", task.get("activity_id"))
    d.expect(of, "workflow_name", "acquire", task.get("workflow_name"))
    for field in ("round", "seed"):
        d.expect(of, f"used.{field}", image.run[field], used.get(field))
    d.expect(of, "used.number", record["number"], used.get("number"))
    position = [round(float(x), 2) for x in record["position"]]
    d.expect(of, "used.position", position, used.get("position"))
    d.expect(of, "used.parameters", record["parameters"], used.get("parameters"))
    saved = record["status"] == "saved"
    d.expect(of, "status", "FINISHED" if saved else "FAILED", task.get("status"))
    want = {"path": record["path"], **record["values"]} if saved else {}
    d.expect(of, "generated", want, generated)
    if not saved:
        d.expect(of, "error.message", "beam blanker did not open", task.get("error", {}).get("message"))
    read = image.run.get("read")
    chosen = used.get("evaluation_run_id", used.get("chosen_by"))
    d.expect(of, "the evaluation that chose", read["run_id"] if read else None, chosen)
    for field, logged, noted in (
        ("started_at", image.logged_start, record["started"]),
        ("ended_at", image.logged_end, record["ended"]),
    ):
        d.within(of, field, logged - MILLISECOND, logged + MILLISECOND, task.get(field))
        # The script logs first and notes then.
        d.within(of, field, seconds(noted) - SLACK, seconds(noted) + MILLISECOND, task.get(field))
