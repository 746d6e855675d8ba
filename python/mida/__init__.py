"""One live, linked view over all workflows of a science team.

``mida.query(projection=…, aggregation=…, filter=…, sort=…, limit=…)`` asks the
collector's view of all tasks (``docs/query.md``). Everything is loaded when it
is first used: importing this package costs an observed process nothing.

Examples
--------
Listing 1 of the paper, the least loss per number of layers::

    import mida

    mida.query(
        projection=["used.layers", "generated.loss"],
        aggregation=[("min", "generated.loss")],
        filter={"workflow_name": "search", "status": "FINISHED"},
        sort=[("min(generated.loss)", mida.ASCENDING)],
    )
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List

__version__ = "0.1.0"

ASCENDING = "ascending"
DESCENDING = "descending"

if TYPE_CHECKING:
    from .annotating import annotate, notes
    from .client import (
        AuthenticationError,
        Client,
        MidaError,
        MidaWarning,
        NotFoundError,
        QueryError,
        UnreachableError,
        campaigns,
        completeness,
        lineage,
        query,
        query_df,
        report,
        task,
        workflows,
    )
    from .correlations import correlation, plot_correlation, scatter
    from .observing import Dask, Logs, MLflow, Observer, Observers, campaign
    from .originating import OUT_OF_MEMORY, origins
    from .watching import Watch, watch

__all__ = [
    "ASCENDING",
    "DESCENDING",
    "OUT_OF_MEMORY",
    "AuthenticationError",
    "Client",
    "Dask",
    "Logs",
    "MLflow",
    "MidaError",
    "MidaWarning",
    "NotFoundError",
    "Observer",
    "Observers",
    "QueryError",
    "UnreachableError",
    "Watch",
    "__version__",
    "annotate",
    "campaign",
    "campaigns",
    "completeness",
    "correlation",
    "lineage",
    "notes",
    "origins",
    "plot_correlation",
    "query",
    "query_df",
    "report",
    "scatter",
    "task",
    "watch",
    "workflows",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from . import annotating, client, correlations, observing, originating, watching

        modules = (m for m in (observing, correlations, annotating, originating, watching) if name in m.__all__)
        value = getattr(next(modules, client), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def load_ipython_extension(shell: Any) -> None:
    """``%load_ext mida``: see `mida.notebook`."""
    from .notebook import load

    load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """``%unload_ext mida``."""
    from .notebook import unload

    unload(shell)


def __dir__() -> List[str]:
    return sorted(__all__)
