"""The worker's side of the Dask observer: what each execution used, generated, and how it ended."""

from __future__ import annotations

import ast
import collections
import functools
import os
import pickletools
import socket
import sys
import time
from typing import Any, Callable, Deque, Dict, FrozenSet, Iterable, List, Optional, Tuple

from distributed.diagnostics.plugin import WorkerPlugin

from .calls import Arguments, Call, function_names, key_text, read_call
from .capture import Policy
from .encoding import Limits, Summariser, type_name
from .environment import job_attributes, user_name
from .journal import default_directory
from .observer import FLUSH_SECONDS, Event, Recorder

__all__ = ["Executing", "defaults", "error_attributes", "journal_directory", "nanoseconds"]

_MISSING = object()
_TRACEBACK = 16384
_EVENTS = {
    "RUNNING": "mida.task.started",
    "FINISHED": "mida.task.finished",
    "FAILED": "mida.task.failed",
    "CANCELLED": "mida.task.cancelled",
}


def journal_directory(config: Dict[str, Any]) -> str:
    """Return the journal directory on this node: this process's environment, the configuration, or the default."""
    given = os.environ.get("MIDA_JOURNAL_DIR") or (config.get("journal") or {}).get("directory")
    if given:
        expanded = os.path.expanduser(os.path.expandvars(given))
        if "$" not in expanded:
            return os.path.abspath(expanded)
    return default_directory()


def defaults(config: Dict[str, Any], scheduler_id: str, role: str, attributes: Dict[str, Any]) -> Event:
    """Return what holds for every event of this process.

    The scheduler's host and process are not where a task ran, so only a
    worker's events carry theirs.
    """
    event: Event = {
        "kind": "dask",
        "scope": scheduler_id,
        "execution": scheduler_id,
        "facet": role,
        "resource": {"service.name": "dask-" + role},
        "attributes": {"user.name": user_name(), **attributes},
    }
    if role == "worker":
        event["resource"]["host.name"] = socket.gethostname()
        event["attributes"].update({"process.pid": os.getpid(), "process.working_directory": _cwd()})
        event["attributes"].update(job_attributes())
    if config.get("campaign"):
        event["campaign"] = config["campaign"]
    return event


def _cwd() -> str:
    try:
        return os.getcwd()
    except OSError:
        return ""


