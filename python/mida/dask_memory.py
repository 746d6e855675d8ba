"""Workers that their nannies ended for the memory that they had."""

from __future__ import annotations

import collections
from typing import Any, Deque, Dict, List, Mapping, Set, Tuple

__all__ = ["NANNY_TOPIC", "Evicted"]

NANNY_TOPIC = "worker-restart-memory"  # what a nanny logs its decision under
_KEPT = 1000

Lost = Tuple[Any, int, Dict[str, Any]]


class Evicted:
    """What nannies said about the ends of workers, joined with the attempts that were lost with them.

    Belongs to the scheduler's event loop. That what ran on a worker ended
    with it is certain; whose memory it was is not, and is not said. What may
    only have waited there is left alone.
    """

    def __init__(self) -> None:
        self._said: Dict[str, Tuple[Dict[str, Any], Set[Any]]] = {}  # and which tasks it concerns
        self._lost: Deque[Tuple[str, Lost]] = collections.deque(maxlen=_KEPT)

    def came(self, worker: str) -> None:
        """Note a worker: what was said about one that had its address before does not concern it."""
        self._said.pop(worker, None)
        if self._lost:
            self._lost = collections.deque((one for one in self._lost if one[0] != worker), _KEPT)

    def told(self, event: Mapping[str, Any], workers: Mapping[str, Any]) -> List[Lost]:
        """Keep what a nanny said; return the attempts whose loss was told without it."""
        worker, pid, memory = str(event["worker"]), event["pid"], event["rss"]
        text = f"Dask's nanny ended the worker {worker} (process {pid}), which had {memory} bytes in memory"
        state = workers.get(worker)
        lost = [one for address, one in self._lost if address == worker]
        if state is not None:
            if state.memory_limit:
                text += f" of the {state.memory_limit} that it may have"
            all_run = len(state.processing) <= state.nthreads
            running = {task.key for task in (state.processing if all_run else state.executing)}
        else:  # the scheduler missed it first
            running = {one[0] for one in lost} if len(lost) == 1 else set()
        if len(self._said) >= _KEPT:
            self._said.pop(next(iter(self._said)))
        self._said[worker] = {"mida.error.cause": "oom_killed", "mida.error.evidence": text}, running
        return [one for one in lost if one[0] in running]

    def end_of(self, worker: str, key: Any, attempt: int, error: Dict[str, Any]) -> Dict[str, Any]:
        """Return what is known of the end of the worker with which an attempt was lost; more may come."""
        known, running = self._said.get(worker, ({}, None))
        if running is None:
            self._lost.append((worker, (key, attempt, error)))
            return {}
        return known if key in running else {}
