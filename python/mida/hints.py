"""What may be wrong with a question that the API can answer, with nothing."""

from __future__ import annotations

import difflib
from typing import Any, Dict, Iterator, List, Mapping, Sequence

from .client import Client
from .frames import flatten

__all__ = ["absent"]

# Fields whose names the user's programs choose, so that the API cannot know a wrong one.
FREE = ("used.", "generated.", "custom.", "telemetry_start.", "telemetry_end.", "telemetry_peak.")
LOOKED_AT = 100  # tasks whose fields are suggested


def absent(client: Client, body: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> List[str]:
    """Say which fields of a query no task has; nothing is asked when the rows have values for all of them."""
    suspects = [] if rows else list(_filtered(body.get("filter")))
    aggregates = body.get("aggregation") or []
    shown = {name: name for name in body.get("projection") or []}
    for operation, field in aggregates:
        shown.pop(field, None)
        shown[f"{operation}({field})"] = field
    suspects += [field for column, field in shown.items() if not any(column in row for row in rows)]
    unknown = [
        f for f in dict.fromkeys(suspects) if f.startswith(FREE) and not f.endswith(".*") and not _known(client, f)
    ]
    if not unknown:
        return []
    known = sorted({f for row in client.page({"limit": LOOKED_AT})["rows"] for f in flatten(row) if f.startswith(FREE)})
    return [f"no task has {field}{_suggestion(field, known)}" for field in unknown]


def _filtered(condition: Any) -> Iterator[str]:
    if isinstance(condition, list):
        for part in condition:
            yield from _filtered(part)
    if isinstance(condition, dict):
        for key, value in condition.items():
            if key.startswith("$"):
                yield from _filtered(value)
            else:
                yield key


def _known(client: Client, field: str) -> bool:
    wanted: Dict[str, Any] = {"filter": {field: {"$exists": True}}, "projection": ["id"], "limit": 1}
    return bool(client.page(wanted)["rows"])


def _suggestion(field: str, known: List[str]) -> str:
    root, _, name = field.partition(".")
    same = [other for other in known if other.startswith(root + ".")]
    for among in (same, known):  # a name that is right under another root, too: used.loss
        names = {other.partition(".")[2]: other for other in among}
        close = difflib.get_close_matches(name, names, 1)
        if close:
            return f"; did you mean {names[close[0]]}?"
    return f"; there is {', '.join(same[:10])}{', …' if len(same) > 10 else ''}" if same else ""
