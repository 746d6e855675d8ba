"""Rows as a pandas DataFrame."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Tuple

__all__ = ["columns", "flatten", "spread", "to_dataframe"]

# What every task has, for a frame or file of none.
ALWAYS = ["id", "task_id", "kind", "campaign_id", "workflow_id", "workflow_name", "activity_id", "status"]


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
    if not projection and not aggregation:
        return pandas.DataFrame([flatten(row) for row in rows], columns=None if rows else ALWAYS)
    rows, names = spread(rows, projection, aggregation)
    return pandas.DataFrame(rows, columns=names)


def spread(
    rows: Sequence[Dict[str, Any]],
    projection: Optional[List[str]],
    aggregation: Optional[List[List[str]]],
) -> Tuple[List[Dict[str, Any]], List[str]]:
    """Give what was asked for as ``used.*`` one column a field; return the rows and their columns in order."""
    names = columns(projection, aggregation)
    wide = {name[:-2] for name in projection or [] if name.endswith(".*")} if not aggregation else set()
    if not wide:
        return list(rows), names
    flat = []
    found: Dict[str, Dict[str, None]] = {name: {} for name in wide}  # the columns that each becomes
    for row in rows:
        out: Dict[str, Any] = {}
        for key, value in row.items():
            if key in wide and isinstance(value, dict):
                fields = flatten(value, key + ".")
                found[key].update(dict.fromkeys(fields))
                out.update(fields)
            else:
                out[key] = value
        flat.append(out)
    order = [column for name in names for column in (found[name] if name in wide else (name,))]
    return flat, list(dict.fromkeys(order))


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
