"""The tasks of the benchmark of stores: what Dask's observers would have told of them, written before the clock starts.

Nine of ten tasks read or write a file, whose paths become claims: a task in ten prepares a dataset, eight train a model
on it, one evaluates a model. Each has ten used and five generated values.
"""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SCOPE = "Scheduler-bench"
WORKERS = 4
START = 1_790_000_000  # seconds since 1970: the first submission
RECORD = 100  # events in a record of the journal, some 64 KiB as the recorder has them


class Tasks:
    """All tasks of a size; the same at every call, so that everyone gets the same work."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __iter__(self) -> Iterator[dict[str, Any]]:
        rng = random.Random(17)
        for n in range(self.count):
            yield _task(n, rng)


def _task(n: int, rng: random.Random) -> dict[str, Any]:
    group, role = divmod(n, 10)
    dataset = f"/data/lattice/set_{group:06d}.npz"
    activity = "prepare" if role == 0 else "evaluate" if role == 9 else "train"
    used = {
        "layers": rng.randrange(1, 9),
        "learning_rate": rng.random(),
        "optimizer": rng.choice(("sgd", "adam", "rmsprop")),
        "epochs": rng.choice((5, 10, 20)),
        "batch_size": 2 ** rng.randrange(4, 9),
        "seed": n,
        "dropout": rng.random() / 2,
        "momentum": rng.random(),
        "activation": rng.choice(("relu", "tanh")),
        "dataset": dataset if activity == "train" else f"raw {group}",
    }
    generated = {
        "loss": rng.random(),
        "accuracy": rng.random(),
        "steps": rng.randrange(100, 10_000),
        "seconds": rng.random() * 30,
        "converged": rng.random() < 0.9,
    }
    submitted = START + n * 1e-3
    started = submitted + rng.random()
    task = {
        "key": f"{activity}-{n:08d}",
        "activity": activity,
        "workflow": f"search-{n % 20}",
        "worker": n % WORKERS,
        "used": used,
        "generated": generated,
        "paths": {},
        "dependencies": [],
        "submitted_at": int(submitted * 1e9),
        "started_at": int(started * 1e9),
        "ended_at": int((started + 1 + rng.random()) * 1e9),
    }
    if activity == "prepare":
        generated["dataset"] = dataset
    elif activity == "train":
        generated["model"] = f"/data/models/model_{n:08d}.pkl"
        task["dependencies"] = [f"prepare-{group * 10:08d}"]
    else:
        used["model"] = f"/data/models/model_{n - 1:08d}.pkl"
        task["dependencies"] = [f"train-{n - 1:08d}"]
    for values in (used, generated):
        for value in values.values():
            if isinstance(value, str) and value.startswith("/"):
                # A file is older than its use, and a result as old as the end of its task.
                at = submitted - 60 if values is used else started + 1
                task["paths"][value] = {"real": value, "mtime": int(at * 1e9), "size": 1 << 20}
    return task


# ---- journals --------------------------------------------------------------------------------------------------------


def write_journals(tasks: Tasks, events: int, campaign: str, directory: Path) -> None:
    """Write what a scheduler (of 3 events a task) and its workers tell, each in segments of its own."""
    scheduler = _Observer("scheduler", campaign, directory) if events == 3 else None
    workers = [_Observer(f"worker-{i}", campaign, directory) for i in range(WORKERS)]
    for task in tasks:
        at, names = task["submitted_at"], {"key": task["key"], "activity": task["activity"]}
        workflow = {"workflow_id": task["workflow"], "workflow_name": task["workflow"]}
        if scheduler:
            scheduler.put(
                {
                    **names,
                    **workflow,
                    "event": "mida.task.submitted",
                    "time": at,
                    "status": "SUBMITTED",
                    "submitted_at": at,
                    "dependencies": task["dependencies"],
                }
            )
        ran = {**names, "attempt": 1, "started_at": task["started_at"], "used": task["used"]}
        if task["paths"]:
            ran["paths"] = task["paths"]
        if not scheduler:
            ran |= workflow
        worker = workers[task["worker"]]
        if events == 3:
            worker.put({**ran, "event": "mida.task.started", "time": task["started_at"], "status": "RUNNING"})
        ended = {"time": task["ended_at"], "ended_at": task["ended_at"], "generated": task["generated"]}
        worker.put({**ran, **ended, "event": "mida.task.finished", "status": "FINISHED"})
    for observer in [*workers, *([scheduler] if scheduler else [])]:
        observer.close()


class _Observer:
    """The journal of one process of the cluster."""

    def __init__(self, name: str, campaign: str, directory: Path) -> None:
        from mida.journal import Writer

        role = name.partition("-")[0]
        defaults: dict[str, Any] = {
            "kind": "dask",
            "scope": SCOPE,
            "execution": SCOPE,
            "facet": role,
            "campaign": campaign,
            "resource": {"service.name": f"dask-{role}"},
            "attributes": {"user.name": "ada"},
        }
        if role == "worker":
            defaults["resource"]["host.name"] = f"node-{name}"
        self._writer = Writer(str(directory), f"dask-{name}.bench", defaults, directory_bytes=1 << 40)
        self._batch: list[dict[str, Any]] = []
        self._seq = 0

    def put(self, event: dict[str, Any]) -> None:
        self._seq += 1
        event["seq"] = self._seq
        self._batch.append(event)
        if len(self._batch) == RECORD:
            self._flush()

    def _flush(self) -> None:
        if self._batch:
            self._writer.append(self._writer.pack(self._batch))
            self._batch = []

    def close(self) -> None:
        self._flush()
        last = {"last_seq": self._seq, "dropped": [], "final": True, "host": socket.gethostname()}
        checkpoint = {"event": "mida.observer.checkpoint", "time": START * 10**9, "record": last}
        self._writer.append(self._writer.pack(checkpoint))
        self._writer.close()


def deliver(journals: Path, directory: Path) -> None:
    """Move finished segments to where a collector reads, in their order; they are links, so they can be used again."""
    for source in sorted(journals.glob("*/*.mj"), key=_number):
        os.rename(source, directory / source.parent.name / source.name)


def copy_journals(journals: Path, directory: Path) -> None:
    """Make a copy that costs no room, on the file system of `directory`."""
    for source in journals.glob("*/*.mj"):
        target = directory / source.parent.name
        target.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.link(source, target / source.name)


def _number(segment: Path) -> tuple[str, int]:
    observer, _, n = segment.stem.rpartition("-")
    return observer, int(n)


# ---- messages of FlowCept --------------------------------------------------------------------------------------------


def flowcept_messages(tasks: Tasks, messages: int, campaign: str) -> Iterator[dict[str, Any]]:
    """Yield what FlowCept's Dask plugin publishes of the same tasks: a start and an end, or one message with both."""
    for task in tasks:
        names = {
            "type": "task",
            "task_id": task["key"],
            "campaign_id": campaign,
            "workflow_id": task["workflow"],
            "activity_id": task["activity"],
            "address": f"tcp://node-{task['worker']}:1",
            "used": task["used"],
        }
        if task["dependencies"]:
            names["dependencies"] = task["dependencies"]
        if messages == 2:
            yield {**names, "status": "RUNNING"}
        times = {"started_at": task["started_at"] / 1e9, "ended_at": task["ended_at"] / 1e9}
        yield {**names, **times, "generated": task["generated"], "status": "FINISHED"}
