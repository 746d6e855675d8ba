"""From a hook to the journal: number, queue, finish and pack events without delaying the observed job."""

from __future__ import annotations

import atexit
import collections
import contextlib
import itertools
import os
import socket
import threading
import time
import weakref
from queue import Empty, SimpleQueue
from typing import Any, Callable, Deque, Dict, Iterable, List, Optional, Tuple

from .capture import Policy
from .encoding import clean
from .environment import Describer, digest
from .gateway import open_writer
from .journal import MAX_RECORD, Dropped, observer_name
from .outbox import Outbox
from .paths import PathFinder
from .redact import Redactor

__all__ = ["Recorder"]

FLUSH_SECONDS = 0.1
FLUSH_BYTES = 64 << 10
CHECKPOINT_SECONDS = 10.0
QUEUE_EVENTS = 500_000
QUEUE_BYTES = 256 << 20
BATCH_BYTES = 1 << 20
EARLY_TASKS = 10_000
CLOSE_SECONDS = 10.0
# How long the end waits for what may be slow. Dask kills a worker 4 s after it was told to stop, and the final
# checkpoint must be out by then.
PATIENCE_SECONDS = 1.0
MAX_ERRORS = 100

Event = Dict[str, Any]


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
    witness : callable, optional
        Returns what the observer counted besides its events, for the
        checkpoints; called in the recorder's thread.
    process : dict, optional
        The process in which the tasks run (`process_identity`), for who
        measures it from outside.
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
        witness: Optional[Callable[[], Dict[str, Any]]] = None,
        process: Optional[Dict[str, Any]] = None,
        queue_events: int = QUEUE_EVENTS,
        queue_bytes: int = QUEUE_BYTES,
    ) -> None:
        self._next_seq: Callable[[], int] = itertools.count(1).__next__
        self._last_put = self._last_own = 0  # each changed by one thread only
        self.errors: Dict[str, int] = {}
        self._queue: Deque[Tuple[int, Callable[[], Event], int]] = collections.deque()
        self._limit_events, self._limit_bytes = queue_events, queue_bytes
        self._bytes_in = self._bytes_out = 0  # each changed by one thread only
        self._refused = Dropped()  # by the observed job's threads; what is lost later is the outbox's
        self._policy, self._redactor, self._paths = policy, Redactor(), PathFinder()
        options = {k: v for k, v in (journal or {}).items() if k in ("segment_bytes", "directory_bytes") and v}
        self._writer = open_writer(directory, observer_name(role), defaults, self.failed, options)
        self._outbox = Outbox(self._writer, self.failed)
        self._tick = tick
        self._witness, self._process = witness, process
        self._labels = environment
        self._early: List[Event] = []
        self._environment: Optional[Describer] = Describer()
        self._wake: SimpleQueue[None] = SimpleQueue()  # a signal's handler may write to it
        self._woken = False
        self._closing = False
        self._patience = PATIENCE_SECONDS
        self._stamp = 0
        self._stamping = threading.RLock()  # a signal's handler may stamp, too
        self._pid = os.getpid()
        self._checkpoint_at = time.monotonic() + CHECKPOINT_SECONDS
        self._thread = threading.Thread(target=self._run, name="mida-recorder", daemon=True)

    def start(self) -> None:
        """Begin to write; call once."""
        self._thread.start()
        Recorder._all.add(self)
        atexit.register(self.close)

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
            self._wake.put(None)

    def failed(self, error: BaseException, where: str) -> None:
        """Count an exception that was kept from the observed job."""
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        name = f"{where}: {type(error).__name__}"
        if place is not None:
            name += f" ({os.path.basename(place.tb_frame.f_code.co_filename)}:{place.tb_lineno})"
        if name not in self.errors and len(self.errors) >= MAX_ERRORS:
            name = "other"
        self.errors[name] = self.errors.get(name, 0) + 1

    def stamp(self) -> int:
        """Return the time in nanoseconds, later than every stamp before, also when the clock is set back.

        Of two snapshots the store keeps the one with the later time. Any
        thread may call it.
        """
        with self._stamping:
            self._stamp = max(time.time_ns(), self._stamp + 1)
            return self._stamp

    def close(self, timeout: float = CLOSE_SECONDS, environment: float = PATIENCE_SECONDS) -> None:
        """Write what is queued and a final checkpoint, and stop.

        Any thread may call it, also again: each call waits for the end.

        Parameters
        ----------
        timeout : float
            Seconds to wait for the end.
        environment : float
            Seconds of these for an environment record that is not ready; 0
            when the process lives on and must not be held up.
        """
        if self._pid != os.getpid():
            return
        self._patience = min(self._patience, environment)
        self._paths.wait = min(self._paths.wait, PATIENCE_SECONDS)
        self._closing = True
        self._wake.put(None)
        if self._thread.ident is None or self._thread is threading.current_thread():
            return
        self._thread.join(timeout)
        if not self._thread.is_alive():
            atexit.unregister(self.close)

    # -- the recorder's thread --

    def _run(self) -> None:
        self._guarded("environment", self._begin_environment)
        # Before any task: who measures the process from outside must know which it is.
        self._guarded("checkpoint", self._checkpoint, False)
        while True:
            closing = self._closing
            if not closing:
                with contextlib.suppress(Empty):
                    self._wake.get(timeout=FLUSH_SECONDS)
                self._woken = False
                self._guarded("tick", self._ask)
            # Each by itself: the others go on while one fails.
            self._guarded("flush", self._flush)
            self._guarded("environment", self._look_around)
            if closing:
                self._guarded("flush", self._outbox.retry, True)
                self._guarded("flush", self._flush)  # what came meanwhile
                self._guarded("checkpoint", self._checkpoint, True)
                self._paths.close()
                self._writer.finish()
                return
            if time.monotonic() >= self._checkpoint_at:
                self._checkpoint_at = time.monotonic() + CHECKPOINT_SECONDS
                self._guarded("checkpoint", self._checkpoint, False)

    def _guarded(self, where: str, part: Callable[..., None], *args: Any) -> None:
        try:
            part(*args)
        except Exception as error:
            self.failed(error, where)

    def _ask(self) -> None:
        """Ask the owner for more events; those before a fault of it count."""
        if self._tick is None or self._outbox.waiting:
            return
        batch: List[Event] = []
        try:
            for make in self._tick():
                event = self._own(make)
                if event is not None:
                    batch.append(event)
        finally:
            self._deliver(batch)

    def _own(self, make: Callable[[], Event]) -> Optional[Event]:
        """Build and number an event of this thread's own."""
        self._last_own = seq = self._next_seq()
        return self._finish(seq, make)

    def _begin_environment(self) -> None:
        assert self._environment is not None
        try:
            self._environment.start()
        except BaseException:
            self._environment = None
            raise

    def _look_around(self) -> None:
        """Record the environment, and name it for all tasks: those to come by the header of a new segment."""
        environment, closing = self._environment, self._closing
        if environment is None:
            return
        if not environment.ready(self._patience if closing else 0):
            if closing:
                self._environment = None
                raise TimeoutError("the environment was not known in time")
            return
        self._environment = None
        early, self._early = self._early, []
        record = environment.record
        if record is None:
            if environment.error is not None:
                self.failed(environment.error, "environment")
            return
        self._redactor.mapping(record)
        name = digest(record)
        now = self.stamp()
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
        self._outbox.retry()
        while queue and not self._outbox.waiting:
            batch: List[Event] = []
            size = 0
            while queue and size < BATCH_BYTES and len(batch) < 2000:
                seq, make, cost = queue.popleft()
                size += cost
                event = self._finish(seq, make)
                if event is not None:
                    batch.append(event)
            try:
                self._deliver(batch)
            finally:
                self._bytes_out += size

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
            self._redactor.event(event, self._policy)
            return event
        except Exception as error:
            self.failed(error, "event")
            self._outbox.dropped.add(seq, seq, "could not be built")
            return None

    def _write(self, batch: List[Event]) -> None:
        if not batch:
            return
        try:
            payload = self._writer.pack(batch if len(batch) > 1 else batch[0])
        except Exception:
            payload = b""
        if payload and len(payload) <= MAX_RECORD:
            self._outbox.append(payload, batch)
            return
        for event in batch:
            self._write_alone(event)

    def _write_alone(self, event: Event) -> None:
        """Pack an event by itself, cleaned; one that still cannot be packed is dropped and reported."""
        try:
            payload = self._writer.pack(clean(event))
        except Exception as error:
            self.failed(error, "pack")
            self._outbox.dropped.add(event["seq"], event["seq"], "cannot be encoded")
            return
        self._outbox.append(payload, [event])

    def _checkpoint(self, final: bool) -> None:
        last = max(self._last_put, self._last_own)
        if not final:
            self._guarded("flush", self._flush)  # every number up to the last is written before a checkpoint says it
            if self._outbox.waiting:
                return
        record: Dict[str, Any] = {
            "last_seq": last,
            "dropped": sorted(r[:] for r in self._refused.ranges + self._outbox.dropped.ranges),
            "final": final,
            "host": socket.gethostname(),
        }
        if self._process:
            record["process"] = self._process
        if self._witness is not None:
            try:
                record["witness"] = self._witness()
            except Exception as error:
                self.failed(error, "witness")
        counts = {"redacted": self._redactor.count, "paths_missed": self._paths.missed}
        counts["segments_removed"] = self._writer.removed
        record.update({name: n for name, n in counts.items() if n})
        if self.errors:
            record["errors"] = dict(self.errors)
        # The store keeps the checkpoint with the latest time.
        event = {"event": "mida.observer.checkpoint", "time": self.stamp(), "record": record}
        self._writer.append(self._writer.pack(clean(event)), reserve=64 << 10)

    def _after_fork(self) -> None:
        """Stop existing in the child: the thread is not there, and the file belongs to the parent."""
        self._closing = True
        self._stamping = threading.RLock()  # somebody may have held it
        self._writer.abandon()


def _label(event: Event) -> Event:
    """Return the event that tells the environment of a task that was recorded before it was known."""
    return {
        "event": "mida.task.progress",
        "time": event["time"],
        "key": event["key"],
        "attempt": event["attempt"],
        "facet": "environment",
    }


def _children() -> None:
    for recorder in list(Recorder._all):
        recorder._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_children)
