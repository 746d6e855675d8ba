"""Observe a Dask cluster from a preload of its scheduler, with no change to any script.

``DASK_DISTRIBUTED__SCHEDULER__PRELOAD=mida.dask_preload``, or in a YAML file
of Dask's configuration::

    distributed:
      scheduler:
        preload: mida.dask_preload
"""

from __future__ import annotations

import logging
from typing import Any

logger = logging.getLogger("distributed.mida")


async def dask_setup(scheduler: Any) -> None:
    """Add the plugin to a scheduler; other servers are left alone. Never raises."""
    try:
        from distributed import Scheduler

        if not isinstance(scheduler, Scheduler):
            return
        from .dask import SchedulerPlugin

        if SchedulerPlugin.name in scheduler.plugins:
            return
        plugin = SchedulerPlugin()
        await plugin.start(scheduler)
        scheduler.add_plugin(plugin, idempotent=True, name=plugin.name)
    except Exception as error:
        logger.warning("this cluster is not observed: %s: %s", type(error).__name__, error)
