"""The campaign under a collector: start both, wait until the view holds all, compare."""

from __future__ import annotations

from pathlib import Path

from .campaign import DEMO_CONFIG
from .collector import Collector
from .compare import compare_tasks
from .links import compare_links
from .poll import until_none
from .truth import Truth, read_truth
from .view import View, read_links, read_view

OWN_KINDS = {"$in": ["dask", "mlflow", "log"]}


def demo_collector(workdir: Path, *overlays: dict, **options) -> Collector:
    """Return the collector as the demo configures it, with more configuration over it."""
    return Collector(workdir, [DEMO_CONFIG, *overlays], **options)


def without_campaign() -> dict:
    """Return a configuration in which no receiver names a campaign."""
    return {"receivers": {name: {"campaign": ""} for name in ("dask", "mlflow", "tasklog")}}


def differences(collector: Collector, truth: Truth, campaign: str | None) -> list[str]:
    """Compare tasks and links of the view with the truth, once."""
    client = collector.client()
    view = read_view(client, {"kind": OWN_KINDS})
    found = list(compare_tasks(truth, view, campaign))
    if found:
        return found
    ids = list(view.tasks)
    up, down = (read_links(client, ids, d) for d in ("upstream", "downstream"))
    sides = [{(link.source, link.target, link.entity) for link in side} for side in (up, down)]
    for odd in sides[0] ^ sides[1]:
        found.append(f"a link that is seen from one of its ends only: {odd}")
    return found + compare_links(truth, view, up)


def settle(collector: Collector, workdir: Path, campaign: str | None = "microscopy", timeout: float = 60.0) -> list:
    """Wait until the view equals the truth and no observer is open; return what still differs."""
    truth = read_truth(workdir)

    def left() -> list[str]:
        return differences(collector, truth, campaign) + unfinished(collector)

    return until_none(left, timeout)


def unfinished(collector: Collector) -> list[str]:
    """Name the Dask observers whose records have not all arrived."""
    return [
        f"observer {o['observer']} is {o['state']}: {o}"
        for o in collector.client().completeness()["observers"]
        if o["observer"].startswith("dask-") and o["state"] != "complete"
    ]


def snapshot(collector: Collector) -> View:
    """Return the whole view as it is now."""
    return read_view(collector.client())


def readable(differences: list[str], limit: int = 40) -> str:
    """Return differences as the text of a failed test."""
    more = f"\n… and {len(differences) - limit} more" if len(differences) > limit else ""
    return f"{len(differences)} differences:\n" + "\n".join(map(str, differences[:limit])) + more
