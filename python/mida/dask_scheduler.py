"""The scheduler's side of the Dask observer: what no worker can know."""

from __future__ import annotations

from typing import Any, Dict

from distributed.diagnostics.plugin import SchedulerPlugin

__all__ = ["DetachPlugin", "Scheduling"]


class Scheduling(SchedulerPlugin):
    """Observe the scheduler."""

    name = "mida-scheduler"
    idempotent = True

    def __init__(self, config: Dict[str, Any]) -> None:
        self.config = config
        self._started = False

    async def start(self, scheduler: Any) -> None:
        if self._started:
            return
        self._started = True
        config = {**self.config, "scheduler_id": scheduler.id}
        await scheduler.register_worker_plugin(None, plugin=self._worker_payload(config), name="mida-worker", idempotent=True)


class DetachPlugin(SchedulerPlugin):
    name = "mida-detach"

    def __init__(self, config):
        self.config = config
