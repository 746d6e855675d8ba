"""Correlations: hyperparameters with metrics, telemetry and elapsed time (``docs/correlation.md``)."""

from __future__ import annotations

import warnings
from typing import Any, Iterable, List, Mapping, Optional, Tuple, Union

from .client import Client, encode
from .errors import MidaWarning, QueryError

__all__ = ["ask", "correlation", "plot_correlation", "scatter"]

Fields = Union[str, Iterable[str]]
Params = List[Tuple[str, Any]]


def correlation(
    x: Optional[Fields] = None,
    y: Optional[Fields] = None,
    *,
    campaign: Optional[str] = None,
    filter: Optional[Mapping[str, Any]] = None,
    method: Optional[str] = None,
    correction: Optional[str] = None,
    min_n: Optional[int] = None,
    client: Optional[Client] = None,
) -> Any:
    """Return how each field of x goes together with each of y, as a DataFrame.

    Parameters
    ----------
    x, y
        Fields, or prefixes such as ``used.*`` and ``telemetry_peak.*``. Default: ``used.*`` with ``generated.*`` and
        ``elapsed``.
    campaign, filter
        Which tasks; choose those of one activity: ``filter={"activity_id": "train", "status": "FINISHED"}``.
    method
        ``pearson`` (default) or ``spearman``. A category and a number have the correlation ratio (eta), 0 to 1.
    correction
        Of the p-values, for the number of tests: ``benjamini-hochberg`` (default), ``holm``, ``bonferroni``, ``none``.
    min_n
        Tasks that a pair needs to have a coefficient (default: 3).
    client
        Which collector; the one that `Client` finds without it.

    Returns
    -------
    CorrelationFrame
        A DataFrame with attributes ``n``, ``p``, ``q``, ``statistics``, ``reasons`` and ``fields``, and `plot`.
    """
    try:
        from .correlation_frame import to_frame
    except ImportError:
        raise ImportError("mida.correlation needs pandas: pip install pandas") from None
    answer = ask(client or Client(), x, y, campaign, filter, method, correction, min_n)
    for text in answer.get("warnings", []):
        warnings.warn(text, MidaWarning, stacklevel=2)
    return to_frame(answer)


def ask(
    client: Client,
    x: Optional[Fields] = None,
    y: Optional[Fields] = None,
    campaign: Optional[str] = None,
    filter: Optional[Mapping[str, Any]] = None,
    method: Optional[str] = None,
    correction: Optional[str] = None,
    min_n: Optional[int] = None,
) -> Any:
    """Return the answer of the API as it is; needs no pandas."""
    params = _which(campaign, filter)
    for name, value in (("x", _names("x", x)), ("y", _names("y", y)), ("method", method), ("correction", correction)):
        if value is not None:
            params.append((name, value))
    if min_n is not None:
        params.append(("min_n", min_n))
    return client.get("/api/v1/correlation", params)


def scatter(
    x: str,
    y: str,
    *,
    campaign: Optional[str] = None,
    filter: Optional[Mapping[str, Any]] = None,
    limit: Optional[int] = None,
    client: Optional[Client] = None,
) -> Any:
    """Return the tasks that have both fields: ``points`` of ``id``, ``task_id``, ``x`` and ``y``; of many, a sample."""
    params = [*_which(campaign, filter), ("x", x), ("y", y)]
    if limit is not None:
        params.append(("limit", limit))
    return (client or Client()).get("/api/v1/correlation/scatter", params)


def plot_correlation(correlation: Any, **options: Any) -> Any:
    """Draw a heat map of what `correlation` returned; see `mida.correlation_plot.plot_correlation`."""
    from .correlation_plot import plot_correlation as plot

    return plot(correlation, **options)


def _which(campaign: Optional[str], filter: Optional[Mapping[str, Any]]) -> Params:
    params: Params = []
    if campaign is not None:
        params.append(("campaign_id", campaign))
    if filter is not None:
        params.append(("filter", encode(filter).decode()))
    return params


def _names(what: str, fields: Optional[Fields]) -> Optional[str]:
    if fields is None or isinstance(fields, str):
        return fields
    names = list(fields)
    for name in names:
        if not isinstance(name, str):
            raise QueryError(f"{what}: {name!r} is not the name of a field", field=what)
    return encode(names).decode()
