"""Every fate that a Dask task can have, and what the journal says of it."""

from __future__ import annotations

import asyncio
import os
import pathlib
import signal
import time

import dask_tasks as t
import pytest
from dask_support import observed
from distributed import Client
from distributed.scheduler import KilledWorker
from journal_reader import final

pytestmark = pytest.mark.dask


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with observed(tmp_path_factory.mktemp("journal"), config={"distributed.scheduler.allowed-failures": 1}) as o:
        yield o


def wait_for(path, timeout=60.0):
    deadline = time.monotonic() + timeout
    while not pathlib.Path(path).exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.02)


def test_an_error(cluster):
    future = cluster.client.submit(t.boom, 3, pure=False)
    with pytest.raises(ValueError, match="bad 3"):
        future.result()
    event = cluster.snapshot(future.key, "FAILED")
    attributes = event["attributes"]
    assert event["used"] == {"x": 3} and "generated" not in event
    assert attributes["exception.type"] == attributes["error.type"] == "ValueError"
    assert attributes["exception.message"] == "bad 3"
    assert "raise ValueError" in attributes["exception.stacktrace"]
    cluster.snapshot(future.key, "FAILED", "scheduler")


def test_retries_are_attempts(cluster, tmp_path):
    future = cluster.client.submit(t.flaky, str(tmp_path / "seen"), retries=2, pure=False)
    assert future.result() == "done"
    cluster.snapshot(future.key, "FINISHED")
    cluster.snapshot(future.key, "SUBMITTED", "scheduler")  # another process, another flush
    attempts = cluster.attempts(future.key)
    numbers = sorted(a for a in attempts if a is not None)
    assert [attempts[n]["worker"]["status"] for n in numbers] == ["FAILED", "FINISHED"]
    assert attempts[None]["scheduler"]["status"] == "SUBMITTED"


def test_a_client_retries(cluster, tmp_path):
    future = cluster.client.submit(t.flaky, str(tmp_path / "seen"), pure=False)
    assert future.exception() is not None
    cluster.snapshot(future.key, "FAILED", "scheduler")
    future.retry()
    assert future.result() == "done"
    cluster.snapshot(future.key, "FINISHED")
    cluster.snapshot(future.key, "SUBMITTED", "scheduler")


def test_downstream_of_an_error(cluster):
    first = cluster.client.submit(t.boom, 4, pure=False)
    second = cluster.client.submit(t.inc, first, pure=False)
    third = cluster.client.submit(t.inc, second, pure=False)
    with pytest.raises(ValueError, match="bad 4"):
        third.result()
    for future in (second, third):
        event = cluster.snapshot(future.key, "FAILED", "scheduler")
        assert event["custom"]["caused_by"] == first.key
        assert event["attributes"]["error.type"] == "upstream_failed"
        assert event["attributes"]["exception.type"] == "ValueError"
        assert first.key in event["attributes"]["exception.message"]
        assert list(cluster.attempts(future.key)) == [None]  # never started


def test_visible_while_it_runs(cluster, tmp_path):
    go = tmp_path / "go"
    future = cluster.client.submit(t.until, str(go), 5, pure=False)
    event = cluster.snapshot(future.key, "RUNNING")
    assert event["event"] == "mida.task.started"
    assert event["used"] == {"path": str(go), "value": 5}
    assert "ended_at" not in event
    go.touch()
    assert future.result() == 5
    done = cluster.snapshot(future.key, "FINISHED")
    assert done["attempt"] == event["attempt"]
    assert abs(done["started_at"] - event["started_at"]) < 1e9


def test_a_short_task_is_one_event(cluster):
    for _ in range(20):  # one that a busy machine held up for a flush is announced, rightly
        future = cluster.client.submit(t.inc, 1, pure=False)
        future.result()
        cluster.snapshot(future.key, "FINISHED")
        mine = [e["event"] for e in cluster.events() if e.get("key") == future.key and e["facet"] == "worker"]
        if mine == ["mida.task.finished"]:
            return
    pytest.fail(f"20 short tasks had more than one event, the last {mine}")


