"""Dask alone: many tasks, several clients."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from support.campaign import Running, script_environment
from support.collector import Collector
from support.compare import same
from support.ids import task_id
from support.observed import demo_collector, readable, unfinished
from support.poll import until_none
from support.view import read_links, read_view

SCRIPTS = Path(__file__).resolve().parent / "scripts"
TASKS = 2500


@pytest.fixture(scope="module")
def collector(tmp_path_factory):
    with demo_collector(tmp_path_factory.mktemp("dask")) as running:
        yield running


def run_script(collector: Collector, name: str, *arguments) -> dict:
    """Run a plain Dask script to its end and return what it noted."""
    target = collector.workdir / f"{name}.json"
    command = [sys.executable, SCRIPTS / f"{name}.py", target, *arguments]
    env = script_environment(collector.data / "journal")
    with Running(command, collector.workdir, env, collector.workdir / f"{name}.log") as script:
        script.finish(240)
    return json.loads(target.read_text())


def differences(collector: Collector, run: dict, check) -> list[str]:
    """Compare the tasks of one scheduler with what its script noted."""
    client = collector.client()
    tasks = {t["task_id"]: t for t in read_view(client, {"scope": run["scheduler"]}).tasks.values()}
    calls = {c["key"]: c for c in run["calls"]}
    found = [f"missing: {key}" for key in calls.keys() - tasks.keys()]
    found += [f"extra: {key}" for key in tasks.keys() - calls.keys()]
    for key in calls.keys() & tasks.keys():
        found += [f"{key}: {text}" for text in check(calls[key], tasks[key])]
    return found + unfinished(collector)


def test_five_thousand_tasks_in_two_maps(collector):
    """Every argument, reference, result, status and link of 5,000 tasks on two worker processes."""
    run = run_script(collector, "two_maps", TASKS)
    assert len(run["calls"]) == len({c["key"] for c in run["calls"]}) == 2 * TASKS
    results = {c["key"]: c["result"] for c in run["calls"]}

    def check(call: dict, task: dict):
        refs, used = {}, {}
        for argument, value in call["arguments"].items():
            if isinstance(value, dict):
                refs[argument] = value["$key"]
                got = task["used"].get(argument)
                value = results[value["$key"]]
                if same(got, {"$ref": {"key": refs[argument]}}):
                    value = got
            used[argument] = value
        result = call["result"]
        want = {
            "used": used,
            "refs": refs,
            "generated": result if isinstance(result, dict) else {"value": result},
            "activity_id": call["function"],
            "status": "FINISHED",
            "attempt": 1,
            "attempts": [],
            "workflow_id": run["client"],
            "campaign_id": "microscopy",
            "id": task_id("dask", run["scheduler"], call["key"]),
        }
        got = {**{"refs": {}, "attempts": []}, **task}
        for field, value in want.items():
            if not same(value, got.get(field)):
                yield f"{field}: want {value!r}, got {got.get(field)!r}"
        if not task.get("submitted_at", 0) <= task.get("started_at", 0) + 0.5 <= task.get("ended_at", 0) + 0.5:
            yield f"times: {[task.get(f) for f in ('submitted_at', 'started_at', 'ended_at')]}"

    left = until_none(lambda: differences(collector, run, check), 60)
    assert not left, readable(left)
    check_links(collector, run)
    tasks = read_view(collector.client(), {"scope": run["scheduler"]}).tasks.values()
    assert len({t["attributes"]["process.pid"] for t in tasks}) == 2


def check_links(collector: Collector, run: dict) -> None:
    """Links are the declared ones, though thousands of tasks share small numbers and words."""
    scheduler = run["scheduler"]
    want = {
        (task_id("dask", scheduler, v["$key"]), task_id("dask", scheduler, c["key"]))
        for c in run["calls"]
        for v in c["arguments"].values()
        if isinstance(v, dict)
    }
    assert len(want) == TASKS
    links = read_links(collector.client(), [target for _, target in want])
    assert {(link.source, link.target) for link in links} == want
    assert {link.evidence for link in links} == {"declared"}


def test_aggregates_over_all_of_them(collector):
    """An aggregation covers all matching tasks, not a page of them."""
    rows = collector.client().query(
        projection=["activity_id", "elapsed"],
        aggregation=[("avg", "elapsed")],
        filter={"activity_id": {"$in": ["scale", "describe"]}},
    )
    assert {r["activity_id"]: r["count"] for r in rows} == {"scale": TASKS, "describe": TASKS}


def test_two_clients_on_one_cluster(collector):
    """Two clients are two workflows; a task that both ask for has one document."""
    run = run_script(collector, "two_clients")

    def check(call: dict, task: dict):
        if task.get("workflow_id") != call["requested_by"][0]:
            yield f"workflow_id: want {call['requested_by'][0]}, got {task.get('workflow_id')}"
        want = call["requested_by"] if len(call["requested_by"]) > 1 else None
        if task.get("custom", {}).get("requested_by") != want:
            yield f"requested_by: want {want}, got {task.get('custom')}"
        if not same(task.get("generated"), {"value": call["result"]}):
            yield f"generated: want {call['result']!r}, got {task.get('generated')!r}"
        if task.get("status") != "FINISHED":
            yield f"status: {task.get('status')}"

    left = until_none(lambda: differences(collector, run, check), 60)
    assert not left, readable(left)
    tasks = {w["workflow_id"]: w["tasks"] for w in collector.client().workflows()}
    first, second = run["clients"]
    assert (tasks[first], tasks[second]) == (94, 50)
