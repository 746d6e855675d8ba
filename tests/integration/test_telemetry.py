"""Tasks that use a known amount: what the view says they used."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.campaign import Running, script_environment
from support.collector import Collector, binary
from support.memory_group import inside, memory_group
from support.observed import demo_collector
from support.poll import until
from support.used import Use, run_known

SCRIPTS = Path(__file__).resolve().parent / "scripts"
POWERLESS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")

WITHIN = 0.05


@pytest.fixture(scope="module")
def collector(tmp_path_factory):
    with demo_collector(tmp_path_factory.mktemp("telemetry")) as running:
        yield running


def wrong(uses: list[Use]) -> list[str]:
    """Name the numbers that are more than 5 % off; a task of 5 ms has half a millisecond of overhead besides."""
    return [f"{u.error:.1%} off: {u}" for u in uses if u.error > WITHIN and abs(u.recorded - u.true) > 0.0005]


def test_one_task_at_a_time(collector):
    """In a process that it has for itself, all that a task uses is its own, children and helping threads included."""
    cases = [
        {"work": "burn", "amount": 1.0},
        {"work": "burn", "amount": 0.005},
        {"work": "hold", "amount": 200},
        {"work": "write", "amount": 32},
        {"work": "spawn", "amount": 0.5},
        {"work": "helped", "amount": 0.6},
        {"work": "touch", "amount": 400},
    ]
    uses = run_known(collector, 1, 1, cases)
    assert not wrong(uses), "\n".join(wrong(uses))
    counted = [u for u in uses if u.metric != "process.memory.usage"]
    assert {u.coverage.partition(",")[0] for u in counted} == {"exclusive"}
    # Where no sample came between two tasks, their memory is of both, and says so.
    assert any(u.coverage.startswith("exclusive") for u in uses if u not in counted), uses


def test_what_a_result_cost(collector):
    """The sum along lineage counts what the task itself used; energy that nobody could read is unknown, not zero."""
    (use,) = run_known(collector, 1, 1, [{"work": "burn", "amount": 0.9}])  # no other test has this key
    client = collector.client()
    (task,) = client.query(filter={"task_id": use.key}, projection=["id"])
    cost = client.lineage(task["id"], cost=True)["cost"]["lineage"]
    assert cost["cpu_hours"] * 3600 == pytest.approx(use.true, rel=WITHIN)
    assert ("energy_joules" in cost) == (cost["without_energy"] < cost["tasks"])


def test_as_metrics(tmp_path):
    """The same samples leave through an exporter, under OpenTelemetry's names."""
    path = tmp_path / "samples.json"
    overlay = {
        "receivers": {"tasktelemetry": {"collection_interval": "500ms", "initial_delay": "100ms"}},
        "exporters": {"file": {"path": str(path), "flush_interval": "100ms"}},
        "service": {"pipelines": {"metrics": {"receivers": ["tasktelemetry"], "exporters": ["file"]}}},
    }

    def seen() -> dict[str, list[float]]:
        found: dict[str, list[float]] = {}
        for line in path.read_text().splitlines():
            for resource in json.loads(line).get("resourceMetrics", []):
                for metric in resource["scopeMetrics"][0]["metrics"]:
                    points = (metric.get("sum") or metric["gauge"])["dataPoints"]
                    found.setdefault(metric["name"], []).extend(point["asDouble"] for point in points)
        return found

    with demo_collector(tmp_path, overlay) as running:
        run_known(running, 1, 1, [{"work": "burn", "amount": 2.0}])
        names = {"system.cpu.utilization", "system.memory.usage", "process.cpu.time", "process.memory.usage"}
        found = until(lambda: (names <= seen().keys()) and seen(), 60, "metrics")
        assert max(found["process.cpu.time"]) > 1
        assert 0 < max(found["system.cpu.utilization"]) <= 1


def test_two_tasks_in_one_process(collector):
    """Of tasks that share a process each has its own CPU time and I/O; what cannot be told apart says so."""
    cases = [
        {"work": "burn", "amount": 1.0, "beside": "idle"},
        {"work": "burn", "amount": 0.6},
        {"work": "write", "amount": 32, "beside": "idle"},
        {"work": "hold", "amount": 100},
    ]
    uses = run_known(collector, 1, 2, cases)
    own = [u for u in uses if u.work in ("burn", "write")]
    assert not wrong(own), "\n".join(wrong(own))
    assert {u.coverage for u in own} <= {"exclusive", "thread"}, own
    for u in uses:
        if u.work == "idle":
            assert u.recorded < 0.05, f"CPU time of a neighbour: {u}"
        if u.work == "hold":
            assert u.coverage.startswith("shared_by="), u
            assert u.recorded >= 0.95 * u.true, u


