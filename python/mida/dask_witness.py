"""What the Dask scheduler counts by itself, to be compared with what its workers tell."""

from __future__ import annotations

import collections
import time
from typing import Any, DefaultDict, Dict, List

__all__ = ["Workers"]

LISTED = 500


class Workers:
    """The workers of a cluster, and how many tasks the scheduler saw finish on each.

    Belongs to the scheduler's event loop; `record` may be called by another
    thread.
    """

    def __init__(self, scheduler: Any) -> None:
        self.finished: DefaultDict[Any, int] = collections.defaultdict(int)
        self._since: Dict[str, int] = {}
        self._left: Dict[str, int] = {}
        self._scheduler_id = str(scheduler.id)
        for address in scheduler.workers:
            self.came(address)

    def came(self, address: str) -> None:
        """Note a worker, also one that comes again."""
        self._since.setdefault(address, time.time_ns())
        self._left.pop(address, None)

    def went(self, address: str) -> None:
        """Note that a worker is gone."""
        self._left[address] = time.time_ns()

    def record(self) -> Dict[str, Any]:
        """Return the witness of a checkpoint."""
        finished, left = self.finished.copy(), self._left.copy()
        workers: List[Dict[str, Any]] = []
        more = {"workers": 0, "finished": 0}
        for address, since in self._since.copy().items():
            count = finished.get(address, 0)
            if len(workers) < LISTED:
                workers.append({"address": address, "finished": count, "since": since, "left": left.get(address, 0)})
            else:
                more["workers"] += 1
                more["finished"] += count
        record: Dict[str, Any] = {"scheduler": self._scheduler_id, "workers": workers}
        if more["workers"]:
            record["more"] = more
        return record
