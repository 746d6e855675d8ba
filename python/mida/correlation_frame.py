"""The answer of the correlation API as a pandas DataFrame; importing it needs pandas."""

from __future__ import annotations

from typing import Any, Dict, List

import pandas

__all__ = ["CorrelationFrame", "to_frame"]


class CorrelationFrame(pandas.DataFrame):
    """Coefficients, with one row a field of x and one column a field of y; NaN where there is none.

    What is made of it (slices, sums) is an ordinary DataFrame.

    Attributes
    ----------
    n, p, q
        DataFrames of the same shape: tasks that have both fields, p-values, p-values corrected for many tests.
    statistics, reasons
        DataFrames of the same shape: ``pearson``, ``spearman`` or ``eta``, and why there is no coefficient.
    fields
        DataFrame of the fields of both sides: kind, how many values count, how many are missing or left out, range.
    answer
        The answer of the API as it came.
    """

    _metadata = ["n", "p", "q", "statistics", "reasons", "fields", "answer"]

    @property
    def _constructor(self) -> type:
        return pandas.DataFrame

    def plot(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        """Draw a heat map; see `mida.plot_correlation`."""
        from .correlation_plot import plot_correlation

        return plot_correlation(self, *args, **kwargs)


def to_frame(answer: Dict[str, Any]) -> CorrelationFrame:
    """Return the matrix of an answer."""
    x, y = ([f["field"] for f in answer[side]] for side in ("x", "y"))
    cells = answer["cells"]

    def shaped(key: str, missing: Any, kind: type) -> pandas.DataFrame:
        values: List[Any] = [cell.get(key, missing) for cell in cells]
        rows = [values[i * len(y) : (i + 1) * len(y)] for i in range(len(x))]
        return pandas.DataFrame(rows, index=x, columns=y, dtype=kind)

    frame = CorrelationFrame(shaped("value", float("nan"), float))
    frame.n, frame.p, frame.q = shaped("n", 0, int), shaped("p", float("nan"), float), shaped("q", float("nan"), float)
    frame.statistics, frame.reasons = shaped("statistic", "", object), shaped("reason", "", object)
    rows = [{"side": side, **field} for side in ("x", "y") for field in answer[side]]
    frame.fields = pandas.DataFrame(rows).set_index(["side", "field"]) if rows else pandas.DataFrame()
    for name in ("missing", "null", "not_finite", "other", "text", "numbers", "booleans", "categories"):
        if name in frame.fields:
            frame.fields[name] = frame.fields[name].fillna(0).astype(int)
    frame.answer = answer
    return frame
