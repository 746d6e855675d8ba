"""The scheduler's side of the Dask observer: what no worker can know."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any, Callable, Dict, List, Optional, Set, Tuple

from distributed.diagnostics.plugin import SchedulerPlugin

from .calls import call_names, function_names, key_text, read_call
from .capture import Policy
from .dask_client import client_script
from .dask_events import defaults, error_attributes, journal_directory, nanoseconds
from .observer import Event, Recorder

__all__ = ["DetachPlugin", "Scheduling"]

logger = logging.getLogger("distributed.mida")

WORKER_PLUGIN = "mida-worker"
_EVENTS = {"SUBMITTED": "mida.task.submitted", "FAILED": "mida.task.failed", "CANCELLED": "mida.task.cancelled"}
_ACTIVE = frozenset(("waiting", "processing", "queued", "no-worker"))
# Clients of distributed's own that want keys on behalf of others.
_NO_CLIENTS = ("fire-and-forget", "published-", "variable-", "queue-", "event-", "lock-", "semaphore-")


class _Known:
    """What the scheduler told about a task that it still knows."""

    __slots__ = ("at", "client", "others", "ended")

    def __init__(self, at: float, client: str) -> None:
        self.at, self.client = at, client
        self.others: Tuple[str, ...] = ()
        self.ended = False


class _Workflow:
    """A client, as the workflow of what it submits. The name is looked up in the recorder's thread."""

    def __init__(self, client: str, comm: Any, name: Optional[str]) -> None:
        self.client, self._comm, self._name = client, comm, name

    def name(self) -> str:
        """Return a readable name: as configured, the script of the client, or the short form of its id."""
        if self._name is None:
            try:
                script = client_script(self.client, self._comm)
            except Exception:
                script = None
            self._comm = None
            self._name = script or "dask " + self.client.rpartition("Client-")[2][:13]
        return self._name


