"""Events for the tests of the query API."""

from __future__ import annotations


def task(key, **more):
    """Return an event that reports a finished task."""
    return {
        "event": "mida.task.finished",
        "time": 1_000_000_000,
        "kind": "test",
        "scope": "s",
        "key": key,
        "facet": "worker",
        "status": "FINISHED",
        "campaign": "c1",
        "workflow_id": "w1",
        "workflow_name": "search",
        "activity": "train",
        "started_at": 100_500_000_000,
        "ended_at": 101_500_000_000,
        **more,
    }
