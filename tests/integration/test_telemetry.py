"""Tasks that use a known amount: what the view says they used."""

from __future__ import annotations

import pytest

from support.observed import demo_collector
from support.used import Use, run_known

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
    assert {u.coverage.partition(",")[0] for u in uses} == {"exclusive"}


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
    assert {u.coverage for u in own} == {"exclusive"}
    for u in uses:
        if u.work == "idle":
            assert u.recorded < 0.05, f"CPU time of a neighbour: {u}"
        if u.work == "hold":
            assert u.coverage.startswith("shared_by=2"), u
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
    assert {u.coverage.partition(",")[0] for u in uses} == {"exclusive"}
