"""What the thread of a task used, as its worker counts it."""

from __future__ import annotations

import threading
import time
import types

import dask_tasks as t
import pytest
from dask_support import observed

from mida import dask_measure
from mida.dask_measure import Meter, telemetry
from mida.process import process_identity

pytestmark = [pytest.mark.dask, pytest.mark.skipif(process_identity() is None, reason="needs Linux")]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with observed(tmp_path_factory.mktemp("journal"), threads_per_worker=2) as o:
        yield o


def test_cpu_time_of_the_task_alone(cluster):
    quick = cluster.client.submit(t.burn, 0.2, pure=False)
    idle = cluster.client.submit(t.nap, 0.3, pure=False)
    assert cluster.client.gather([quick, idle])
    event = cluster.snapshot(quick.key, "FINISHED")
    delta = event["telemetry"]["delta"]
    assert 0.2 <= delta["thread.cpu.time"] < 0.25
    assert event["telemetry"]["coverage"]["thread.cpu.time"] == "exclusive"
    assert cluster.snapshot(idle.key, "FINISHED")["telemetry"]["delta"]["thread.cpu.time"] < 0.1


def test_how_many_tasks_ran_at_the_same_time(cluster, tmp_path):
    both = [cluster.client.submit(t.meet, str(tmp_path), i, 2, pure=False) for i in range(2)]
    assert cluster.client.gather(both) == [0, 1]
    for future in both:
        assert cluster.snapshot(future.key, "FINISHED")["attributes"]["mida.process.tasks"] == 2
    alone = cluster.client.submit(t.nap, 0.01, pure=False)
    alone.result()
    assert cluster.snapshot(alone.key, "FINISHED")["attributes"]["mida.process.tasks"] == 1


def test_memory_that_a_process_never_had_before(cluster):
    future = cluster.client.submit(t.fill, 300, pure=False)
    future.result()
    peak = cluster.snapshot(future.key, "FINISHED")["telemetry"]["peak"]["process.memory.high_water"]
    assert 300 << 20 < peak < 600 << 20
    again = cluster.client.submit(t.fill, 10, pure=False)
    again.result()
    assert "peak" not in cluster.snapshot(again.key, "FINISHED")["telemetry"]


def test_a_checkpoint_says_which_process_it_is(cluster):
    first = cluster.until(
        lambda events: [
            e["record"]["process"]
            for e in events
            if e["event"] == "mida.observer.checkpoint" and "process" in e["record"] and e["facet"] == "worker"
        ]
    )[0]
    assert first == cluster.client.submit(t.identity, pure=False).result() | {"thread": first["thread"]}
    assert not any("process" in e.get("record", {}) for e in cluster.events() if e.get("facet") == "scheduler")


def test_tasks_still_find_themselves(cluster):
    future = cluster.client.submit(t.own_key, pure=False)
    assert future.result() == future.key
    again = cluster.client.submit(t.leave_and_return, pure=False)
    assert again.result() == again.key
    assert "thread.cpu.time" in cluster.snapshot(again.key, "FINISHED")["telemetry"]["delta"]


