"""The scheduler's side of the Dask observer: what no worker can know."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any, Callable, Dict, List, Optional, Tuple

from distributed.diagnostics.plugin import SchedulerPlugin

from .calls import key_text
from .capture import Policy
from .dask_events import close, defaults, error_attributes, finish, journal_directory
from .dask_graph import Steps
from .dask_memory import NANNY_TOPIC, Evicted
from .dask_scheduler_events import OTHERS, Known, Telling
from .dask_witness import Workers
from .observer import Recorder

__all__ = ["DetachPlugin", "Scheduling"]

logger = logging.getLogger("distributed.mida")

WORKER_PLUGIN = "mida-worker"
_ACTIVE = frozenset(("waiting", "processing", "queued", "no-worker"))
_SLICE = 0.005  # seconds of the event loop that looking back takes at a time


class Scheduling(SchedulerPlugin):
    """Observe a scheduler, and bring the workers' plugin to its workers."""

    name = "mida-scheduler"
    idempotent = True

    def __init__(self, config: Dict[str, Any]) -> None:
        self.config = config
        self._recorder: Optional[Recorder] = None
        self._scheduler: Any = None
        self._looking_back: Optional[asyncio.Future[None]] = None

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
            if scheduler.tasks:
                self._looking_back = asyncio.ensure_future(self._look_back())
        except Exception as error:
            logger.warning("this cluster is not observed: %s: %s", type(error).__name__, error)

    def _start(self, scheduler: Any) -> None:
        config = self.config
        policy = Policy(config.get("capture"))
        self._tasks: Dict[Any, Any] = scheduler.tasks
        self._left: Dict[Any, Tuple[str, Optional[int], str]] = {}
        self._lost: Tuple[str, List[Tuple[Any, Optional[int]]]] = ("", [])
        self._memory = Evicted()
        self._workers = Workers(scheduler)
        attributes = {"dask.scheduler.address": str(scheduler.address)}
        self._recorder = recorder = Recorder(
            journal_directory(config),
            "dask-scheduler",
            finish(defaults(config, scheduler.id, "scheduler", attributes), policy),
            policy,
            config.get("journal"),
            environment=False,
            witness=self._workers.record,
        )
        recorder.start()
        self._tell = Telling(scheduler, recorder, policy, config.get("workflow_name"))
        self.transition = self._hook()  # type: ignore[method-assign]

    async def before_close(self) -> None:
        """Tell the fate of what will never run, before the scheduler closes."""
        recorder = self._recorder
        if recorder is None:
            return
        at = self._tell.now()
        for key, known in list(self._tell.known.items()):
            task = self._tasks.get(key)
            if task is None or task.state not in _ACTIVE or known.ended or known.done:
                continue
            try:
                self._tell.task(task, known, at, "CANCELLED", {"reason": "the cluster closed"}, ended=True)
            except Exception as error:
                recorder.failed(error, "close")
        await self.stop()

    async def close(self) -> None:
        """Write what is left."""
        await self.stop()

    async def stop(self, lives: bool = False) -> None:
        """Stop observing, and write what is left; `lives` says that the scheduler goes on."""
        recorder, self._recorder = self._recorder, None
        if recorder is None:
            return
        self.transition = self.update_graph = _nothing  # type: ignore[method-assign,assignment]
        if self._looking_back is not None:
            self._looking_back.cancel()
        for client in list(self._tell.announced):
            self._tell.end(client)
        await close(recorder, lives)

    # -- what was there before --

    async def _look_back(self) -> None:
        """Tell of what clients wanted before this observer came, bit by bit: the scheduler must not wait."""
        clients = self._scheduler.clients
        for client in sorted(clients, key=lambda name: name.startswith(OTHERS)):
            state = clients.get(client)
            keys = [task.key for task in state.wants_what] if state is not None else []
            seen = set()
            while keys:
                until = time.perf_counter() + _SLICE
                while keys and time.perf_counter() < until:
                    key = keys.pop()
                    task = self._tasks.get(key)
                    if task is None or key in seen:
                        continue
                    seen.add(key)
                    keys.extend(need.key for need in task.dependencies)
                    try:
                        self._found(task, client)
                    except Exception as error:
                        if self._recorder is not None:
                            self._recorder.failed(error, "look back")
                await asyncio.sleep(0)

    def _found(self, task: Any, client: str) -> None:
        tell, key = self._tell, task.key
        if task.run_spec is None or key in tell.known:
            return
        if client not in tell.announced:
            tell.begin(client)
        wanting = (state.client_key for state in task.who_wants or ())
        others = tuple(c for c in wanting if c != client and not c.startswith(OTHERS))
        known = tell.known[key] = Known(0, client, others)
        at = tell.now()
        if task.state in _ACTIVE:
            tell.task(task, known, at, "SUBMITTED")
        elif task.state == "erred":
            self._erred(task, known, at, "waiting", {})
        else:  # what was released may have run, or was never needed
            tell.task(task, known, at, "FINISHED" if task.state == "memory" else "UNKNOWN")

    # -- hooks --

    def _hook(self) -> Callable[..., None]:
        tell, left, odd, recorder = self._tell, self._left, self._odd, self._recorder
        known, wide, finished = tell.known, tell.wide, self._workers.finished
        assert recorder is not None

        def transition(key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
            if finish == "memory":
                if start == "processing":
                    entry = known.get(key)
                    if entry is not None:
                        entry.done = True
                        if entry.called:
                            finished[kwargs.get("worker")] += 1
                if not wide or key not in wide:
                    return
            elif finish == "processing" or start == "memory" and finish == "released":
                return
            try:
                if finish == "waiting":
                    if left:
                        left.pop(key, None)
                    if start == "released" and key in known and known[key].ended:
                        odd(key, start, finish, kwargs)
                elif finish == "forgotten" and key not in left:
                    tell.forget(key)
                elif finish != "queued" and finish != "no-worker":
                    odd(key, start, finish, kwargs)
            except Exception as error:
                recorder.failed(error, "transition")

        return transition

    def _odd(self, key: Any, start: str, finish: str, kwargs: Dict[str, Any]) -> None:
        tell = self._tell
        known = tell.known.get(key)
        if known is None:
            return
        at = tell.now()
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
            try:
                if known.ended or known.done:  # a lost result that nobody wants any more is not computed again
                    return
                custom = {"reason": _why(stimulus)}
                if state == "processing" and attempt is not None:
                    tell.attempt(task, attempt, at, "CANCELLED", {}, custom)
                tell.task(task, known, at, "CANCELLED", custom, ended=state != "processing")
            finally:
                tell.forget(key)
        elif finish == "waiting":  # a task that had ended is wanted again
            known.ended = False
            tell.task(task, known, at, "SUBMITTED")
        elif finish == "erred":
            self._left.pop(key, None)
            self._erred(task, known, at, start, kwargs)
        elif finish == "memory":  # a wide step, which no worker tells of
            tell.task(task, known, at, "FINISHED", ended=True)

    def _erred(self, task: Any, known: Known, at: int, start: str, kwargs: Dict[str, Any]) -> None:
        blame = task.exception_blame
        text = getattr(task, "exception_text", None)
        if start in ("waiting", "released") and blame is not None and blame is not task:
            cause = key_text(blame.key)
            error = error_attributes(getattr(blame, "exception_text", None), None)
            error["error.type"] = "upstream_failed"
            error["exception.message"] = f"{cause} failed: {error.get('exception.message', '')}".rstrip(": ")
            self._tell.task(task, known, at, "FAILED", {"caused_by": cause}, error, ended=True)
        elif text or kwargs.get("exception_text"):
            # The worker says more about this attempt; the task's own fate stays known if that is lost.
            error = error_attributes(kwargs.get("exception_text") or text, kwargs.get("traceback_text"))
            self._tell.task(task, known, at, "FAILED", None, error)
        elif start == "processing":
            last = str(kwargs.get("worker") or "")
            error = {
                "error.type": "worker_lost",
                "exception.type": "distributed.scheduler.KilledWorker",
                "exception.message": f"{task.suspicious} workers died while they ran it; the last was {last}",
            }
            attempt = getattr(task, "run_id", None)
            if attempt is not None:
                self._went_with(last, task, attempt, at, error)
            self._tell.task(task, known, at, "FAILED", None, error)
        else:
            error = {"error.type": "not_runnable", "exception.message": f"failed while it was {start}"}
            if start == "memory":
                error = {"error.type": "worker_lost", "exception.message": "the worker that held the actor was lost"}
            self._tell.task(task, known, at, "FAILED", None, error, ended=True)

    def update_graph(self, scheduler: Any, *, client: str = "", tasks: Any = (), **kwargs: Any) -> None:
        """Record what a client submitted."""
        recorder = self._recorder
        if recorder is None:
            return
        try:
            at = self._tell.now()
            if client not in self._tell.announced:
                self._tell.begin(client)
        except Exception as error:
            recorder.failed(error, "update_graph")
            return
        steps: Steps = {}
        for key in tasks:
            try:
                self._submitted(key, client, at, steps)
            except Exception as error:
                recorder.failed(error, "update_graph")

    def _submitted(self, key: Any, client: str, at: int, steps: Steps) -> None:
        task, known = self._tasks.get(key), self._tell.known
        if task is None or task.run_spec is None:
            return
        entry = known.get(key)
        if entry is None:
            known[key] = entry = Known(at, client)
        elif client == entry.client or client in entry.others:
            return
        else:
            entry.others += (client,)
            if entry.ended:
                return
        self._tell.task(task, entry, at, "SUBMITTED", steps=steps)

    def add_worker(self, scheduler: Any, worker: str) -> None:
        """Note a worker of the cluster."""
        if self._recorder is not None:
            self._workers.came(worker)
            self._memory.came(worker)

    def log_event(self, topic: str, msg: Any) -> None:
        """Hear that a nanny ended a worker for its memory: before the scheduler misses it, or after."""
        recorder = self._recorder
        if recorder is None or topic != NANNY_TOPIC:
            return
        try:
            for key, attempt, error in self._memory.told(msg, self._scheduler.workers):
                task = self._tasks.get(key)
                if task is not None:
                    self._went_with(str(msg["worker"]), task, attempt, self._tell.now(), error)
        except Exception as caught:
            recorder.failed(caught, "log_event")

    def _went_with(self, worker: str, task: Any, attempt: int, at: int, error: Dict[str, Any]) -> None:
        """Tell that an attempt was lost with its worker, and what is known of that one's end."""
        known = self._memory.end_of(worker, task.key, attempt, error)
        self._tell.attempt(task, attempt, at, "FAILED", {**error, **known}, {"worker": worker})

    def remove_worker(self, scheduler: Any, worker: str, **kwargs: Any) -> None:
        """Tell which attempts were lost with a worker."""
        recorder = self._recorder
        if recorder is None:
            return
        self._workers.went(worker)
        stimulus, lost = self._lost
        if not lost or str(kwargs.get("stimulus_id", stimulus)) != stimulus:
            return
        self._lost = ("", [])
        at = self._tell.now()
        error = {"error.type": "worker_lost", "exception.message": f"the worker {worker} was lost"}
        for key, attempt in lost:
            task = self._tasks.get(key)
            if task is None or key not in self._tell.known or attempt is None:
                continue
            try:
                self._went_with(worker, task, attempt, at, error)
            except Exception as caught:
                recorder.failed(caught, "remove_worker")

    def remove_client(self, scheduler: Any, client: str) -> None:
        """Record the end of a workflow."""
        if self._recorder is not None:
            self._tell.end(client)


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
                try:
                    if WORKER_PLUGIN in scheduler.worker_plugins:
                        await scheduler.unregister_worker_plugin(None, name=WORKER_PLUGIN)
                finally:
                    await plugin.stop(lives=True)
        except Exception as error:
            logger.warning("the observer is not detached: %s: %s", type(error).__name__, error)
        finally:
            asyncio.get_running_loop().call_soon(scheduler.plugins.pop, self.name, None)


def _nothing(*args: Any, **kwargs: Any) -> None:
    """Replace the hooks once the plugin is gone."""


def _why(stimulus: str) -> str:
    if stimulus.startswith("cancel-key"):
        return "cancelled by the client"
    if stimulus.startswith("remove-client"):
        return "the client left"
    if stimulus.startswith("client-releases-keys"):
        return "no client wants it any more"
    return "released by the scheduler"
