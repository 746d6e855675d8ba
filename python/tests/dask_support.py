"""A real cluster under observation, and its journal."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import time
import warnings
from typing import Any, Callable, Dict, Iterator, List, Optional

import dask
import distributed
from journal_reader import final, read_events

CLOSE_SECONDS = 30


class Observed:
    """An observed cluster: run something with `client`, then ask what was seen."""

    def __init__(self, directory: str, cluster: Any, client: Any) -> None:
        self.directory, self.cluster, self.client = directory, cluster, client

    def events(self) -> List[Dict[str, Any]]:
        return read_events(self.directory)

    def until(self, found: Callable[[List[Dict[str, Any]]], Any], timeout: float = 60.0) -> Any:
        """Poll the journal until `found` returns something true, and return that."""
        deadline = time.monotonic() + timeout
        while True:
            events = self.events()
            got = found(events)
            if got:
                return got
            if time.monotonic() > deadline:
                names = [(e["event"], e.get("key"), e.get("attempt"), e.get("status")) for e in events][-40:]
                raise AssertionError(f"not seen within {timeout} s; the last events are {names}")
            time.sleep(0.05)

    def snapshot(self, key: Any, status: str, facet: str = "worker", attempt: Any = "any") -> Dict[str, Any]:
        """Wait for a task to reach a status in a facet, and return that snapshot."""
        key = str(key)

        def found(events):
            for (k, a, f), event in final(events).items():
                if k == key and f == facet and event.get("status") == status and attempt in ("any", a):
                    return event
            return None

        return self.until(found)

    def attempts(self, key: Any) -> Dict[Any, Dict[str, Dict[str, Any]]]:
        """Return attempt → facet → newest snapshot, without the environment's."""
        out: Dict[Any, Dict[str, Dict[str, Any]]] = {}
        for (k, attempt, facet), event in final(self.events()).items():
            if k == str(key) and facet != "environment":
                out.setdefault(attempt, {})[facet] = event
        return out


def close(cluster: Any) -> None:
    """Close a cluster, also one whose nanny waits for ever.

    When a worker dies twice in a row, the nanny of distributed 2024.8 may start two at a time and then wait for the
    first one's word, which never comes (`Nanny._on_worker_exit`, `WorkerProcess._wait_until_connected`), and its
    cluster never closes.
    """
    try:
        cluster.close(timeout=CLOSE_SECONDS)
    except (asyncio.TimeoutError, TimeoutError):
        warnings.warn(f"the cluster did not close within {CLOSE_SECONDS} s; its workers are killed", stacklevel=2)
        for child in multiprocessing.active_children():
            child.kill()


@contextlib.contextmanager
def observed(
    directory: Any,
    n_workers: int = 1,
    preload: bool = True,
    config: Optional[Dict[str, Any]] = None,
    **options: Any,
) -> Iterator[Observed]:
    """Run a LocalCluster that a preload of its scheduler observes."""
    settings = dict(config or {})
    if preload:
        settings["distributed.scheduler.preload"] = ["mida.dask_preload"]
    before = os.environ.get("MIDA_JOURNAL_DIR")
    os.environ["MIDA_JOURNAL_DIR"] = str(directory)
    options = {"threads_per_worker": 1, "dashboard_address": None, **options}
    try:
        with dask.config.set(settings):
            cluster = distributed.LocalCluster(n_workers=n_workers, **options)
            try:
                with distributed.Client(cluster) as client:
                    yield Observed(str(directory), cluster, client)
            finally:
                close(cluster)
    finally:
        if before is None:
            del os.environ["MIDA_JOURNAL_DIR"]
        else:
            os.environ["MIDA_JOURNAL_DIR"] = before
