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
QUEUE_EVENTS = 500_000
QUEUE_BYTES = 256 << 20
BATCH_BYTES = 1 << 20
MAX_RANGES = 1000
EARLY_TASKS = 10_000
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
        events, as the functions that build them.
    environment : bool
        Whether the environment of this process is that of the tasks it tells
        of. It is recorded in any case.
    """

    _all: weakref.WeakSet[Recorder] = weakref.WeakSet()

    def __init__(
        self,
        directory: str,
        role: str,
        defaults: Event,
        policy: Policy,
        journal: Optional[Dict[str, int]] = None,
        tick: Optional[Callable[[], Iterable[Callable[[], Event]]]] = None,
        environment: bool = True,
        queue_events: int = QUEUE_EVENTS,
        queue_bytes: int = QUEUE_BYTES,
    ) -> None:
        self._next_seq: Callable[[], int] = itertools.count(1).__next__
        self._last_put = self._last_own = 0  # each changed by one thread only
        self.errors: Dict[str, int] = {}
        self._queue: Deque[Tuple[int, Callable[[], Event], int]] = collections.deque()
        self._limit_events, self._limit_bytes = queue_events, queue_bytes
        self._bytes_in = self._bytes_out = 0  # each changed by one thread only
        self._refused, self._failed = Dropped(), Dropped()
        self._policy, self._redactor, self._paths = policy, Redactor(), PathFinder()
        options = {k: v for k, v in (journal or {}).items() if k in ("segment_bytes", "directory_bytes") and v}
        self._writer = Writer(directory, observer_name(role), defaults, **options)
        self._tick = tick
        self._labels = environment
        self._early: List[Event] = []
        self._environment: Optional[_Environment] = _Environment()
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
        seq = self._next_seq()
        self._last_put = seq
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
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        name = f"{where}: {type(error).__name__}"
        if place is not None:
            name += f" ({os.path.basename(place.tb_frame.f_code.co_filename)}:{place.tb_lineno})"
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
        assert self._environment is not None
        self._environment.start()
        while True:
            closing = self._closing
            if not closing:
                self._wake.wait(FLUSH_SECONDS)
                self._wake.clear()
                self._woken = False
            try:
                self._step(closing)
            except Exception as error:
                self.failed(error, "recorder")
            if closing:
                self._finish_journal()
                return

    def _finish_journal(self) -> None:
        try:
            self._checkpoint(final=True)
        except Exception as error:
            self.failed(error, "checkpoint")
        self._writer.close()

    def _step(self, closing: bool) -> None:
        if self._tick is not None and not closing:
            batch = [self._own(make) for make in self._tick()]
            self._deliver([e for e in batch if e is not None])
        self._flush()
        if self._environment is not None and self._environment.ready(CLOSE_SECONDS / 3 if closing else 0):
            self._observe_environment()
        if time.monotonic() >= self._checkpoint_at and not closing:
            self._checkpoint_at = time.monotonic() + CHECKPOINT_SECONDS
            self._checkpoint(final=False)

    def _own(self, make: Callable[[], Event]) -> Optional[Event]:
        """Build and number an event of this thread's own."""
        self._last_own = seq = self._next_seq()
        return self._finish(seq, make)

    def _observe_environment(self) -> None:
        """Record the environment, and name it for all tasks: those to come by the header of a new segment."""
        environment, self._environment = self._environment, None
        early, self._early = self._early, []
        record = environment.record
        if record is None:
            if environment.error is not None:
                self.failed(environment.error, "environment")
            return
        self._redactor.mapping(record)
        name = digest(record)
        now = time.time_ns()
        batch = [
            self._own(
                lambda: {
                    "event": "mida.environment.observed",
                    "time": now,
                    "environment": name,
                    "record": record,
                }
            )
        ]
        if self._labels:
            self._writer.defaults["environment"] = name
            for event in early:
                batch.append(self._own(lambda e=event: {**e, "environment": name}))
        self._write([e for e in batch if e is not None])
        if self._labels:
            self._writer.roll()

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
            self._deliver(batch)
            self._bytes_out += released

    def _restrict(self, event: Event) -> None:
        """Apply the policy and take out secrets, in place."""
        policy, redactor = self._policy, self._redactor
        for root in ("used", "generated"):
            values = event.get(root)
            if values:
                event[root] = redactor.mapping(policy.fields(root, values))
        attributes, custom, record = event.get("attributes"), event.get("custom"), event.get("record")
        if attributes:
            redactor.mapping(attributes)
        if custom:
            redactor.mapping(custom)
        if record:
            redactor.mapping(record)
        if policy.trivial:
            return
        if custom and type(custom.get("annotations")) is dict:
            custom["annotations"] = policy.fields("annotations", custom["annotations"])
        if record and "value" in record:
            record.update({"value": None, **policy.fields("generated", {"value": record["value"]})})
        if attributes and policy.values != "values":
            attributes.pop("exception.message", None)  # it quotes values

    def _deliver(self, batch: List[Event]) -> None:
        try:
            self._paths.add(batch)
        except Exception as error:
            self.failed(error, "paths")
        self._write(batch)
        if self._labels and self._environment is not None and len(self._early) < EARLY_TASKS:
            self._early.extend(_label(e) for e in batch if "attempt" in e)

    def _finish(self, seq: int, make: Callable[[], Event]) -> Optional[Event]:
        try:
            event = make()
            event["seq"] = seq
            self._restrict(event)
            return event
        except Exception as error:
            self.failed(error, "event")
            self._failed.add(seq, seq, "could not be built")
            return None

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
            "last_seq": max(self._last_put, self._last_own),
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


class _Environment:
    """The environment record, made in a thread of its own: it reads many files and may ask ``git``."""

    def __init__(self) -> None:
        self.record: Optional[Dict[str, Any]] = None
        self.error: Optional[BaseException] = None
        self._thread = threading.Thread(target=self._run, name="mida-environment", daemon=True)

    def start(self) -> None:
        """Begin to look around."""
        self._thread.start()

    def ready(self, wait: float) -> bool:
        """Say whether it is done, after waiting for so many seconds."""
        if wait:
            self._thread.join(wait)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self.record = describe()
        except Exception as error:
            self.error = error


def _label(event: Event) -> Event:
    """Return the event that tells the environment of a task that was recorded before it was known."""
    return {
        "event": "mida.task.progress",
        "time": event["time"],
        "key": event["key"],
        "attempt": event["attempt"],
        "facet": "environment",
    }


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
