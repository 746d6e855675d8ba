"""The worker's side of the Dask observer: what each execution used, generated, and how it ended."""

from __future__ import annotations

import functools
import threading
import time
from typing import Any, Callable, Dict, FrozenSet, Iterable, Optional, Tuple

from distributed.diagnostics.plugin import WorkerPlugin

from .call_arguments import Arguments
from .calls import BARE_KEYS, Call, call_names, function_names, key_text, read_call
from .capture import Policy
from .dask_events import close, defaults, error_attributes, finish, in_memory, journal_directory, nanoseconds
from .dask_measure import TOGETHER, Meter, embedded, telemetry
from .dask_process import SIGTERM_SECONDS, at_sigterm, closing
from .encoding import type_name
from .observer import FLUSH_SECONDS, Event, Recorder
from .process import process_identity
from .values import Limits, Summariser

__all__ = ["Executing"]

_MISSING = object()
_FUSED = 100  # names of the functions of one fused task
_EVENTS = {
    "RUNNING": "mida.task.started",
    "FINISHED": "mida.task.finished",
    "FAILED": "mida.task.failed",
    "CANCELLED": "mida.task.cancelled",
}


class Executing(WorkerPlugin):
    """Capture executions on one worker.

    The hook summarises arguments and result at once, keeps no reference to
    them, and leaves the rest to the recorder's thread.
    """

    name = "mida-worker"
    idempotent = True
    _forget_sigterm: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self, config: Dict[str, Any]) -> None:
        self.config = config
        self._recorder: Optional[Recorder] = None

    async def setup(self, worker: Any) -> None:
        """Start to observe; called by distributed. Never raises."""
        try:
            self._start(worker, await self._scheduler_id(worker))
        except Exception as error:
            import logging

            logging.getLogger("distributed.mida").warning(
                "this worker is not observed: %s: %s", type(error).__name__, error
            )

    async def _scheduler_id(self, worker: Any) -> str:
        known = self.config.get("scheduler_id")
        if known:
            return str(known)
        identity = await worker.scheduler.identity()
        return str(identity["id"])

    def _start(self, worker: Any, scheduler_id: str) -> None:
        config = self.config
        self._policy = Policy(config.get("capture"))
        self._worker = worker
        self._tasks: Dict[Any, Any] = worker.state.tasks
        self._threads = worker.threads
        self._fast = in_memory(worker.data)
        self._actors = worker.state.actors
        limits = Limits.of(config.get("limits"))
        self._summariser = Summariser(limits)
        self._arguments = Arguments(self._summariser, self._result)
        self._tick_arguments = Arguments(Summariser(limits), self._result)
        self._running: Dict[Any, float] = {}
        self._begun: Dict[Any, int] = {}
        self._loop, self._others = threading.get_ident(), int(embedded())  # the program's own threads
        self._announced: Dict[Any, int] = {}
        self._cancelled: Dict[Any, Tuple[int, Optional[Dict[str, Any]]]] = {}
        attributes = {"dask.worker.name": str(worker.name), "dask.worker.address": str(worker.address)}
        if worker.nanny:
            attributes["dask.nanny.address"] = str(worker.nanny)
        limit = getattr(getattr(worker, "memory_manager", None), "memory_limit", None)
        if limit:
            attributes["dask.worker.memory.limit"] = int(limit)
        self._recorder = Recorder(
            journal_directory(config),
            "dask-worker",
            finish(defaults(config, scheduler_id, "worker", attributes), self._policy),
            self._policy,
            config.get("journal"),
            tick=self._tick,
            witness=lambda: {"scheduler": scheduler_id, "worker": str(worker.address)},
            process=process_identity(),
        )
        self._meter = Meter(worker, self._recorder.failed)
        TOGETHER.join(self._running)
        self._recorder.start()
        self._forget_sigterm = at_sigterm(self._sigterm)
        self.transition = self._hook()  # type: ignore[method-assign]
        for task in (*worker.state.executing, *worker.state.long_running):  # since before this observer
            if task.state in ("executing", "long-running"):
                self._running[task.key] = task.start_time or time.time()

    async def teardown(self, worker: Any) -> None:
        """Write what is left; called when the worker closes or the plugin is removed."""
        recorder = self._recorder
        if recorder is None:
            return
        self._forget_sigterm()
        lives = not closing(worker)
        self._stop(lives)
        await close(recorder, lives=lives)

    def _stop(
        self, lives: bool, status: str = "CANCELLED", reason: str = "the worker closed while the task ran"
    ) -> None:
        self.transition = _nothing  # type: ignore[method-assign]
        self._meter.stop()
        TOGETHER.leave(self._running)
        for key in () if lives else list(self._running):
            try:
                self._end(key, status, reason=reason)
            except Exception as error:
                self._recorder.failed(error, "teardown")  # type: ignore[union-attr]

    def _sigterm(self) -> None:
        # Nobody cancelled the tasks. Why the signal came, the scheduler may know.
        self._stop(lives=False, status="FAILED", reason="the worker was ended by SIGTERM while the task ran")
        self._recorder.close(SIGTERM_SECONDS)  # type: ignore[union-attr]

    def _result(self, key: Any, missing: Any) -> Any:
        """Return a result that is in memory, without moving it between memory and disk."""
        return self._fast.get(key, missing) if self._fast is not None else missing

    # -- the hook --

    def _hook(self) -> Callable[..., None]:
        running, cancelled, recorder = self._running, self._cancelled, self._recorder
        now, end, odd = time.time, self._end, self._odd
        measured, begun, begin = self._meter.measured, self._begun, TOGETHER.begin
        assert recorder is not None

        def transition(key: Any, start: str, finish: str, **kwargs: Any) -> None:
            if finish == "executing":
                running[key] = now()
                begun[key] = begin()
                if measured:
                    measured.pop(key, None)  # of an execution that was cancelled
                return
            if start != "executing" and start != "long-running":
                if start == "released" and finish == "memory" or cancelled and key in cancelled:
                    odd(key, start, finish)
                return
            try:
                if finish == "memory":
                    end(key, "FINISHED")
                elif finish == "error":
                    end(key, "FAILED")
                elif finish != "long-running":
                    odd(key, start, finish)
            except Exception as error:
                recorder.failed(error, "transition")

        return transition

    def _odd(self, key: Any, start: str, finish: str) -> None:
        """Handle what is rare: cancellation while running, Reschedule, scattered data."""
        try:
            if start == "released":
                self._scattered(key)
            elif finish == "rescheduled" and start in ("executing", "long-running"):
                self._end(key, "CANCELLED", reason="rescheduled by the task")
            elif finish == "released" and start in ("executing", "long-running"):
                # It cannot be stopped: it runs on, and what it returns is thrown away.
                task = self._tasks[key]
                self._cancelled[key] = (task.run_id, self._captured(key, task, self._arguments))
            elif finish == "waiting":
                # Wanted again before it ended: the same execution counts, for a new attempt.
                attempt, captured = self._cancelled.pop(key)
                if attempt != self._tasks[key].run_id:
                    self._cancel(key, attempt, captured, "superseded by a new attempt")
                self._running.setdefault(key, time.time())
            elif finish == "memory" and start == "resumed":
                self._cancelled.pop(key)
                self._end(key, "FINISHED")
            elif finish in ("memory", "error", "released", "rescheduled"):
                attempt, captured = self._cancelled.pop(key)
                self._running.pop(key, None)
                self._begun.pop(key, None)
                self._announced.pop(key, None)
                self._cancel(key, attempt, captured, "cancelled while it ran; its outcome was thrown away")
        except Exception as error:
            assert self._recorder is not None
            self._recorder.failed(error, "transition")

    # -- capture --

    def _cancel(self, key: Any, attempt: int, captured: Optional[Dict[str, Any]], reason: str) -> None:
        if captured is not None:
            self._emit(key, attempt, "CANCELLED", time.time(), captured, {"reason": reason})

    def _named(self, key: Any, task: Any) -> Optional[Tuple[Call, Tuple[str, str]]]:
        """Return the call of a task and its names; None for what is no task of the user, or not to be captured."""
        call = read_call(task.run_spec)
        if call is None:
            return None
        names = call_names(call, key)
        if not self._policy.trivial_activities and not self._policy.activity(names[0]):
            return None
        return call, names

    def _capture(self, key: Any, task: Any, arguments: Arguments) -> Optional[Dict[str, Any]]:
        """Return what is known of an execution from its task: call, arguments, start; None when it is none."""
        named = self._named(key, task)
        if named is None:
            return None
        call, names = named
        summariser = arguments.summariser
        summariser.start()
        keys: FrozenSet[Any] = frozenset(d.key for d in task.dependencies) if BARE_KEYS else frozenset()
        used = arguments.read(call, keys)
        captured = {"names": names, "used": used, "refs": arguments.refs, "start": task.start_time}
        custom: Dict[str, Any] = {}
        if call.inner is not None:
            fused = [function_names(one.function)[1] for one in call.inner[:_FUSED]]
            custom["fused"] = (
                fused if len(call.inner) <= _FUSED else summariser.cut("list", len(call.inner), head=fused)
            )
        if arguments.refs_cut:
            named_keys = set(arguments.refs.values())
            left = sum(key_text(d.key) not in named_keys for d in task.dependencies)
            custom["refs"] = summariser.cut("dict", len(arguments.refs) + left)
        notes = task.annotations
        if notes and (len(notes) > 1 or "span" not in notes):
            custom["annotations"] = summariser.summarise({k: v for k, v in notes.items() if k != "span"})
        if custom:
            captured["custom"] = custom
        return captured

    def _captured(self, key: Any, task: Any, arguments: Arguments) -> Optional[Dict[str, Any]]:
        """As `_capture`; where that fails, what says at least that the task ran, if the policy lets that through."""
        recorder = self._recorder
        assert recorder is not None
        try:
            return self._capture(key, task, arguments)
        except Exception as error:
            recorder.failed(error, "capture")
        try:
            named = self._named(key, task)
        except Exception:
            return {} if self._policy.trivial_activities else None
        return None if named is None else {"names": named[1], "start": task.start_time}

    def _end(self, key: Any, status: str, reason: str = "") -> None:
        at = time.time()
        self._running.pop(key, None)
        together = self._begun.pop(key, None)
        if self._announced:
            self._announced.pop(key, None)
        task = self._tasks[key]
        measured = self._meter.take(key)  # also of a task that is not recorded
        captured = self._captured(key, task, self._arguments)
        if captured is None:
            return
        try:
            if status == "FINISHED":
                self._outcome(key, task, captured)
            elif status == "FAILED" and not reason:
                captured["error"] = (task.exception_text, task.traceback_text, getattr(task.exception, "data", None))
        except Exception as error:
            self._recorder.failed(error, "outcome")  # type: ignore[union-attr]
        captured["start"], stop = self._times(task, at)
        captured["thread"] = self._threads.get(key)
        captured["measured"] = measured
        if together is not None:
            captured["together"] = TOGETHER.end(together) + self._others
        self._emit(key, task.run_id, status, stop, captured, {"reason": reason} if reason else None)

    def _outcome(self, key: Any, task: Any, captured: Dict[str, Any]) -> None:
        value = self._result(key, _MISSING)
        if value is _MISSING:  # an actor, or already on disk
            kind = task.type
            captured["generated"] = {"value": {"$object": {"type": type_name(kind) if kind is not None else ""}}}
        else:
            captured["generated"] = self._summariser.fields(value)
        captured["nbytes"] = task.nbytes

    def _times(self, task: Any, at: float) -> Tuple[float, float]:
        """Return start and end in this worker's clock.

        Distributed writes them in the scheduler's clock, shifted by a delay
        that it corrects now and then: the shift may not be the one of now, so
        it is kept between what is known in this clock. The end is never before
        the start that may be announced already, also where the clock was set
        back: the later of two facts must have the later time.
        """
        began = task.start_time or at
        for entry in reversed(task.startstops):
            if entry["action"] == "compute":
                start, stop = entry["start"], entry["stop"]
                delay = self._worker.scheduler_delay
                if start - delay < began:
                    delay = start - began
                if stop - delay > at:
                    delay = stop - at
                start -= delay
                stop -= delay
                return start, max(start, stop, began)
        return began, at if at > began else began

    def _scattered(self, key: Any) -> None:
        """Record data that a client scattered: an entity, made by no task."""
        task = self._tasks.get(key)
        if task is None or task.run_spec is not None:
            return
        summariser = self._summariser
        summariser.start()
        value = self._result(key, _MISSING)
        kind, nbytes = type(value) if value is not _MISSING else task.type, task.nbytes
        record = {
            "id": f"dask:{self._recorder._writer.defaults['scope']}:{key_text(key)}",  # type: ignore[union-attr]
            "key": key_text(key),
            "type": type_name(kind) if kind is not None else "",
            "nbytes": nbytes,
        }
        if value is not _MISSING:
            record["value"] = summariser.summarise(value)
        at = time.time_ns()

        def make() -> Event:
            return {"event": "mida.entity.observed", "time": at, "key": record["key"], "record": record}

        self._recorder.put(make, summariser.cost)  # type: ignore[union-attr]

    def _emit(
        self, key: Any, attempt: int, status: str, at: float, captured: Dict[str, Any], custom: Optional[Dict[str, Any]]
    ) -> None:
        recorder = self._recorder
        assert recorder is not None
        cost = self._summariser.cost + self._arguments.cost
        recorder.put(lambda: self._event(key, attempt, status, at, captured, custom), cost)

    def _event(
        self, key: Any, attempt: int, status: str, at: float, captured: Dict[str, Any], custom: Optional[Dict[str, Any]]
    ) -> Event:
        """Build the event, in the recorder's thread."""
        ended = status != "RUNNING"
        start = captured.get("start")
        if start and at < start:
            at = start
        event: Event = {
            "event": _EVENTS[status],
            "time": nanoseconds(at),
            "key": key_text(key),
            "attempt": attempt,
            "status": status,
        }
        if start:
            event["started_at"] = nanoseconds(start)
        if ended:
            event["ended_at"] = nanoseconds(at)
        attributes: Dict[str, Any] = {}
        names = captured.get("names")
        if names:
            event["activity"] = names[0]
            if names[1]:
                attributes["code.function.name"] = names[1]
        for name in ("used", "generated"):
            if name in captured:
                event[name] = captured[name]
        if captured.get("refs"):
            event["refs"] = captured["refs"]
        if captured.get("thread") is not None:
            attributes["thread.id"] = captured["thread"]
        together = captured.get("together", 1)
        if captured.get("measured") is not None:
            threads = self._worker.state.nthreads
            event["telemetry"], attributes["mida.process.tasks"] = telemetry(captured["measured"], threads, together)
        elif "together" in captured:
            attributes["mida.process.tasks"] = together
            if captured.get("thread") in (None, self._loop):  # a coroutine
                attributes["mida.process.event_loop"] = True
        if captured.get("nbytes") is not None:
            attributes["dask.task.nbytes"] = captured["nbytes"]
        if "error" in captured:
            attributes.update(error_attributes(*captured["error"]))
        elif status == "FAILED":
            attributes.update({"error.type": "worker_lost", "exception.message": (custom or {}).get("reason", "")})
        if attributes:
            event["attributes"] = attributes
        custom = {**(custom or {}), **captured.get("custom", {})}
        if custom:
            event["custom"] = custom
        return finish(event, self._policy)

    # -- what runs for long, in the recorder's thread --

    def _tick(self) -> Iterable[Callable[[], Event]]:
        """Announce the tasks that have been running for longer than one flush."""
        if not self._running:
            return
        before = time.time() - FLUSH_SECONDS
        for key, since in list(self._running.items()):
            task = self._tasks.get(key)
            if since > before or task is None or self._announced.get(key) == task.run_id:
                continue
            attempt = task.run_id
            captured = self._captured(key, task, self._tick_arguments)
            if key not in self._running:
                continue
            self._announced[key] = attempt  # also where nothing can be said: it is not tried again
            if captured is None:
                continue
            at = captured["start"] = captured.get("start") or since
            yield functools.partial(self._event, key, attempt, "RUNNING", at, captured, None)


def _nothing(*args: Any, **kwargs: Any) -> None:
    """Replace the hook once the plugin is gone."""
