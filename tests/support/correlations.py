"""Correlation matrices by pandas, of columns that do not come from the code under test."""

from __future__ import annotations

from typing import Any

import pandas

from .truth import Truth


def lab_book(truth: Truth) -> pandas.DataFrame:
    """Return arguments and results of all finished trainings as the scripts noted them: used.*, generated.*."""
    rows = []
    for call in truth.calls.values():
        record = call.record
        if record["function"] == "train" and record["status"] == "finished":
            used = {f"used.{k}": v for k, v in record["arguments"].items() if not isinstance(v, dict)}
            rows.append({**used, **{f"generated.{k}": v for k, v in record["result"].items()}})
    return pandas.DataFrame(rows)


def numbers(frame: pandas.DataFrame) -> pandas.DataFrame:
    """Return the columns of numbers, booleans as 0 and 1."""
    return frame.select_dtypes(["number", "bool"]).astype(float)


def compare(found: Any, frame: pandas.DataFrame, method: str) -> int:
    """Hold a correlation against pandas; return the number of coefficients that were compared."""
    frame = numbers(frame)
    compared = 0
    for x in found.index.intersection(frame.columns):
        for y in found.columns.intersection(frame.columns):
            got, want = found.loc[x, y], frame[x].corr(frame[y], method=method, min_periods=3)
            assert found.n.loc[x, y] == (frame[x].notna() & frame[y].notna()).sum(), (x, y)
            if want != want:
                assert got != got and found.reasons.loc[x, y], (x, y, got)
                continue
            assert abs(got - want) < 1e-9, (method, x, y, got, want)
            compared += 1
    return compared