def test_cancelled_while_it_ran(cluster, tmp_path):
    go = tmp_path / "go"
    future = cluster.client.submit(t.until, str(go), 5, pure=False)
    cluster.snapshot(future.key, "RUNNING")
    future.cancel()
    event = cluster.snapshot(future.key, "CANCELLED", "scheduler", attempt=None)
    assert "cancel" in event["custom"]["reason"]
    go.touch()
    event = cluster.snapshot(future.key, "CANCELLED", "worker")
    assert event["used"]["value"] == 5 and event["ended_at"] >= event["started_at"] and "generated" not in event


def test_cancelled_before_it_ran(cluster, tmp_path):
    go = tmp_path / "go"
    first = cluster.client.submit(t.until, str(go), 1, pure=False)
    second = cluster.client.submit(t.inc, first, pure=False)
    cluster.snapshot(second.key, "SUBMITTED", "scheduler")
    second.cancel()
    event = cluster.snapshot(second.key, "CANCELLED", "scheduler", attempt=None)
    assert event["ended_at"]
    go.touch()
    first.result()
    assert set(cluster.attempts(second.key)) == {None}


def test_rescheduled(cluster, tmp_path):
    future = cluster.client.submit(t.again, str(tmp_path / "seen"), pure=False)
    assert future.result() == 1
    cluster.snapshot(future.key, "FINISHED")
    attempts = cluster.attempts(future.key)
    numbers = sorted(a for a in attempts if a is not None)
    assert [attempts[n]["worker"]["status"] for n in numbers] == ["CANCELLED", "FINISHED"]


def test_scattered_data_is_an_entity(cluster):
    (future,) = cluster.client.scatter([[1, 2, 3]])
    result = cluster.client.submit(t.total, future, pure=False)
    assert result.result() == 6
    event = cluster.snapshot(result.key, "FINISHED")
    assert event["used"] == {"values": [1, 2, 3]} and event["refs"] == {"values": future.key}
    entity = cluster.until(
        lambda es: [e for e in es if e["event"] == "mida.entity.observed" and e["key"] == future.key]
    )
    assert entity[0]["record"]["type"] == "list"
    assert not cluster.attempts(future.key)
    assert cluster.snapshot(result.key, "SUBMITTED", "scheduler")["dependencies"] == []


def test_nested_tasks_belong_to_the_workflow(cluster):
    future = cluster.client.submit(t.nested, 3, pure=False)
    assert future.result() == 6
    event = cluster.snapshot(future.key, "FINISHED")
    assert event["activity"] == "nested"
    inner = cluster.until(
        lambda es: [
            e
            for e in es
            if e.get("activity") == "inc" and e["facet"] == "scheduler" and e["time"] > event["started_at"]
        ]
    )
    assert {e["workflow_id"] for e in inner} == {cluster.client.id}


def test_seceding_and_coroutines(cluster):
    for function in (t.seceding, t.coroutine):
        future = cluster.client.submit(function, 3, pure=False)
        assert future.result() == 3
        event = cluster.snapshot(future.key, "FINISHED")
        assert event["used"] == {"x": 3} and event["generated"] == {"value": 3}
        assert event["ended_at"] - event["started_at"] >= 9_000_000


def test_an_actor_is_made_by_a_task(cluster):
    future = cluster.client.submit(t.Counter, 5, actor=True)
    actor = future.result()
    assert actor.increment().result() == 6
    event = cluster.snapshot(future.key, "FINISHED")
    assert event["activity"] == "Counter" and event["used"] == {"n": 5}
    assert event["generated"] == {"value": {"$object": {"type": "dask_tasks.Counter"}}}


