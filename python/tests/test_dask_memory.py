"""Tasks that ended for want of memory: a nanny that ends their worker, an array that fits nowhere."""

from __future__ import annotations

import types

import dask_tasks as t
import pytest
from dask_support import observed
from distributed.scheduler import KilledWorker

from mida.dask_memory import Evicted, no_array

pytestmark = pytest.mark.dask


def test_a_nanny_that_ends_its_worker(tmp_path):
    """The attempt says by whom and at which size; what the task is told by Dask stays as it is."""
    settings = {"distributed.scheduler.allowed-failures": 0}
    with observed(tmp_path / "journal", config=settings, memory_limit="400 MiB") as o:
        future = o.client.submit(t.hold, 500, str(tmp_path / "never"), pure=False)
        with pytest.raises(KilledWorker):
            future.result(timeout=60)
        o.snapshot(future.key, "FAILED", "scheduler", attempt=None)
        told = o.until(lambda _: _ends(o, future.key))
        ((worker, lost),) = told
    # A tenth of a second behind SIGTERM the nanny sends SIGKILL: what the worker said last may be that the task runs.
    assert worker["status"] in ("RUNNING", "FAILED") and worker["used"]["mebibytes"] == 500
    assert lost["status"] == "FAILED" and lost["attributes"]["error.type"] == "worker_lost"
    assert worker["attributes"]["dask.worker.memory.limit"] == 400 << 20
    assert lost["attributes"]["mida.error.cause"] == "oom_killed"
    evidence = lost["attributes"]["mida.error.evidence"]
    assert evidence.startswith(f"Dask's nanny ended the worker {lost['custom']['worker']} (process "), evidence
    assert int(evidence.partition("which had ")[2].split()[0]) > 380 << 20, evidence


def _ends(o, key):
    """Return what worker and scheduler say of each attempt, once both have said it."""
    attempts = [facets for number, facets in o.attempts(key).items() if number is not None]
    both = [(a["worker"], a["scheduler"]) for a in attempts if {"worker", "scheduler"} <= a.keys()]
    return [pair for pair in both if "mida.error.cause" in pair[1]["attributes"]]


def test_an_array_that_fits_nowhere(tmp_path):
    """Numpy makes the text of its exception when it is shown; what is recorded says as much."""
    pytest.importorskip("numpy")
    with observed(tmp_path / "journal") as o:
        future = o.client.submit(t.no_array, pure=False)
        with pytest.raises(MemoryError):
            future.result(timeout=60)
        event = o.snapshot(future.key, "FAILED")
    said = event["attributes"]["exception.message"]
    assert said == "Unable to allocate 8.00 PiB for an array with shape (1073741824, 1048576) and data type float64"
    assert event["attributes"]["exception.type"].endswith("MemoryError")


class Known:
    """A task as the scheduler knows it."""

    def __init__(self, key):
        self.key = key


def worker(*processing, executing=()):
    """Return a worker with one thread as the scheduler knows it."""
    tasks = {key: Known(key) for key in processing}
    running = {tasks[key]: 0.1 for key in executing}
    return types.SimpleNamespace(memory_limit=600, nthreads=1, processing=set(tasks.values()), executing=running)


@pytest.mark.parametrize("kind", ["float64", "bool", "complex128", "int8"])
@pytest.mark.parametrize("shape", [(7,), (3, 341), (1024, 1024), (1023, 1024, 1024), (49204, 8257), (2**40, 2**26)])
def test_numpy_s_text(shape, kind):
    """It is numpy's own, to the letter."""
    numpy = pytest.importorskip("numpy")
    errors = pytest.importorskip("numpy._core._exceptions" if numpy.__version__ >= "2" else "numpy.core._exceptions")
    error = errors._ArrayMemoryError(shape, numpy.dtype(kind))
    assert no_array(repr(error).partition("(")[2][:-1]) == str(error)


def test_what_is_no_array():
    assert no_array("'no more'") == "'no more'" and no_array("(3,), dtype('<U10')") == "(3,), dtype('<U10')"


EVENT = {"worker": "tcp://a:1", "pid": 7, "rss": 640}
ERROR = {"error.type": "worker_lost"}


def test_what_a_nanny_says_before_or_after_the_loss():
    """The scheduler may miss the worker first; what was told without the reason is then told again."""
    workers = {"tcp://a:1": worker("k")}
    early = Evicted()
    assert early.told(EVENT, workers) == []
    known = early.end_of("tcp://a:1", "k", 3, ERROR)
    assert known["mida.error.cause"] == "oom_killed"
    assert "(process 7), which had 640 bytes in memory of the 600" in known["mida.error.evidence"]
    late = Evicted()
    assert late.end_of("tcp://a:1", "k", 3, ERROR) == {}
    assert late.end_of("tcp://b:1", "other", 1, ERROR) == {}
    assert late.told(EVENT, {}) == [("k", 3, ERROR)]
    assert late.end_of("tcp://a:1", "k", 3, ERROR)["mida.error.cause"] == "oom_killed"


def test_another_worker_at_the_same_address():
    """What was said of one that had the address before does not concern it."""
    memory = Evicted()
    memory.told(EVENT, {})
    memory.end_of("tcp://a:1", "k", 3, ERROR)
    memory.came("tcp://a:1")
    assert memory.end_of("tcp://a:1", "l", 4, ERROR) == {}
    assert memory.told({**EVENT, "pid": 8}, {}) == [("l", 4, ERROR)]


def test_tasks_that_only_waited_for_the_worker():
    """Of more tasks than it has threads, those count that it said to run; of those that are told late, one alone."""
    memory = Evicted()
    memory.told(EVENT, {"tcp://a:1": worker("runs", "waits", executing=["runs"])})
    assert memory.end_of("tcp://a:1", "runs", 1, ERROR)["mida.error.cause"] == "oom_killed"
    assert memory.end_of("tcp://a:1", "waits", 1, ERROR) == {}
    late = Evicted()
    late.end_of("tcp://a:1", "k", 3, ERROR)
    late.end_of("tcp://a:1", "l", 4, ERROR)
    assert late.told(EVENT, {}) == []
