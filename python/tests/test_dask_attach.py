"""An observer that comes to a cluster that works already."""

from __future__ import annotations

import asyncio
import time

import dask_tasks as t
import pytest
from dask_support import observed

import mida.dask

pytestmark = pytest.mark.dask


def test_what_was_there_before(tmp_path):
    go = tmp_path / "go"
    with observed(tmp_path / "journal", preload=False) as o:
        submit = o.client.submit
        done = submit(t.inc, 1, pure=False)
        failed = submit(t.boom, done, pure=False)
        below = submit(t.inc, failed, pure=False)
        assert below.exception() is not None
        running = submit(t.until, str(go), 5, pure=False)
        waiting = submit(t.inc, running, pure=False)
        never = submit(t.inc, waiting, pure=False)
        deadline = time.monotonic() + 60
        while not any(o.client.run(executing).values()):
            assert time.monotonic() < deadline
        o.client.register_plugin(mida.dask.SchedulerPlugin())

        event = o.snapshot(running.key, "RUNNING")
        assert event["used"] == {"path": str(go), "value": 5}
        event = o.snapshot(waiting.key, "SUBMITTED", "scheduler")
        assert event["dependencies"] == [running.key] and event["workflow_id"] == o.client.id
        assert event["workflow_name"] and "submitted_at" not in event  # nobody knows any more
        o.snapshot(done.key, "FINISHED", "scheduler")
        event = o.snapshot(failed.key, "FAILED", "scheduler")
        assert event["attributes"]["exception.message"] == "bad 2" and event["dependencies"] == [done.key]
        assert o.snapshot(below.key, "FAILED", "scheduler")["custom"]["caused_by"] == failed.key
        started = [e["workflow_id"] for e in o.events() if e["event"] == "mida.workflow.started"]
        assert started == [o.client.id]

        never.cancel()
        o.snapshot(never.key, "CANCELLED", "scheduler")
        go.touch()
        assert waiting.result() == 6
        event = o.snapshot(running.key, "FINISHED")
        assert event["generated"] == {"value": 5} and event["started_at"] < event["ended_at"]
        o.snapshot(waiting.key, "FINISHED")
        after = submit(t.inc, waiting, pure=False)
        assert after.result() == 7
        assert "submitted_at" in o.snapshot(after.key, "SUBMITTED", "scheduler")
    checkpoints = [e["record"] for e in o.events() if e["event"] == "mida.observer.checkpoint"]
    assert not any(c.get("errors") for c in checkpoints)


def executing(dask_worker):
    return [task.key for task in dask_worker.state.executing]


def test_a_closing_cluster_goes_on_while_the_journal_is_written(tmp_path):
    """Both versions of distributed wait for the hooks that end an observer; meanwhile their loop is free."""
    with observed(tmp_path, processes=False) as o:
        scheduler = o.cluster.scheduler
        (worker,) = o.cluster.workers.values()
        gaps = []

        def slow(recorder):
            close = recorder.close

            def closing(**options):
                time.sleep(0.5)
                close(**options)

            recorder.close = closing

        async def watch():
            last = time.monotonic()
            while True:
                await asyncio.sleep(0.01)
                gaps.append(time.monotonic() - last)
                last = time.monotonic()

        async def end():
            watching = asyncio.ensure_future(watch())
            begun = time.monotonic()
            await worker.plugin_remove("mida-worker")
            await scheduler.plugins["mida-scheduler"].stop()
            watching.cancel()
            return time.monotonic() - begun

        slow(worker.plugins["mida-worker"]._recorder)
        slow(scheduler.plugins["mida-scheduler"]._recorder)
        assert o.client.sync(end) >= 1.0
        assert len(gaps) > 10  # a loop that waited would have gone round a few times
    finals = [e for e in o.events() if e["event"] == "mida.observer.checkpoint" and e["record"]["final"]]
    assert len(finals) == 2