def test_two_clients_are_two_workflows(cluster):
    with Client(cluster.cluster.scheduler_address, set_as_default=False) as other:
        mine = cluster.client.submit(t.inc, 1001)
        theirs = other.submit(t.inc, 1002)
        assert mine.result() + theirs.result() == 2005
        assert cluster.snapshot(mine.key, "SUBMITTED", "scheduler")["workflow_id"] == cluster.client.id
        assert cluster.snapshot(theirs.key, "SUBMITTED", "scheduler")["workflow_id"] == other.id
        shared = other.submit(t.inc, 1001)
        assert shared.result() == 1002 and shared.key == mine.key
        both = cluster.until(
            lambda es: [e for e in es if e.get("key") == mine.key and "requested_by" in e.get("custom", {})]
        )
        assert both[-1]["custom"]["requested_by"] == [cluster.client.id, other.id]
        assert both[-1]["workflow_id"] == cluster.client.id
    started = {e["workflow_id"] for e in cluster.events() if e["event"] == "mida.workflow.started"}
    assert {cluster.client.id, other.id} <= started
    cluster.until(lambda es: [e for e in es if e["event"] == "mida.workflow.finished" and e["workflow_id"] == other.id])


def test_a_worker_that_dies(cluster, tmp_path):
    future = cluster.client.submit(t.die_once, str(tmp_path / "died"), pure=False)
    assert future.result(timeout=60) == "survived"
    cluster.snapshot(future.key, "FINISHED")
    cluster.snapshot(future.key, "FAILED", "scheduler")
    attempts = cluster.attempts(future.key)
    numbers = sorted(a for a in attempts if a is not None)
    assert len(numbers) == 2
    lost = attempts[numbers[0]]["scheduler"]
    assert lost["status"] == "FAILED" and lost["attributes"]["error.type"] == "worker_lost"
    assert attempts[None]["scheduler"]["status"] == "SUBMITTED"
    assert attempts[numbers[1]]["worker"]["status"] == "FINISHED"


def test_a_lost_result_that_nobody_wants_again(tmp_path):
    """The task has finished, and its result was got: that it is not computed again does not cancel it."""
    go = tmp_path / "go"
    with observed(tmp_path / "journal") as o:
        done = o.client.submit(t.inc, 1, pure=False)
        assert done.result() == 2
        key = done.key
        busy = o.client.submit(t.until, str(go), 1, pure=False)
        o.snapshot(busy.key, "RUNNING")
        o.client.run_on_scheduler(lose, key)
        done.release()
        o.until(lambda _: not o.client.run_on_scheduler(knows, key))
        go.touch()
        assert busy.result(timeout=60) == 1
        o.snapshot(busy.key, "FINISHED")
    attempts = o.attempts(key)
    (attempt,) = [a for a in attempts if a is not None]
    assert attempts[attempt]["worker"]["status"] == "FINISHED"
    assert attempts[None]["scheduler"]["status"] == "SUBMITTED"


def lose(key, dask_scheduler):
    """Lose a result, as with the worker that held it."""
    dask_scheduler.transitions({key: "released"}, "test")
    assert dask_scheduler.tasks[key].state == "processing"


def knows(key, dask_scheduler):
    """Return whether the scheduler knows a task."""
    return key in dask_scheduler.tasks


def test_a_task_that_kills_its_workers(cluster, tmp_path):
    future = cluster.client.submit(t.die, str(tmp_path / "deaths"), pure=False)
    with pytest.raises(KilledWorker):
        future.result(timeout=60)
    event = cluster.snapshot(future.key, "FAILED", "scheduler", attempt=None)
    assert event["attributes"]["error.type"] == "worker_lost"
    assert event["attributes"]["exception.type"].endswith("KilledWorker")
    attempts = cluster.attempts(future.key)
    deaths = (tmp_path / "deaths").read_text()
    assert len([a for a in attempts if a is not None]) == len(deaths) == 2
    assert all(attempts[a]["scheduler"]["status"] == "FAILED" for a in attempts)


