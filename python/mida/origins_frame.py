"""The answer of the origins API as a pandas DataFrame; importing it needs pandas."""

from __future__ import annotations

from typing import Any, Dict

import pandas

__all__ = ["OriginsFrame", "to_frame"]

COLUMNS = ["statistic", "value", "n", "p", "q", "reason"]


class OriginsFrame(pandas.DataFrame):
    """Raw data behind tasks: a row for each task, data set that it used, and raw file behind that.

    What is made of it (slices, groups) is an ordinary DataFrame.

    Attributes
    ----------
    contrast
        DataFrame of what tells the tasks of ``filter`` from those of ``against``, the clearest first, by column:
        ``statistic``, ``value`` (above 0: higher with ``filter``), ``n``, ``p``, ``q``, ``reason``, and what the values
        of both are. None where nothing was to be told apart.
    answer
        The answer of the API as it came.
    """

    _metadata = ["contrast", "answer"]

    @property
    def _constructor(self) -> type:
        return pandas.DataFrame


def to_frame(answer: Dict[str, Any]) -> OriginsFrame:
    """Return the rows of an answer."""
    frame = OriginsFrame(answer["rows"], columns=answer["columns"])
    frame.answer, frame.contrast = answer, None
    if "contrast" in answer:
        rows = []
        for one in answer["contrast"]["columns"]:
            row = {name: one.get(name) for name in ("column", *COLUMNS)}
            for group in ("filter", "against"):
                row.update({f"{group}.{name}": one[group].get(name) for name in ("tasks", "min", "max", "values")})
            rows.append(row)
        ranges = [f"{group}.{name}" for group in ("filter", "against") for name in ("tasks", "min", "max", "values")]
        frame.contrast = pandas.DataFrame(rows, columns=["column", *COLUMNS, *ranges]).set_index("column")
        for name in ("value", "p", "q"):
            frame.contrast[name] = frame.contrast[name].astype(float)
    return frame
