"""From a hook to the journal: number, queue, finish and pack events without delaying the observed job."""

from __future__ import annotations

import atexit
import collections
import itertools
import os
import threading
import time
import weakref
from typing import Any, Callable, Deque, Dict, Iterable, List, Optional, Tuple

from .capture import Policy
from .encoding import clean_text
from .environment import describe, digest
from .journal import JournalFull, Writer, observer_name
from .paths import PathFinder
from .redact import Redactor

__all__ = ["Recorder"]

FLUSH_SECONDS = 0.1
FLUSH_BYTES = 64 << 10
CHECKPOINT_SECONDS = 10.0
QUEUE_EVENTS = 100_000
QUEUE_BYTES = 64 << 20
BATCH_BYTES = 1 << 20
MAX_RANGES = 1000
CLOSE_SECONDS = 10.0

Event = Dict[str, Any]


class Dropped:
    """The ranges of numbers that were lost, with the reason. One thread adds; any thread may read `ranges`."""

    def __init__(self) -> None:
        self.ranges: List[List[Any]] = []
        self.count = 0

    def add(self, first: int, last: int, reason: str) -> None:
        """Add a range, joined to the one before where they touch."""
        self.count += last - first + 1
        if self.ranges:
            tail = self.ranges[-1]
            if tail[2] == reason and first <= tail[1] + 1 and first >= tail[0]:
                tail[1] = max(tail[1], last)
                return
            if len(self.ranges) >= MAX_RANGES:
                # Too many to name: say more is lost rather than less.
                tail[0], tail[1], tail[2] = min(tail[0], first), max(tail[1], last), "various"
                return
        self.ranges.append([first, last, reason])


