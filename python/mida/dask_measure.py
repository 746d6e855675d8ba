"""What the thread of each Dask task used, counted by the kernel: a microsecond a task, in the thread itself."""

from __future__ import annotations

import sys
from typing import Any, Callable, Dict, List, Optional, Tuple

try:
    import resource

    _THREAD: Optional[int] = resource.RUSAGE_THREAD  # type: ignore[attr-defined]
except (ImportError, AttributeError):  # elsewhere than on Linux
    _THREAD = None

__all__ = ["TOGETHER", "Measured", "Meter", "Together", "embedded", "telemetry"]

# Counters at the end, those at the start, how many tasks of the worker ran in between, at any time, and how many ran at
# one time at most, ever: tasks that secede run beside those that have the worker's threads.
Measured = Tuple[Any, Any, int, int]

_MOST = 10_000
_BLOCK = 512
_KIB = 1024


class Together:
    """Counts which tasks of this process run at the same time: of all workers in it, in threads and in event loops."""

    def __init__(self) -> None:
        self._running: List[Dict[Any, Any]] = []
        self._starts = 0
        self._most = 0

    def join(self, running: Dict[Any, Any]) -> None:
        """Count what a worker notes to run."""
        self._running.append(running)

    def leave(self, running: Dict[Any, Any]) -> None:
        """Count it no more."""
        self._running[:] = [r for r in self._running if r is not running]

    def begin(self) -> int:
        """Return what `end` wants to know of a task that was noted just now."""
        self._starts += 1
        now = sum(map(len, self._running))
        if now > self._most:
            self._most = now
        return now - self._starts

    def end(self, begun: int) -> int:
        """Return how many tasks ran at one time while one ran: those at its start, and those that began since."""
        return max(1, min(begun + self._starts, self._most))


TOGETHER = Together()  # one for this process: it has one copy of this module


def embedded() -> bool:
    """Whether this process is not a worker's own, but that of a program with a whole cluster in it."""
    scheduler = getattr(sys.modules.get("distributed.scheduler"), "Scheduler", None)
    return bool(getattr(scheduler, "_instances", ()))


class _ActiveThreads(Dict[int, Any]):
    """A worker's ``active_threads``: distributed notes in it, from the thread of a task, when that begins and ends."""

    def __init__(self, meter: Meter) -> None:
        super().__init__()
        self._meter = meter
        self._begun: Dict[int, Tuple[Any, int]] = {}
        self._starts = 0
        self._most = 0

    # Both are called under the worker's lock.

    def __setitem__(self, ident: int, key: Any) -> None:
        super().__setitem__(ident, key)
        self._most = max(self._most, len(self))
        if self._meter.on:
            try:
                self._starts += 1
                # Those that run now and, counted at the end, those that began since.
                self._begun[ident] = (resource.getrusage(_THREAD), len(self) - self._starts)  # type: ignore[arg-type]
            except Exception as error:
                self._meter.give_up(error)

    def __delitem__(self, ident: int) -> None:
        begun = self._begun.pop(ident, None)
        if begun is not None and self._meter.on:
            try:
                end = resource.getrusage(_THREAD)  # type: ignore[arg-type]
                measured = self._meter.measured
                if len(measured) >= _MOST:  # of tasks whose end nobody tells
                    measured.pop(next(iter(measured)), None)
                measured[self[ident]] = (end, begun[0], begun[1] + self._starts, self._most)
            except Exception as error:
                self._meter.give_up(error)
        super().__delitem__(ident)


def _replaceable(active: Any) -> bool:
    """Whether it is distributed's own dict, or one that an observer left behind that is gone."""
    if type(active) is dict:
        return True
    meter = getattr(active, "_meter", None)
    return type(active).__name__ == _ActiveThreads.__name__ and meter is not None and not meter.on


class Meter:
    """Counts what the threads of a worker's tasks use.

    Parameters
    ----------
    worker : distributed.Worker
        Its ``active_threads`` is replaced by one that also counts, as soon as
        nothing runs that knows the old one.
    failed : callable
        Told of the first fault, after which nothing is counted any more.
    """

    def __init__(self, worker: Any, failed: Callable[[BaseException, str], None]) -> None:
        self.measured: Dict[Any, Measured] = {}
        self.on = _THREAD is not None and _replaceable(getattr(worker, "active_threads", None))
        self._worker, self._failed = worker, failed
        self._waiting = self.on
        self._begin()

    def _begin(self) -> None:
        """Replace the worker's dict; called in its event loop, which hands it to the threads."""
        worker = self._worker
        if not self._waiting or worker.state.executing or worker.state.long_running or worker.state.actors:
            return
        with worker.active_threads_lock:
            if not worker.active_threads:
                worker.active_threads = _ActiveThreads(self)
                self._waiting = False

    def take(self, key: Any) -> Optional[Measured]:
        """Return what was counted for a task that ended, once."""
        if self._waiting:
            self._begin()
        return self.measured.pop(key, None)

    def stop(self) -> None:
        """Count nothing any more, and touch nothing: also a signal's handler may call it."""
        self.on = self._waiting = False

    def give_up(self, error: BaseException) -> None:
        """Count nothing any more."""
        self.on = False
        self._failed(error, "measure")


def telemetry(measured: Measured, threads: int, together: int = 1) -> Tuple[Dict[str, Any], int]:
    """Return the telemetry of a task, and how many tasks at most ran in the worker at one time meanwhile.

    Parameters
    ----------
    measured : Measured
        What the hook counted.
    threads : int
        The threads of the worker.
    together : int
        The tasks that ran in the process, as far as is known otherwise.
    """
    end, start, tasks, most = measured
    delta: Dict[str, Any] = {"thread.cpu.time": round(end.ru_utime - start.ru_utime + end.ru_stime - start.ru_stime, 6)}
    if end.ru_inblock > start.ru_inblock:
        delta["thread.disk.io.read"] = (end.ru_inblock - start.ru_inblock) * _BLOCK
    if end.ru_oublock > start.ru_oublock:
        delta["thread.disk.io.write"] = (end.ru_oublock - start.ru_oublock) * _BLOCK
    coverage = dict.fromkeys(delta, "exclusive")
    out: Dict[str, Any] = {"delta": delta, "coverage": coverage}
    tasks = max(1, together, min(tasks, max(threads, most)))
    if end.ru_maxrss > start.ru_maxrss:
        # The process never had more memory before: its high-water mark is that of this time, to the byte.
        out["peak"] = {"process.memory.high_water": end.ru_maxrss * _KIB}
        coverage["process.memory.high_water"] = "exclusive" if tasks == 1 else f"shared_by={tasks}"
    return out, tasks
