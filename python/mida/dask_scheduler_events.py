"""The events of the scheduler's side of the Dask observer: tasks, attempts and workflows as the scheduler sees them."""

from __future__ import annotations

from typing import Any, Dict, Optional, Set, Tuple

from .calls import call_names, key_split, key_text, read_call
from .capture import Policy
from .dask_client import Workflow
from .dask_events import finish
from .dask_graph import DEPENDENCIES, Steps, dependencies
from .observer import Event, Recorder

__all__ = ["OTHERS", "Known", "Telling"]

_EVENTS = {
    "UNKNOWN": "mida.task.progress",
    "SUBMITTED": "mida.task.submitted",
    "FINISHED": "mida.task.finished",
    "FAILED": "mida.task.failed",
    "CANCELLED": "mida.task.cancelled",
}
# Clients of distributed's own that want keys on behalf of others.
OTHERS = ("fire-and-forget", "published-", "variable-", "queue-", "event-", "lock-", "semaphore-")


class Known:
    """What the scheduler told about a task that it still knows."""

    __slots__ = ("at", "called", "client", "done", "others", "ended")

    def __init__(self, at: int, client: str, others: Tuple[str, ...] = ()) -> None:
        self.at, self.client, self.others = at, client, others  # at is 0 for what was submitted before this observer
        self.ended = False
        self.done = False  # it finished on a worker, whatever becomes of its result
        self.called = False  # a call that is told of: its worker tells of it too


class Telling:
    """Tell the recorder what the scheduler knows. Belongs to the scheduler's event loop.

    Parameters
    ----------
    scheduler : Scheduler
        The scheduler.
    recorder : Recorder
        Takes the events.
    policy : Policy
        Which activities are told of.
    workflow_name : str, optional
        One name for all workflows.
    """

    def __init__(self, scheduler: Any, recorder: Recorder, policy: Policy, workflow_name: Optional[str]) -> None:
        self._scheduler, self._recorder, self._policy = scheduler, recorder, policy
        self._workflow_name = workflow_name
        self._workflows: Dict[str, Workflow] = {}
        self.announced: Set[str] = set()
        self.known: Dict[Any, Known] = {}
        self.wide: Set[Any] = set()  # internal steps that are told of, see `dependencies`
        self.now = recorder.stamp

    # -- workflows --

    def begin(self, client: str) -> None:
        """Announce a client that submits for the first time."""
        self.announced.add(client)
        if client in self._workflows:
            return
        mains = [c for c in self._workflows if not _nested(c)]
        if _nested(client) and len(mains) == 1:
            # What a task submits belongs to the workflow of the task; with one workflow there is no doubt which.
            self._workflows[client] = self._workflows[mains[0]]
            return
        batched = self._scheduler.client_comms.get(client)
        self._workflows[client] = Workflow(client, getattr(batched, "comm", None), self._workflow_name)
        self._workflow(client, "mida.workflow.started")

    def end(self, client: str) -> None:
        """Tell that a client is gone."""
        if client in self.announced:
            self.announced.discard(client)
            self._workflow(client, "mida.workflow.finished")

    def _workflow(self, client: str, name: str) -> None:
        workflow, at = self._workflows[client], self.now()
        if workflow.client != client or client.startswith(OTHERS):
            return
        event = {"event": name, "time": at, "workflow_id": client, "workflow_name": workflow.name}
        self._recorder.put(lambda: event, 200)

    # -- tasks --

    def forget(self, key: Any) -> None:
        """Forget a task that the scheduler forgets."""
        self.known.pop(key, None)
        self.wide.discard(key)

    def _names(self, task: Any) -> Optional[Tuple[str, str]]:
        """Return activity and function of a task that is told of."""
        call = read_call(task.run_spec)
        if call is not None:
            names = call_names(call, task.key)
        elif task.key in self.wide:
            names = (key_split(task.key), "")
        else:
            return None
        return names if self._policy.trivial_activities or self._policy.activity(names[0]) else None

    def task(
        self,
        task: Any,
        known: Known,
        at: int,
        status: str,
        custom: Optional[Dict[str, Any]] = None,
        attributes: Optional[Dict[str, Any]] = None,
        ended: bool = False,
        steps: Optional[Steps] = None,
    ) -> None:
        """Emit the snapshot of a task as the scheduler sees it; nothing for what is no task of the user."""
        names = self._names(task)
        if names is None:
            return
        known.ended = status != "SUBMITTED"
        key = task.key
        known.called = key not in self.wide
        needs, wide = dependencies(task, {} if steps is None else steps)
        count = len(needs)
        submitted, client, others = known.at, known.client, known.others
        workflow = self._workflows[client]
        del needs[DEPENDENCIES:]

        def make() -> Event:
            event: Event = {
                "event": _EVENTS[status],
                "time": at,
                "key": key_text(key),
                "status": status,
                "workflow_id": workflow.client,
                "workflow_name": workflow.name,
                "activity": names[0],
                "dependencies": [key_text(k) for k in needs],
                "attributes": dict(attributes or {}),
            }
            if names[1]:
                event["attributes"]["code.function.name"] = names[1]
            if submitted:
                event["submitted_at"] = submitted
            if ended:
                event["ended_at"] = at
            extra = dict(custom or {})
            if others:
                extra["requested_by"] = [client, *others]
            if count > len(needs):
                extra["dependencies"] = {"$cut": {"type": "list", "length": count}}
            if extra:
                event["custom"] = extra
            return finish(event, self._policy)

        self._recorder.put(make, 80 * len(needs) + 200)
        for step in wide:
            if step.key not in self.wide:
                self._wide(step, client, at, steps)

    def _wide(self, step: Any, client: str, at: int, steps: Optional[Steps]) -> None:
        """Tell of an internal step that is named as a dependency, so that lineage goes on through it."""
        self.wide.add(step.key)
        known = self.known.get(step.key)
        if known is None:
            self.known[step.key] = known = Known(at, client)
        done = step.state == "memory"
        self.task(step, known, at, "FINISHED" if done else "SUBMITTED", steps=steps)

    def attempt(
        self,
        task: Any,
        attempt: int,
        at: int,
        status: str,
        attributes: Dict[str, Any],
        custom: Dict[str, Any],
    ) -> None:
        """Emit the fate of one attempt where its worker cannot."""
        if read_call(task.run_spec) is None:
            return
        names = self._names(task)
        if names is None:
            return
        key = task.key

        def make() -> Event:
            event: Event = {
                "event": _EVENTS[status],
                "time": at,
                "key": key_text(key),
                "attempt": attempt,
                "status": status,
                "activity": names[0],
                "ended_at": at,
                "custom": dict(custom),
            }
            if attributes:
                event["attributes"] = dict(attributes)
            return finish(event, self._policy)

        self._recorder.put(make, 300)


def _nested(client: str) -> bool:
    return client.startswith("Client-worker-")