class Scheduling(SchedulerPlugin):
    """Observe a scheduler, and bring the workers' plugin to its workers."""

    name = "mida-scheduler"
    idempotent = True

    def __init__(self, config: Dict[str, Any]) -> None:
        self.config = config
        self._recorder: Optional[Recorder] = None
        self._scheduler: Any = None

    def _worker_payload(self, config: Dict[str, Any]) -> bytes:
        raise NotImplementedError

    async def start(self, scheduler: Any) -> None:
        """Start to observe; called by distributed, by the preload, or by both. Never raises."""
        if self._scheduler is not None:
            return
        self._scheduler = scheduler
        try:
            self._start(scheduler)
            payload = self._worker_payload({**self.config, "scheduler_id": scheduler.id})
            await scheduler.register_worker_plugin(None, plugin=payload, name=WORKER_PLUGIN, idempotent=True)
        except Exception as error:
            logger.warning("this cluster is not observed: %s: %s", type(error).__name__, error)

    def _start(self, scheduler: Any) -> None:
        config = self.config
        self._policy = Policy(config.get("capture"))
        self._tasks: Dict[Any, Any] = scheduler.tasks
        self._known: Dict[Any, _Known] = {}
        self._left: Dict[Any, Tuple[str, Optional[int], str]] = {}
        self._lost: Tuple[str, List[Tuple[Any, Optional[int]]]] = ("", [])
        self._workflows: Dict[str, _Workflow] = {}
        self._announced: Set[str] = set()
        attributes = {"dask.scheduler.address": str(scheduler.address)}
        self._recorder = Recorder(
            journal_directory(config),
            "dask-scheduler",
            defaults(config, scheduler.id, "scheduler", attributes),
            self._policy,
            config.get("journal"),
            environment=False,
        )
        self._recorder.start()
        self.transition = self._hook()  # type: ignore[method-assign]

    async def before_close(self) -> None:
        """Tell the fate of what will never run, before the scheduler closes."""
        if self._recorder is None:
            return
        try:
            at = time.time()
            for key, known in list(self._known.items()):
                task = self._tasks.get(key)
                if task is not None and task.state in _ACTIVE and not known.ended:
                    self._say(task, known, at, "CANCELLED", {"reason": "the cluster closed"}, ended=True)
        except Exception as error:
            self._recorder.failed(error, "close")
        self.stop()

    async def close(self) -> None:
        """Write what is left."""
        self.stop()

    def stop(self) -> None:
        """Stop observing, and write what is left."""
        recorder = self._recorder
        if recorder is None:
            return
        self.transition = self.update_graph = _nothing  # type: ignore[method-assign,assignment]
        for client in self._announced:
            self._workflow_event(client, "mida.workflow.finished")
        self._recorder = None
        recorder.close()

    # -- hooks --

    def _hook(self) -> Callable[..., None]:
        known, left, odd, recorder = self._known, self._left, self._odd, self._recorder
        assert recorder is not None

        def transition(key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
            if finish == "memory" or finish == "processing" or start == "memory" and finish == "released":
                return
            try:
                if finish == "waiting":
                    if left:
                        left.pop(key, None)
                    if start == "released" and key in known and known[key].ended:
                        odd(key, start, finish, kwargs)
                elif finish == "forgotten" and key not in left:
                    known.pop(key, None)
                elif finish != "queued" and finish != "no-worker":
                    odd(key, start, finish, kwargs)
            except Exception as error:
                recorder.failed(error, "transition")

        return transition

    def _odd(self, key: Any, start: str, finish: str, kwargs: Dict[str, Any]) -> None:
        known = self._known.get(key)
        if known is None:
            return
        at = time.time()
        task = self._tasks[key]
        stimulus = str(kwargs.get("stimulus_id", ""))
        if finish == "released" and start in _ACTIVE:
            attempt = getattr(task, "run_id", None)
            self._left[key] = (start, attempt, stimulus)
            if start == "processing":
                if self._lost[0] != stimulus:
                    self._lost = (stimulus, [])
                self._lost[1].append((key, attempt))
        elif finish == "forgotten":
            state, attempt, stimulus = self._left.pop(key)
            self._known.pop(key)
            if known.ended:
                return
            custom = {"reason": _why(stimulus)}
            if state == "processing" and attempt is not None:
                self._attempt(task, known, attempt, at, "CANCELLED", {}, custom)
            self._say(task, known, at, "CANCELLED", custom, ended=state != "processing")
        elif finish == "waiting":  # a task that had ended is wanted again
            known.ended = False
            self._say(task, known, at, "SUBMITTED")
        elif finish == "erred":
            self._left.pop(key, None)
            self._erred(task, known, at, start, kwargs)

    def _erred(self, task: Any, known: _Known, at: float, start: str, kwargs: Dict[str, Any]) -> None:
        blame = task.exception_blame
        text = getattr(task, "exception_text", None)
        if start in ("waiting", "released") and blame is not None and blame is not task:
            cause = key_text(blame.key)
            error = error_attributes(getattr(blame, "exception_text", None), None)
            error["error.type"] = "upstream_failed"
            error["exception.message"] = f"{cause} failed: {error.get('exception.message', '')}".rstrip(": ")
            self._say(task, known, at, "FAILED", {"caused_by": cause}, error, ended=True)
        elif text or kwargs.get("exception_text"):
            # The worker says more about this attempt; the task's own fate stays known if that is lost.
            error = error_attributes(kwargs.get("exception_text") or text, kwargs.get("traceback_text"))
            self._say(task, known, at, "FAILED", None, error)
        elif start == "processing":
            last = str(kwargs.get("worker") or "")
            error = {
                "error.type": "worker_lost",
                "exception.type": "distributed.scheduler.KilledWorker",
                "exception.message": f"{task.suspicious} workers died while they ran it; the last was {last}",
            }
            attempt = getattr(task, "run_id", None)
            if attempt is not None:
                self._attempt(task, known, attempt, at, "FAILED", error, {"worker": last})
            self._say(task, known, at, "FAILED", None, error)
        else:
            error = {"error.type": "not_runnable", "exception.message": f"failed while it was {start}"}
            if start == "memory":
                error = {"error.type": "worker_lost", "exception.message": "the worker that held the actor was lost"}
            self._say(task, known, at, "FAILED", None, error, ended=True)

    def update_graph(self, scheduler: Any, *, client: str = "", tasks: Any = (), **kwargs: Any) -> None:
        """Record what a client submitted."""
        recorder = self._recorder
        if recorder is None:
            return
        try:
            at = time.time()
            if client not in self._announced:
                self._begin(client)
            by_key, known = self._tasks, self._known
            for key in tasks:
                task = by_key.get(key)
                if task is None or task.run_spec is None:
                    continue
                entry = known.get(key)
                if entry is None:
                    known[key] = entry = _Known(at, client)
                elif client == entry.client or client in entry.others:
                    continue
                else:
                    entry.others += (client,)
                    if entry.ended:
                        continue
                self._say(task, entry, at, "SUBMITTED")
        except Exception as error:
            recorder.failed(error, "update_graph")

    def remove_worker(self, scheduler: Any, worker: str, **kwargs: Any) -> None:
        """Tell which attempts were lost with a worker."""
        recorder = self._recorder
        if recorder is None:
            return
        try:
            stimulus, lost = self._lost
            if not lost or str(kwargs.get("stimulus_id", stimulus)) != stimulus:
                return
            self._lost = ("", [])
            at = time.time()
            error = {"error.type": "worker_lost", "exception.message": f"the worker {worker} was lost"}
            for key, attempt in lost:
                task, known = self._tasks.get(key), self._known.get(key)
                if task is not None and known is not None and attempt is not None:
                    self._attempt(task, known, attempt, at, "FAILED", error, {"worker": worker})
        except Exception as error:
            recorder.failed(error, "remove_worker")

    def remove_client(self, scheduler: Any, client: str) -> None:
        """Record the end of a workflow."""
        if self._recorder is None or client not in self._announced:
            return
        self._announced.discard(client)
        self._workflow_event(client, "mida.workflow.finished")

    # -- events --

    def _begin(self, client: str) -> None:
        self._announced.add(client)
        if client in self._workflows:
            return
        mains = [c for c in self._workflows if not _nested(c)]
        if _nested(client) and len(mains) == 1:
            # What a task submits belongs to the workflow of the task; with one workflow there is no doubt which.
            self._workflows[client] = self._workflows[mains[0]]
            return
        batched = self._scheduler.client_comms.get(client)
        comm = getattr(batched, "comm", None)
        self._workflows[client] = _Workflow(client, comm, self.config.get("workflow_name"))
        self._workflow_event(client, "mida.workflow.started")

    def _workflow_event(self, client: str, event: str) -> None:
        workflow, at = self._workflows.get(client), time.time()
        if workflow is None or workflow.client != client or self._recorder is None or client.startswith(_NO_CLIENTS):
            return

        def make() -> Event:
            return {
                "event": event,
                "time": nanoseconds(at),
                "workflow_id": client,
                "workflow_name": workflow.name(),
            }

        self._recorder.put(make, 200)

    def _say(
        self,
        task: Any,
        known: _Known,
        at: float,
        status: str,
        custom: Optional[Dict[str, Any]] = None,
        attributes: Optional[Dict[str, Any]] = None,
        ended: bool = False,
    ) -> None:
        """Emit the snapshot of a task as the scheduler sees it; nothing for what is no task of the user."""
        call = read_call(task.run_spec)
        if call is None:
            return
        key = task.key
        names = call_names(call, key)
        if not self._policy.trivial_activities and not self._policy.activity(names[0]):
            return
        known.ended = status != "SUBMITTED"
        needs = _dependencies(task)
        submitted, client, others = known.at, known.client, known.others
        workflow = self._workflows[client]

        def make() -> Event:
            event: Event = {
                "event": _EVENTS[status],
                "time": nanoseconds(at),
                "key": key_text(key),
                "status": status,
                "submitted_at": nanoseconds(submitted),
                "workflow_id": workflow.client,
                "workflow_name": workflow.name(),
                "activity": names[0],
                "dependencies": [key_text(k) for k in needs],
                "attributes": {"code.function.name": names[1], **(attributes or {})},
            }
            if ended:
                event["ended_at"] = nanoseconds(at)
            extra = dict(custom or {})
            if others:
                extra["requested_by"] = [client, *others]
            if extra:
                event["custom"] = extra
            return event

        assert self._recorder is not None
        self._recorder.put(make, 80 * len(needs) + 200)

    def _attempt(
        self,
        task: Any,
        known: _Known,
        attempt: int,
        at: float,
        status: str,
        attributes: Dict[str, Any],
        custom: Dict[str, Any],
    ) -> None:
        """Emit the fate of one attempt where its worker cannot."""
        call = read_call(task.run_spec)
        if call is None:
            return
        key, activity = task.key, function_names(call.function)[0] if call.inner is None else None
        if not self._policy.trivial_activities and not self._policy.activity(call_names(call, key)[0]):
            return

        def make() -> Event:
            event: Event = {
                "event": _EVENTS[status],
                "time": nanoseconds(at),
                "key": key_text(key),
                "attempt": attempt,
                "status": status,
                "ended_at": nanoseconds(at),
                "custom": dict(custom),
            }
            if activity:
                event["activity"] = activity
            if attributes:
                event["attributes"] = dict(attributes)
            return event

        assert self._recorder is not None
        self._recorder.put(make, 300)


class DetachPlugin(SchedulerPlugin):
    """Take the observer away from a running cluster; this plugin then leaves too.

    Parameters
    ----------
    config : dict
        With ``owner``, only an observer with the same owner is taken away.
    """

    name = "mida-detach"

    def __init__(self, config: Dict[str, Any]) -> None:
        self.config = config

    async def start(self, scheduler: Any) -> None:
        """Detach, and write what was observed."""
        try:
            plugin = scheduler.plugins.get(Scheduling.name)
            if plugin is not None and plugin.config.get("owner") == self.config.get("owner"):
                scheduler.remove_plugin(Scheduling.name)
                plugin.stop()
                if WORKER_PLUGIN in scheduler.worker_plugins:
                    await scheduler.unregister_worker_plugin(None, name=WORKER_PLUGIN)
        except Exception as error:
            logger.warning("the observer is not detached: %s: %s", type(error).__name__, error)
        finally:
            asyncio.get_running_loop().call_soon(scheduler.plugins.pop, self.name, None)


def _dependencies(task: Any) -> List[Any]:
    """Return the keys of the tasks it needs, looking through aliases and other internal steps of Dask."""
    needs: List[Any] = []
    if not task.dependencies:
        return needs
    stack, seen = list(task.dependencies), set()
    while stack:
        one = stack.pop()
        if one.key in seen or one.run_spec is None:  # scattered data comes from no task
            continue
        seen.add(one.key)
        if read_call(one.run_spec) is not None:
            needs.append(one.key)
        else:
            stack.extend(one.dependencies)
    return needs


def _nothing(*args: Any, **kwargs: Any) -> None:
    """Replace the hooks once the plugin is gone."""


def _nested(client: str) -> bool:
    return client.startswith("Client-worker-")


def _why(stimulus: str) -> str:
    if stimulus.startswith("cancel-key"):
        return "cancelled by the client"
    if stimulus.startswith("remove-client"):
        return "the client left"
    if stimulus.startswith("client-releases-keys"):
        return "no client wants it any more"
    return "released by the scheduler"