class Recorder:
    """The observer of one process: events go in by `put`, a thread of its own writes them to the journal.

    Nothing here raises into the caller, and `put` never waits: what does not
    fit into the bounded queue is dropped and reported by the checkpoints.

    Parameters
    ----------
    directory : str
        The journal directory.
    role : str
        Begins the observer's name: ``dask-worker``, ``dask-scheduler``.
    defaults : dict
        What holds for every event: identity, resource, attributes.
    policy : Policy
        What may leave the process.
    journal : dict, optional
        ``segment_bytes`` and ``directory_bytes`` of the `Writer`.
    tick : callable, optional
        Called before each flush in the recorder's thread; returns more
        records for the queue.
    """

    _all: "weakref.WeakSet[Recorder]" = weakref.WeakSet()

    def __init__(
        self,
        directory: str,
        role: str,
        defaults: Event,
        policy: Policy,
        journal: Optional[Dict[str, int]] = None,
        tick: Optional[Callable[[], Iterable[Tuple[Callable[[], Event], int]]]] = None,
        queue_events: int = QUEUE_EVENTS,
        queue_bytes: int = QUEUE_BYTES,
    ) -> None:
        self.next_seq: Callable[[], int] = itertools.count(1).__next__
        self.last_seq = 0
        self.errors: Dict[str, int] = {}
        self.environment = ""
        self._queue: Deque[Tuple[int, Callable[[], Event], int]] = collections.deque()
        self._limit_events, self._limit_bytes = queue_events, queue_bytes
        self._bytes_in = self._bytes_out = 0  # each changed by one thread only
        self._refused, self._failed = Dropped(), Dropped()
        self._policy, self._redactor, self._paths = policy, Redactor(), PathFinder()
        options = {k: v for k, v in (journal or {}).items() if k in ("segment_bytes", "directory_bytes") and v}
        self._writer = Writer(directory, observer_name(role), defaults, **options)
        self._tick = tick
        self._wake = threading.Event()
        self._woken = False
        self._closing = False
        self._pid = os.getpid()
        self._checkpoint_at = time.monotonic() + CHECKPOINT_SECONDS
        self._complaint_at = 0.0
        self._thread = threading.Thread(target=self._run, name="mida-recorder", daemon=True)

    def start(self) -> None:
        """Begin to write; call once."""
        Recorder._all.add(self)
        atexit.register(self.close)
        self._thread.start()

    @property
    def observer(self) -> str:
        """The observer's id."""
        return self._writer.observer

    @property
    def path(self) -> Optional[str]:
        """Path of the segment that is being written."""
        return self._writer.path

    # -- the observed job's side --

    def put(self, make: Callable[[], Event], cost: int) -> None:
        """Queue an event.

        Parameters
        ----------
        make : callable
            Builds the event later, in the recorder's thread, from what was
            captured now.
        cost : int
            Roughly how many bytes it holds.
        """
        seq = self.next_seq()
        self.last_seq = seq
        queue = self._queue
        cost += 512
        pending = self._bytes_in - self._bytes_out
        if pending + cost > self._limit_bytes or len(queue) >= self._limit_events or self._closing:
            self._refused.add(seq, seq, "closed" if self._closing else "queue full")
            return
        self._bytes_in += cost
        queue.append((seq, make, cost))
        if pending > FLUSH_BYTES and not self._woken:
            self._woken = True
            self._wake.set()

    def failed(self, error: BaseException, where: str) -> None:
        """Count an exception that was kept from the observed job."""
        name = f"{where}: {type(error).__name__}"
        if name in self.errors or len(self.errors) < 100:
            self.errors[name] = self.errors.get(name, 0) + 1

    def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """Write what is queued and a final checkpoint, and stop."""
        if self._pid != os.getpid() or self._closing:
            return
        self._closing = True
        self._wake.set()
        try:
            if self._thread is not threading.current_thread():
                self._thread.join(timeout)
        except RuntimeError:
            pass  # it was never started
        atexit.unregister(self.close)

    # -- the recorder's thread --

    def _run(self) -> None:
        try:
            self._observe_environment()
        except Exception as error:
            self.failed(error, "environment")
        while True:
            closing = self._closing
            if not closing:
                self._wake.wait(FLUSH_SECONDS)
                self._wake.clear()
                self._woken = False
            try:
                if self._tick is not None:
                    for make, cost in self._tick():
                        self._flush_one(make, cost)
            except Exception as error:
                self.failed(error, "tick")
            self._flush()
            if closing:
                self._checkpoint(final=True)
                self._writer.close()
                return
            if time.monotonic() >= self._checkpoint_at:
                self._checkpoint_at = time.monotonic() + CHECKPOINT_SECONDS
                self._checkpoint(final=False)

    def _observe_environment(self) -> None:
        record = self._redactor.mapping(describe())
        name = digest(record)
        # Before the first append, so that the header of the journal names it.
        self._writer.defaults["environment"] = self.environment = name
        now = time.time_ns()
        seq = self.next_seq()
        self.last_seq = max(self.last_seq, seq)
        self._write([{"event": "mida.environment.observed", "time": now, "seq": seq, "record": record}])

    def _flush_one(self, make: Callable[[], Event], cost: int) -> None:
        seq = self.next_seq()
        self.last_seq = max(self.last_seq, seq)
        event = self._finish(seq, make)
        if event is not None:
            self._write([event])

    def _flush(self) -> None:
        queue = self._queue
        while queue:
            batch: List[Event] = []
            size = 0
            released = 0
            while queue and size < BATCH_BYTES and len(batch) < 2000:
                seq, make, cost = queue.popleft()
                size += cost
                released += cost
                event = self._finish(seq, make)
                if event is not None:
                    batch.append(event)
            self._add_paths(batch)
            self._write(batch)
            self._bytes_out += released

    def _finish(self, seq: int, make: Callable[[], Event]) -> Optional[Event]:
        try:
            event = make()
            event["seq"] = seq
            policy, redactor = self._policy, self._redactor
            for root in ("used", "generated"):
                values = event.get(root)
                if values:
                    event[root] = redactor.mapping(policy.fields(root, values))
            attributes = event.get("attributes")
            if attributes:
                redactor.mapping(attributes)
            custom = event.get("custom")
            if custom:
                redactor.mapping(custom)
            return event
        except Exception as error:
            self.failed(error, "event")
            self._failed.add(seq, seq, "could not be built")
            return None

    def _add_paths(self, batch: List[Event]) -> None:
        try:
            self._paths.add(batch)
        except Exception as error:
            self.failed(error, "paths")

    def _write(self, batch: List[Event]) -> None:
        if not batch:
            return
        try:
            payload = self._writer.pack(batch if len(batch) > 1 else batch[0])
        except Exception:
            for event in batch:
                self._write_alone(event)
            return
        self._append(payload, batch[0]["seq"], batch)

    def _write_alone(self, event: Event) -> None:
        """Pack an event by itself, cleaned; one that still cannot be packed is dropped and reported."""
        seq = event["seq"]
        try:
            payload = self._writer.pack(_clean(event, 0))
        except Exception as error:
            self.failed(error, "pack")
            self._failed.add(seq, seq, "cannot be encoded")
            return
        self._append(payload, seq, [event])

    def _append(self, payload: bytes, seq: int, batch: List[Event]) -> None:
        try:
            self._writer.append(payload)
            return
        except JournalFull as error:
            reason = "journal full"
            self._complain(error)
        except OSError as error:
            reason = "journal: " + (os.strerror(error.errno) if error.errno else type(error).__name__)
            self.failed(error, "journal")
            self._complain(error)
        for event in batch:
            self._failed.add(event["seq"], event["seq"], reason)

    def _complain(self, error: BaseException) -> None:
        """Tell the log of the observed process, at most once a minute, that events are lost."""
        now = time.monotonic()
        if now >= self._complaint_at:
            self._complaint_at = now + 60.0
            import logging

            logging.getLogger("distributed.mida").warning("task events are not recorded: %s", error)

    def _checkpoint(self, final: bool) -> None:
        record: Dict[str, Any] = {
            "last_seq": self.last_seq,
            "dropped": sorted(r[:] for r in self._refused.ranges + self._failed.ranges),
            "final": final,
        }
        if self.errors:
            record["errors"] = dict(self.errors)
        if self._redactor.count:
            record["redacted"] = self._redactor.count
        if self._paths.missed:
            record["paths_missed"] = self._paths.missed
        try:
            event = {"event": "mida.observer.checkpoint", "time": time.time_ns(), "record": record}
            self._writer.append(self._writer.pack(event), reserve=64 << 10)
        except (JournalFull, OSError) as error:
            self.failed(error, "checkpoint")

    def _after_fork(self) -> None:
        """Stop existing in the child: the thread is not there, and the file belongs to the parent."""
        self._closing = True
        self._writer.abandon()


def _clean(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind is str:
        return clean_text(value)
    if kind is dict:
        return {clean_text(k) if type(k) is str else str(k): _clean(v, depth + 1) for k, v in value.items()}
    if kind is list or kind is tuple:
        return [_clean(v, depth + 1) for v in value]
    return value


def _children() -> None:
    for recorder in list(Recorder._all):
        recorder._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_children)