def test_kill_loses_at_most_what_was_in_memory(tmp_path):
    with observed(tmp_path) as o:
        futures = o.client.map(t.inc, range(50), pure=False)
        o.client.gather(futures)
        o.snapshot(futures[-1].key, "FINISHED")
        (pid,) = o.client.run(os.getpid).values()
        os.kill(pid, signal.SIGKILL)
        assert o.client.submit(t.inc, 1, pure=False).result(timeout=60) == 2
        kept = {k for (k, a, f), e in final(o.events()).items() if f == "worker" and e["status"] == "FINISHED"}
        assert {f.key for f in futures} <= kept


def test_everything_is_written_when_the_cluster_stops(tmp_path):
    with observed(tmp_path, n_workers=2) as o:
        futures = o.client.map(t.inc, range(300), pure=False)
        assert sum(o.client.gather(futures)) == sum(range(300)) + 300
        keys = {f.key for f in futures}
    events = o.events()
    done = {k for (k, a, f), e in final(events).items() if f == "worker" and e["status"] == "FINISHED"}
    assert done == keys
    last = {}
    for event in events:
        if event["event"] == "mida.observer.checkpoint":
            last[event["observer"]] = event["record"]
    assert len(last) == 3
    for observer, record in last.items():
        assert record["final"] and record["dropped"] == [] and "errors" not in record
        assert sorted(e["seq"] for e in events if e["observer"] == observer and "seq" in e) == list(
            range(1, record["last_seq"] + 1)
        )


def test_tasks_that_a_closing_cluster_never_ran(tmp_path):
    go = tmp_path / "go"
    with observed(tmp_path / "journal") as o:
        first = o.client.submit(t.until, str(go), 1, pure=False)
        second = o.client.submit(t.inc, first, pure=False)
        o.snapshot(first.key, "RUNNING")
        keys = (first.key, second.key)
    for key in keys:
        assert o.snapshot(key, "CANCELLED", "scheduler", attempt=None)
    go.touch()


def test_in_process_cluster(tmp_path):
    with observed(tmp_path, processes=False) as o:
        assert o.client.submit(t.inc, 1, pure=False).result() == 2
    assert [e for e in o.events() if e.get("status") == "FINISHED"]


def test_ground_truth(tmp_path):
    with observed(tmp_path, n_workers=2) as o:
        a = o.client.map(t.inc, range(200), k=3, pure=False)
        b = o.client.map(t.add, a, a[::-1], pure=False)
        truth = {f.key: ({"x": i, "k": 3}, {}, i + 3) for i, f in enumerate(a)}
        for i, (f, value) in enumerate(zip(b, o.client.gather(b))):
            left, right = i + 3, 199 - i + 3
            truth[f.key] = ({"a": left, "b": right}, {"a": a[i].key, "b": a[199 - i].key}, value)
    newest = {k: e for (k, _, f), e in final(o.events()).items() if f == "worker"}
    assert set(newest) == set(truth)
    for key, (used, refs, value) in truth.items():
        event = newest[key]
        got = event["used"]
        for name, expected in used.items():
            assert got[name] in (expected, {"$ref": {"key": refs.get(name)}})
        assert event.get("refs", {}) == refs and event["generated"] == {"value": value}


def test_every_task_names_its_environment(tmp_path):
    with observed(tmp_path) as o:
        early = o.client.submit(t.inc, 1, pure=False)
        early.result()
        record = o.until(
            lambda es: [e for e in es if e["event"] == "mida.environment.observed" and e["facet"] == "worker"]
        )
        late = o.client.submit(t.inc, 2, pure=False)
        late.result()
    digest = record[0]["environment"]
    assert record[0]["record"]["packages"]["distributed"]
    for key in (early.key, late.key):
        named = {e.get("environment") for (k, _, f), e in final(o.events()).items() if k == key and f != "scheduler"}
        assert digest in named


def test_asynchronous_client(tmp_path):
    async def run(address):
        async with Client(address, asynchronous=True) as client:
            return await client.submit(t.inc, 1, pure=False)

    with observed(tmp_path) as o:
        assert asyncio.run(run(o.cluster.scheduler_address)) == 2
        o.until(lambda es: [e for e in es if e.get("status") == "FINISHED"])