def error_attributes(text: Optional[str], traceback: Optional[str], pickled: Any = None) -> Dict[str, Any]:
    """Describe an exception from what distributed kept of it; the exception itself is not rebuilt.

    Parameters
    ----------
    text : str
        Its ``repr``.
    traceback : str
        The formatted traceback.
    pickled : bytes, optional
        Its pickle, which names the module of its class.
    """
    text = text or ""
    short = text.partition("(")[0].strip()[:200] or "unknown"
    name = _class_in_pickle(pickled, short) if type(pickled) is bytes else short
    out = {"error.type": name, "exception.type": name}
    message = _message(text, short)
    if message:
        out["exception.message"] = message[:2000]
    if traceback:
        if len(traceback) > _TRACEBACK:
            cut = f"\n[{len(traceback) - _TRACEBACK} characters cut]\n"
            traceback = traceback[: _TRACEBACK // 4] + cut + traceback[-3 * _TRACEBACK // 4 :]
        out["exception.stacktrace"] = traceback
    return out


def _message(text: str, short: str) -> str:
    """Return what is between the parentheses of a ``repr``; of a single text, the text."""
    if not (text.startswith(short + "(") and text.endswith(")")):
        return text
    inner = text[len(short) + 1 : -1].rstrip(",")
    if inner[:1] in ("'", '"') and len(inner) < 20000:
        try:
            literal = ast.literal_eval(inner)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return inner
        if type(literal) is str:
            return literal
    return inner


def _class_in_pickle(data: bytes, short: str) -> str:
    """Find the class of this name in a pickle by reading its instructions, not by running them."""
    recent: Deque[Any] = collections.deque(maxlen=2)
    memo: List[Any] = []
    try:
        for count, (code, value, _) in enumerate(pickletools.genops(data[:65536])):
            if count > 5000:
                break
            name = code.name
            if name in ("SHORT_BINUNICODE", "BINUNICODE"):
                recent.append(value)
            elif name == "MEMOIZE":
                memo.append(recent[-1] if recent else None)
            elif name in ("BINGET", "LONG_BINGET"):
                recent.append(memo[value] if value < len(memo) else None)
            elif name == "STACK_GLOBAL" and len(recent) == 2 and all(type(r) is str for r in recent):
                module, qualified = recent
                if qualified.rpartition(".")[2] == short:
                    return qualified if module == "builtins" else f"{module}.{qualified}"
    except Exception:
        pass  # cut, or of a newer protocol
    return short


class Executing(WorkerPlugin):
    """Capture executions on one worker.

    The hook summarises arguments and result at once, keeps no reference to
    them, and leaves the rest to the recorder's thread.
    """

    name = "mida-worker"
    idempotent = True

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
        self._fast = _in_memory(worker.data)
        self._actors = worker.state.actors
        limits = Limits.of(config.get("limits"))
        self._summariser = Summariser(limits)
        self._arguments = Arguments(self._summariser, self._result)
        self._tick_arguments = Arguments(Summariser(limits), self._result)
        self._running: Dict[Any, float] = {}
        self._announced: Dict[Any, int] = {}
        self._cancelled: Dict[Any, Tuple[int, Dict[str, Any]]] = {}
        attributes = {"dask.worker.name": str(worker.name), "dask.worker.address": str(worker.address)}
        if worker.nanny:
            attributes["dask.nanny.address"] = str(worker.nanny)
        self._recorder = Recorder(
            journal_directory(config),
            "dask-worker",
            defaults(config, scheduler_id, "worker", attributes),
            self._policy,
            config.get("journal"),
            tick=self._tick,
        )
        self._recorder.start()
        self.transition = self._hook()  # type: ignore[method-assign]

    def teardown(self, worker: Any) -> None:
        """Write what is left; called when the worker closes or the plugin is removed."""
        recorder = self._recorder
        if recorder is None:
            return
        self.transition = _nothing  # type: ignore[method-assign]
        try:
            if _closing(worker):
                for key in list(self._running):
                    self._end(key, "CANCELLED", reason="the worker closed while the task ran")
        except Exception as error:
            recorder.failed(error, "teardown")
        recorder.close()

    def _result(self, key: Any, missing: Any) -> Any:
        """Return a result that is in memory, without moving it between memory and disk."""
        return self._fast.get(key, missing) if self._fast is not None else missing

    # -- the hook --

    def _hook(self) -> Callable[..., None]:
        running, cancelled, recorder = self._running, self._cancelled, self._recorder
        now, end, odd = time.time, self._end, self._odd
        assert recorder is not None

        def transition(key: Any, start: str, finish: str, **kwargs: Any) -> None:
            if finish == "executing":
                running[key] = now()
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
                self._cancelled[key] = (task.run_id, self._capture(key, task, self._arguments) or {})
            elif finish == "waiting":
                # Wanted again before it ended: the same execution counts, for a new attempt.
                attempt, _ = self._cancelled.pop(key)
                if attempt != self._tasks[key].run_id:
                    self._emit(key, attempt, "CANCELLED", time.time(), {}, {"reason": "superseded by a new attempt"})
                self._running.setdefault(key, time.time())
            elif finish == "memory" and start == "resumed":
                self._cancelled.pop(key)
                self._end(key, "FINISHED")
            elif finish in ("memory", "error", "released", "rescheduled"):
                attempt, captured = self._cancelled.pop(key)
                self._running.pop(key, None)
                self._announced.pop(key, None)
                custom = {"reason": "cancelled while it ran; its outcome was thrown away"}
                self._emit(key, attempt, "CANCELLED", time.time(), captured, custom)
        except Exception as error:
            assert self._recorder is not None
            self._recorder.failed(error, "transition")

    # -- capture --

    def _capture(self, key: Any, task: Any, arguments: Arguments) -> Optional[Dict[str, Any]]:
        """Return what is known of an execution from its task: call, arguments, start; None when it is none."""
        call = read_call(task.run_spec)
        if call is None:
            return None
        names = _names(call, key)
        if not self._policy.trivial_activities and not self._policy.activity(names[0]):
            return None
        summariser = arguments._summariser
        summariser.start()
        keys: FrozenSet[Any] = _NO_KEYS
        if task.dependencies:
            keys = frozenset(d.key for d in task.dependencies)
        used = arguments.read(call, keys)
        captured = {"names": names, "used": used, "refs": arguments.refs, "start": task.start_time}
        if call.inner is not None:
            captured["fused"] = [function_names(one.function)[1] for one in call.inner[:100]]
        notes = task.annotations
        if notes and (len(notes) > 1 or "span" not in notes):
            captured["notes"] = summariser.summarise({k: v for k, v in notes.items() if k != "span"})
        return captured

    def _end(self, key: Any, status: str, reason: str = "") -> None:
        at = time.time()
        self._running.pop(key, None)
        if self._announced:
            self._announced.pop(key, None)
        task = self._tasks[key]
        captured = self._capture(key, task, self._arguments)
        if captured is None:
            return
        start, stop = self._times(task, at)
        captured["start"] = start
        captured["thread"] = self._threads.get(key)
        custom = {"reason": reason} if reason else None
        if status == "FINISHED":
            value = self._result(key, _MISSING)
            if value is _MISSING:
                kind = task.type
                captured["generated"] = {"value": {"$object": {"type": type_name(kind) if kind is not None else ""}}}
            else:
                captured["generated"] = self._summariser.fields(value)
            captured["nbytes"] = task.nbytes
        elif status == "FAILED":
            captured["error"] = (task.exception_text, task.traceback_text, getattr(task.exception, "data", None))
        self._emit(key, task.run_id, status, stop, captured, custom)

    def _times(self, task: Any, at: float) -> Tuple[float, float]:
        """Return start and end in this worker's clock.

        Distributed writes them in the scheduler's clock, shifted by a delay
        that it corrects now and then: the shift may not be the one of now, so
        it is kept between what is known in this clock.
        """
        began = task.start_time or at
        for entry in reversed(task.startstops):
            if entry["action"] == "compute":
                start, stop = entry["start"], entry["stop"]
                delay = self._worker.scheduler_delay
                delay = min(max(delay, stop - at), max(start - began, stop - at))
                start, stop = start - delay, stop - delay
                return start, max(start, stop)
        return began, max(began, at)

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
        recorder.put(lambda: self._event(key, attempt, status, at, captured, custom), self._summariser.cost)

    def _event(
        self, key: Any, attempt: int, status: str, at: float, captured: Dict[str, Any], custom: Optional[Dict[str, Any]]
    ) -> Event:
        """Build the event, in the recorder's thread."""
        ended = status != "RUNNING"
        start = captured.get("start")
        event: Event = {
            "event": _EVENTS[status],
            "time": nanoseconds(at),
            "key": key_text(key),
            "attempt": attempt,
            "status": status,
        }
        if start:
            event["started_at"] = nanoseconds(min(start, at))
        if ended:
            event["ended_at"] = nanoseconds(at)
        attributes: Dict[str, Any] = {}
        names = captured.get("names")
        if names:
            event["activity"] = names[0]
            attributes["code.function.name"] = names[1]
            event["used"] = captured["used"]
            if captured["refs"]:
                event["refs"] = captured["refs"]
        if "generated" in captured:
            event["generated"] = captured["generated"]
        if captured.get("thread") is not None:
            attributes["thread.id"] = captured["thread"]
        if captured.get("nbytes") is not None:
            attributes["dask.task.nbytes"] = captured["nbytes"]
        if "error" in captured:
            attributes.update(error_attributes(*captured["error"]))
        if attributes:
            event["attributes"] = attributes
        custom = dict(custom or {})
        if "fused" in captured:
            custom["fused"] = captured["fused"]
        if "notes" in captured:
            custom["annotations"] = captured["notes"]
        if custom:
            event["custom"] = custom
        return event

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
            captured = self._capture(key, task, self._tick_arguments)
            if key not in self._running:
                continue
            self._announced[key] = attempt
            if captured is None:
                continue
            at = captured["start"] = captured["start"] or since
            yield functools.partial(self._event, key, attempt, "RUNNING", at, captured, None)


_NO_KEYS: FrozenSet[Any] = frozenset()


def _names(call: Call, key: Any) -> Tuple[str, str]:
    """Return activity and full function name; a fused graph and a lambda are named by Dask's key."""
    names = function_names(call.function)
    if call.inner is None and names[0] != "lambda":
        return names
    from dask.utils import key_split

    full = function_names(call.inner[-1].function)[1] if call.inner else names[1]
    return key_split(key), full


def _in_memory(data: Any) -> Optional[Dict[Any, Any]]:
    """Return the dict of results that are in memory now; None where the store is not one we know."""
    if type(data) is dict:
        return data
    fast = getattr(getattr(data, "fast", None), "d", None)
    if fast is None:
        return None
    return fast if isinstance(fast, dict) else None


def _closing(worker: Any) -> bool:
    status = getattr(worker.status, "name", str(worker.status))
    return status not in ("running", "paused", "init", "undefined")


def _nothing(*args: Any, **kwargs: Any) -> None:
    """Replace the hook once the plugin is gone."""


def nanoseconds(seconds: float) -> int:
    """Return a time as integer nanoseconds, exact to the microsecond that a float carries."""
    return int(seconds * 1e6) * 1000


if sys.version_info < (3, 9):  # pragma: no cover
    raise ImportError("mida needs Python 3.9 or newer")