def test_tasks_that_ran_before_are_left_alone(tmp_path):
    """A task that began before its cluster was observed finds itself, and counting begins when nothing runs."""
    go = tmp_path / "go"
    with observed(tmp_path / "journal", preload=False, config={"distributed.scheduler.preload": []}) as o:
        import mida.dask

        running = o.client.submit(t.own_key_later, str(go), pure=False)
        deadline = time.monotonic() + 60
        while not any(o.client.run(lambda dask_worker: list(dask_worker.active_threads)).values()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        o.client.register_plugin(mida.dask.SchedulerPlugin(campaign="c"))
        go.touch()
        assert running.result() == running.key
        assert "telemetry" not in o.snapshot(running.key, "FINISHED")

        def counted(_):
            future = o.client.submit(t.inc, 1, pure=False)
            future.result()
            return "telemetry" in o.snapshot(future.key, "FINISHED")

        assert o.until(counted)
        checkpoints = [e["record"] for e in o.events() if e["event"] == "mida.observer.checkpoint"]
        assert not any(c.get("errors") for c in checkpoints)


def fake_worker():
    state = types.SimpleNamespace(executing=set(), long_running=set(), actors={})
    return types.SimpleNamespace(active_threads={}, active_threads_lock=threading.Lock(), state=state)


def test_a_fault_ends_the_counting_and_nothing_else(monkeypatch):
    worker, faults = fake_worker(), []
    meter = Meter(worker, lambda error, where: faults.append((where, str(error))))
    active = worker.active_threads
    active[1] = "before"

    def broken(_):
        raise OSError("no counters")

    monkeypatch.setattr(dask_measure.resource, "getrusage", broken)
    del active[1]
    active[2] = "key"
    assert active == {2: "key"} and faults == [("measure", "no counters")]
    del active[2]
    assert active == {} and meter.take("key") is None and len(faults) == 1


def test_counts_of_tasks_that_nobody_asks_for_are_bounded(monkeypatch):
    monkeypatch.setattr(dask_measure, "_MOST", 10)
    worker = fake_worker()
    meter = Meter(worker, lambda *_: None)
    for key in range(50):
        worker.active_threads[1] = key
        del worker.active_threads[1]
        if key % 5 == 4:
            meter.take("unknown")
    assert len(meter.measured) <= 10 + 5


def test_at_most_as_many_tasks_as_threads():
    worker = fake_worker()
    meter = Meter(worker, lambda *_: None)
    active = worker.active_threads
    active[1] = "long"
    for key in ("a", "b", "c"):
        active[2] = key
        del active[2]
    del active[1]
    counts = {key: telemetry(meter.take(key), 2)[1] for key in ("long", "a", "b", "c")}
    assert counts == {"long": 2, "a": 2, "b": 2, "c": 2}
    active[3] = "alone"
    del active[3]
    assert telemetry(meter.take("alone"), 2)[1] == 1


def test_coroutines_count_and_say_that_they_are_in_the_event_loop(cluster):
    """They run at the same time as others, and no thread of theirs is counted."""
    both = [cluster.client.submit(t.coroutine_burn, 0.05, 0.5, pure=False) for _ in range(2)]
    cluster.client.gather(both)
    for future in both:
        event = cluster.snapshot(future.key, "FINISHED")
        assert event["attributes"]["mida.process.tasks"] == 2
        assert event["attributes"]["mida.process.event_loop"] is True
        assert "telemetry" not in event
    beside = [
        cluster.client.submit(t.coroutine_burn, 0.0, 0.6, pure=False),
        cluster.client.submit(t.burn, 0.2, pure=False),
    ]
    cluster.client.gather(beside)
    event = cluster.snapshot(beside[1].key, "FINISHED")
    assert event["attributes"]["mida.process.tasks"] == 2
    assert "mida.process.event_loop" not in event["attributes"]


def test_workers_that_share_a_process(tmp_path):
    """Of a cluster in one process, tasks of other workers count, and the program itself."""
    with observed(tmp_path / "journal", processes=False, n_workers=2, threads_per_worker=1) as o:
        both = [o.client.submit(t.meet, str(tmp_path), i, 2, pure=False) for i in range(2)]
        assert o.client.gather(both) == [0, 1]
        for future in both:
            assert o.snapshot(future.key, "FINISHED")["attributes"]["mida.process.tasks"] == 3
        alone = o.client.submit(t.nap, 0.01, pure=False)
        alone.result()
        assert o.snapshot(alone.key, "FINISHED")["attributes"]["mida.process.tasks"] == 2


def test_a_second_observer_counts_where_the_first_is_gone():
    worker = fake_worker()
    first = Meter(worker, lambda *_: None)
    assert not Meter(worker, lambda *_: None).on, "one is enough"
    first.stop()
    worker.active_threads[7] = "runs"
    second = Meter(worker, lambda *_: None)
    assert second.take("runs") is None
    del worker.active_threads[7]
    assert second.take("runs") is None, "what ran before is left alone"
    worker.active_threads[7] = "counted"
    del worker.active_threads[7]
    assert second.take("counted") is not None


def test_together():
    """Those that ran at a task's start and those that began since, and never more than ran at one time."""
    together, running = dask_measure.Together(), {}
    together.join(running)

    def begin(key):
        running[key] = 1
        return together.begin()

    a = begin("a")
    assert together.end(a) == 1
    b = begin("b")
    del running["b"]
    assert together.end(b) == 2
    for key in "cde":
        begin(key)
        del running[key]
    del running["a"]
    assert together.end(a) == 2
    assert together.end(begin("f")) == 1
    together.leave(running)
