"""What scheduler and workers say of themselves in their checkpoints, to be compared with each other."""

from __future__ import annotations

import types

import pytest
from dask_support import observed
from journal_reader import read_events

from mida import dask_witness

pytestmark = pytest.mark.dask


def inc(x):
    """Return the next number."""
    return x + 1


def fail(x):
    """Fail."""
    raise ValueError(x)


def checkpoints(events):
    return [e["record"] for e in events if e["event"] == "mida.observer.checkpoint"]


def last(events, key):
    """Return, by observer, the last witness that has a key."""
    found = {}
    for event in events:
        witness = event["event"] == "mida.observer.checkpoint" and event["record"].get("witness") or {}
        if key in witness:
            found[event["observer"]] = witness
    return list(found.values())


def test_scheduler_and_workers_count_the_same(tmp_path):
    with observed(tmp_path, n_workers=2) as o:
        first = o.until(lambda events: len(last(events, "worker")) == 2 and last(events, "workers"), timeout=9)
        assert len(first) == 1, "who is there is said at once, not after the first ten seconds"
        o.client.gather(o.client.map(inc, range(20)))
        bad = o.client.submit(fail, 1, retries=1)
        assert isinstance(bad.exception(), ValueError)
        pure = o.client.submit(inc, 5, key="again")
        pure.result()
        o.client.cancel(pure)
        o.until(lambda events: "again" not in o.cluster.scheduler.tasks)  # forgotten, so that it is another task
        del pure
        o.client.submit(inc, 5, key="again").result()
        scheduler_id = o.cluster.scheduler.id
    events = read_events(str(tmp_path))
    (scheduler,) = last(events, "workers")
    assert scheduler["scheduler"] == scheduler_id and "more" not in scheduler
    recorded = {}
    for event in events:
        if event["event"] == "mida.task.finished" and "attempt" in event:
            address = event["attributes"]["dask.worker.address"]
            recorded[address] = recorded.get(address, 0) + 1
    counted = {w["address"]: w["finished"] for w in scheduler["workers"]}
    assert counted == {**dict.fromkeys(counted, 0), **recorded} and sum(counted.values()) == 22
    assert {w["worker"] for w in last(events, "worker")} == set(counted)
    assert all(0 < w["since"] for w in scheduler["workers"])
    assert all(c["host"] for c in checkpoints(events))


def test_many_workers_are_summed_up(monkeypatch):
    monkeypatch.setattr(dask_witness, "LISTED", 2)
    workers = dask_witness.Workers(types.SimpleNamespace(id="S", workers=["a", "b"]))
    workers.came("c")
    workers.came("d")
    workers.finished["a"] = 1
    workers.finished["c"] = 5
    workers.finished["d"] = 6
    workers.went("a")
    record = workers.record()
    assert [w["address"] for w in record["workers"]] == ["a", "b"]
    assert record["workers"][0]["left"] >= record["workers"][0]["since"] > 0 == record["workers"][1]["left"]
    assert record["more"] == {"workers": 2, "finished": 11}
    workers.came("a")
    assert workers.record()["workers"][0]["left"] == 0, "it came back"
