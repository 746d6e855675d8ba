"""Rows as a pandas DataFrame."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

__all__ = ["columns", "flatten", "to_dataframe"]


def to_dataframe(
    rows: Sequence[Dict[str, Any]],
    projection: Optional[List[str]] = None,
    aggregation: Optional[List[List[str]]] = None,
) -> Any:
    """Return a DataFrame with one column a field; whole tasks become ``used.layers``, ``generated.loss``, …"""
    try:
        import pandas
    except ImportError:
        raise ImportError("a DataFrame needs pandas: pip install pandas, or ask without as_dataframe") from None
    if projection or aggregation:
        return pandas.DataFrame(list(rows), columns=columns(projection, aggregation))
    return pandas.DataFrame([flatten(row) for row in rows])


def columns(projection: Optional[List[str]], aggregation: Optional[List[List[str]]]) -> List[str]:
    """Return the columns of an answer in the order in which they were asked for."""
    fields = [name[:-2] if name.endswith(".*") else name for name in projection or []]
    if aggregation:
        aggregated = {field for _, field in aggregation}
        fields = [f for f in fields if f not in aggregated]
        fields += [f"{operation}({field})" for operation, field in aggregation] + ["count"]
    return list(dict.fromkeys(fields))


def flatten(row: Dict[str, Any], prefix: str = "") -> Dict[str, Any]:
    """Join the names of nested maps with dots; encoded values such as ``{"$cut": …}`` stay as they are."""
    out: Dict[str, Any] = {}
    for key, value in row.items():
        name = prefix + key
        if isinstance(value, dict) and value and not any(k.startswith("$") for k in value):
            out.update(flatten(value, name + "."))
        else:
            out[name] = value
    return out