def test_two_processes(collector):
    """What one worker's tasks use is not another's."""
    cases = [
        {"work": "burn", "amount": 1.0, "beside": "idle"},
        {"work": "hold", "amount": 150, "beside": "idle"},
    ]
    uses = run_known(collector, 2, 1, cases)
    busy = [u for u in uses if u.work != "idle"]
    assert not wrong(busy), "\n".join(wrong(busy))
    assert all(u.recorded < 0.05 for u in uses if u.work == "idle")


@pytest.mark.namespaces
def test_in_a_pid_namespace_of_its_own(collector):
    """Numbers of processes inside a container are not those that the collector sees."""
    cases = [
        {"work": "burn", "amount": 1.0},
        {"work": "hold", "amount": 200},
        {"work": "spawn", "amount": 0.5},
    ]
    uses = run_known(collector, 1, 1, cases, prefix=("unshare", "--pid", "--fork", "--mount-proc"))
    assert not wrong(uses), "\n".join(wrong(uses))
    assert {u.coverage.partition(",")[0] for u in uses if u.metric != "process.memory.usage"} == {"exclusive"}


def eat(collector: Collector, mebibytes: int, prefix: tuple = ()) -> dict[str, dict]:
    """Run the program that eats memory, and return its tasks as soon as their errors are known."""
    target = collector.workdir / f"eat-{mebibytes}.json"
    command = [*prefix, sys.executable, SCRIPTS / "eat_memory.py", target, mebibytes]
    environment = script_environment(collector.data / "journal")
    with Running(command, collector.workdir, environment, target.with_suffix(".log")) as script:
        script.finish(240)
    run = json.loads(target.read_text())
    client = collector.client()

    def failed() -> dict | None:
        rows = client.query(filter={"scope": run["scheduler"], "error.type": {"$exists": True}})
        found = {row["task_id"]: row for row in rows}
        return found if found.keys() == run["errors"].keys() else None

    return until(failed, 60, "the errors")


def test_an_error_of_a_gpu_library_is_known_by_its_cause(collector):
    """However a library says it, a query finds it by one word; the class of the exception stays."""
    task = eat(collector, 0)["gpu"]
    assert task["error"]["type"] == "gpu_out_of_memory"
    assert task["attributes"]["exception.type"] == "RuntimeError"


@pytest.mark.namespaces
def test_a_worker_that_the_kernel_kills_for_want_of_memory(collector):
    """The task says so, though nobody in the cluster knows it, and how much memory its process had."""
    with memory_group("500M") as group:
        if group is None:
            pytest.skip("no memory cgroup of version 1 can be made here")
        task = eat(collector, 3000, inside(group))["eater"]
    client = collector.client()
    task = until(
        lambda: (client.query(filter={"id": task["id"], "error.type": "oom_killed"}) or [None])[0],
        60,
        "the cause of the worker's end",
    )
    assert task["status"] == "FAILED"
    assert task["attributes"]["exception.type"].endswith("KilledWorker")
    assert f"in the cgroup {str(group).removeprefix('/sys/fs/cgroup/memory')} within" in task["error"]["evidence"]
    assert 200 << 20 < task["telemetry_peak"]["process.memory.usage"] < 520 << 20
    assert task["telemetry_delta"]["container.memory.oom_kills"] >= 1


@pytest.fixture
def hidden(tmp_path):
    """A collector without privileges, for whom /proc hides the processes of all who have more (hidepid=2)."""
    # Its group may see all, which is that of root unless said.
    enter = f'mount -t proc -o hidepid=2,gid=65534 proc /proc && exec {" ".join(POWERLESS)} "$@"'
    program = tmp_path / "otelcol-mida"
    program.write_text(f"#!/bin/sh\nexec unshare --mount sh -c '{enter}' sh {binary()} \"$@\"\n")
    program.chmod(0o755)
    looks = subprocess.run(["unshare", "--mount", "sh", "-c", enter, "sh", "ls", "-d", "/proc/1"], capture_output=True)
    assert looks.returncode != 0, "process 1 is not hidden"
    with demo_collector(tmp_path, program=program) as running:
        yield running


@pytest.mark.namespaces
def test_under_hidepid(hidden):
    """Who may see only own processes measures those as well."""
    cases = [{"work": "burn", "amount": 1.0}, {"work": "hold", "amount": 200}, {"work": "spawn", "amount": 0.5}]
    uses = run_known(hidden, 1, 1, cases, prefix=POWERLESS)
    assert not wrong(uses), "\n".join(wrong(uses))
    assert {u.coverage.partition(",")[0] for u in uses if u.metric != "process.memory.usage"} == {"exclusive"}


@pytest.mark.namespaces
def test_a_process_that_may_not_be_read(hidden):
    """Then there is what its worker counted itself, and it says so."""
    uses = run_known(hidden, 1, 1, [{"work": "burn", "amount": 0.5}, {"work": "write", "amount": 16}])
    assert not wrong(uses), "\n".join(wrong(uses))
    assert {u.coverage for u in uses} == {"thread"}
