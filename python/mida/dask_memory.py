"""Tasks that ended for want of memory: workers that their nannies ended, and arrays that found none."""

from __future__ import annotations

import collections
import re
from typing import Any, Deque, Dict, List, Mapping, Set, Tuple

__all__ = ["NANNY_TOPIC", "Evicted", "no_array"]

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


_NO_ARRAY = re.compile(r"\(([\d, ]*)\), dtype\('([a-z]+)(\d*)'\)")
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def no_array(arguments: str) -> str:
    """Return numpy's text for an array that found no memory, which numpy makes when the exception is shown.

    Parameters
    ----------
    arguments : str
        Those of the exception, by their ``repr``; what is none of an array is returned as it is.
    """
    found = _NO_ARRAY.fullmatch(arguments)
    if found is None:
        return arguments
    shape, kind, bits = found.groups()
    size = int(bits or 8) // 8  # bool has no number
    for n in shape.split(","):
        size *= int(n) if n.strip() else 1
    return f"Unable to allocate {_size(size)} for an array with shape ({shape}) and data type {kind}{bits}"


def _size(size: int) -> str:
    """Write a size as numpy does."""
    unit = max(size.bit_length() - 1, 1) // 10
    units = size / (1 << (10 * unit))
    if round(units) == 1024:
        unit, units = unit + 1, units / 1024
    if unit >= len(_UNITS):
        units, unit = units * 2.0 ** (10 * (unit - len(_UNITS) + 1)), len(_UNITS) - 1
    if unit == 0:
        return f"{units:.0f} {_UNITS[unit]}"
    return f"{units:#.3g} {_UNITS[unit]}" if round(units) < 1000 else f"{units:#.0f} {_UNITS[unit]}"
