"""The short forms of the command line: ``used.layers>2``, ``min(generated.loss)``, ``ended_at:desc``."""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List

from .errors import QueryError

__all__ = ["HELP", "parse_aggregate", "parse_filter", "parse_sort"]

HELP = (
    "FIELD OP VALUE, such as 'used.layers>2' or 'status=FAILED', with = != < <= > >= or ~ for a pattern; or a filter "
    "as JSON; may be repeated, all must hold"
)

_OPERATORS = {"!=": "$ne", "<=": "$lte", ">=": "$gte", "<": "$lt", ">": "$gt", "~": "$regex", "=": "$eq", "==": "$eq"}
_CONDITION = re.compile(r"\s*([A-Za-z_][^\s=!<>~]*)\s*(!=|<=|>=|==|<|>|~|=)\s*(.*)", re.DOTALL)
_AGGREGATE = re.compile(r"\s*(\w+)\s*\(\s*(.+?)\s*\)\s*")


def parse_filter(text: str) -> Dict[str, Any]:
    """Return the filter of one condition. The value is JSON where it can be read as such, else the text itself."""
    if text.lstrip().startswith("{"):
        try:
            value = json.loads(text)
        except ValueError as error:
            raise QueryError(f"filter: {text!r} is not JSON: {error}", field="filter") from None
        return value
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise QueryError(f"filter: {text!r} is no condition; want one such as used.layers>2", field="filter")
    field, operator, raw = match.groups()
    value = raw.strip()
    if operator != "~":
        value = _value(value)
    return {field: {_OPERATORS[operator]: value}}


def _value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=lambda name: {"$float": name})
    except ValueError:
        return text


def parse_aggregate(text: str) -> List[str]:
    """Return the pair of operation and field."""
    match = _AGGREGATE.fullmatch(text)
    if match is None:
        raise QueryError(
            f"aggregate: {text!r} is no aggregate; want one such as min(generated.loss)", field="aggregation"
        )
    return [match.group(1), match.group(2)]


def parse_sort(text: str) -> List[str]:
    """Return the pair of field and direction; ``-field`` and ``field:desc`` are descending."""
    field, _, direction = text.rpartition(":")
    if not field:
        field, direction = text, "ascending"
    if field.startswith("-"):
        field, direction = field[1:], "descending"
    if not field:
        raise QueryError(f"sort: {text!r} names no field; want one such as ended_at:desc", field="sort")
    return [field, direction]
