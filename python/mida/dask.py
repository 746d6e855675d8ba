"""Observe Dask: plugins for the scheduler and its workers.

With two lines in a client::

    import mida.dask
    client.register_plugin(mida.dask.SchedulerPlugin(campaign="my_campaign_1"))

or with none, by a preload of the scheduler (`mida.dask_preload`) or by the
collector, which attaches to a running cluster. In each case the scheduler's
plugin brings the workers' plugin to all present and future workers, by value:
they need neither files nor environment of ours.
"""

from __future__ import annotations

import json
import os
from typing import Any, Dict, Optional

from .capture import Policy, read_policy
from .dask_scheduler import DetachPlugin, Scheduling
from .dask_worker import Executing

__all__ = ["SchedulerPlugin", "WorkerPlugin", "configuration", "plugin"]

# Set by the loader where this module came by value: the texts to pass on.
CARRIED: Optional[Dict[str, str]] = None


def configuration(**given: Any) -> Dict[str, Any]:
    """Return the configuration of this process: what was given, then the environment.

    ``MIDA_CAMPAIGN``, ``MIDA_JOURNAL_DIR``, ``MIDA_CAPTURE`` (a JSON file) and
    ``MIDA_WORKFLOW`` are read. A directory that is not absolute is taken from
    the current one, unless it begins with a variable.
    """
    config = {k: v for k, v in given.items() if v is not None}
    if not config.get("campaign") and os.environ.get("MIDA_CAMPAIGN"):
        config["campaign"] = os.environ["MIDA_CAMPAIGN"]
    if not config.get("workflow_name") and os.environ.get("MIDA_WORKFLOW"):
        config["workflow_name"] = os.environ["MIDA_WORKFLOW"]
    journal = dict(config.get("journal") or {})
    if not journal.get("directory") and os.environ.get("MIDA_JOURNAL_DIR"):
        journal["directory"] = os.environ["MIDA_JOURNAL_DIR"]
    directory = journal.get("directory")
    if directory and not directory.startswith("$"):
        journal["directory"] = os.path.abspath(os.path.expanduser(directory))
    if journal:
        config["journal"] = journal
    if "capture" not in config and os.environ.get("MIDA_CAPTURE"):
        config["capture"] = read_policy(os.environ["MIDA_CAPTURE"])
    Policy(config.get("capture"))  # complains now, where somebody reads it
    return config


def _carried() -> Dict[str, str]:
    """Return the texts of the modules: those that came here, or those of the installed files."""
    if CARRIED is not None:
        return CARRIED
    from . import _inject

    here = os.path.dirname(os.path.abspath(__file__))
    texts = {}
    for name in _inject.MODULES:
        with open(os.path.join(here, name + ".py"), encoding="utf-8") as file:
            texts[name] = file.read()
    with open(os.path.join(here, "_inject.py"), encoding="utf-8") as file:
        boot = file.read()
    return {"sources": json.dumps(texts, sort_keys=True), "boot": boot}


def _loader(boot: str) -> Dict[str, Any]:
    names: Dict[str, Any] = {"__name__": "mida_inject"}
    exec(boot, names)
    return names


class _ByValue:
    """A plugin that is pickled as the source it is made of."""

    kind = ""
    config: Dict[str, Any]

    def __reduce__(self) -> Any:
        carried = _carried()
        names = {**carried, "kind": self.kind, "config": json.dumps(self.config)}
        return eval, (_loader(carried["boot"])["EXPRESSION"], names)


class WorkerPlugin(_ByValue, Executing):
    """Observe the tasks of a worker; the scheduler's plugin registers it by itself.

    Parameters
    ----------
    config : dict, optional
        The keys of ``mida._inject``; the environment fills what is missing.
    """

    kind = "worker"

    def __init__(self, config: Optional[Dict[str, Any]] = None) -> None:
        Executing.__init__(self, configuration(**(config or {})))


class SchedulerPlugin(_ByValue, Scheduling):
    """Observe a cluster: submissions, clients, cancellations, lost workers; and bring the plugin to its workers.

    Parameters
    ----------
    campaign : str, optional
        The campaign; else ``MIDA_CAMPAIGN``, else what the collector says.
    config : dict, optional
        The other keys of ``mida._inject``.
    """

    kind = "scheduler"

    def __init__(self, campaign: Optional[str] = None, config: Optional[Dict[str, Any]] = None) -> None:
        given = dict(config or {})
        if campaign is not None:
            given["campaign"] = campaign
        Scheduling.__init__(self, configuration(**given))

    def _worker_payload(self, config: Dict[str, Any]) -> bytes:
        carried = _carried()
        return _loader(carried["boot"])["payload"]("worker", config, carried["sources"], carried["boot"])


def plugin(kind: str, config: Dict[str, Any]) -> Any:
    """Return the plugin of a kind: ``scheduler``, ``worker`` or ``detach``."""
    if kind == "worker":
        return WorkerPlugin(config)
    if kind == "scheduler":
        return SchedulerPlugin(config=config)
    if kind == "detach":
        return DetachPlugin(config)
    raise ValueError(f"kind {kind!r}: want scheduler, worker or detach")
