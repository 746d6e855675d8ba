"""Identities and canonical JSON, the same as in Go (``internal/task``)."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from typing import Any

__all__ = ["canonical_json", "clean", "clean_text", "span_id", "task_id", "trace_id", "type_name"]

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
ID_VERSION = "mida/v1"


# ---- identity ----------------------------------------------------------------------------------------------------


def _digest(*parts: str) -> bytes:
    """Hash length-prefixed parts, so that no two lists of parts have the same input."""
    data = bytearray()
    for part in parts:
        raw = part.encode("utf-8", "replace")
        data += struct.pack(">I", len(raw)) + raw
    return hashlib.sha256(bytes(data)).digest()


def task_id(kind: str, scope: str, key: str) -> str:
    """Return the unique task id: 32 hex digits."""
    return _digest(ID_VERSION, "task", kind, scope, key)[:16].hex()


def span_id(kind: str, scope: str, key: str) -> str:
    """Return the id of the task's span: 16 hex digits."""
    return _digest(ID_VERSION, "span", kind, scope, key)[:8].hex()


def trace_id(kind: str, execution: str) -> str:
    """Return the id that all tasks of one execution share: 32 hex digits."""
    return _digest(ID_VERSION, "trace", kind, execution)[:16].hex()


# ---- canonical JSON ----------------------------------------------------------------------------------------------


def clean_text(text: str) -> str:
    """Replace lone surrogates, which UTF-8 cannot carry, by U+FFFD."""
    try:
        text.encode("utf-8")
        return text
    except UnicodeEncodeError:
        return "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text)


def clean(value: Any) -> Any:
    """Copy containers of texts so that UTF-8 can carry them: texts cleaned, keys as texts; all else as it is."""
    kind = type(value)
    if kind is str:
        return clean_text(value)
    if kind is dict:
        return {clean_text(k) if type(k) is str else str(k): clean(v) for k, v in value.items()}
    if kind is list or kind is tuple:
        return [clean(v) for v in value]
    return value


def _float(value: float) -> Any:
    if value != value:
        return {"$float": "NaN"}
    if value in (float("inf"), float("-inf")):
        return {"$float": "Infinity" if value > 0 else "-Infinity"}
    return value


def _prepare(value: Any) -> Any:
    """Replace what JSON cannot say by the ``$`` forms of the encoding."""
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is str:
        return clean_text(value)
    if kind is int:
        return value if INT64_MIN <= value <= INT64_MAX else {"$int": str(value)}
    if kind is float:
        return _float(value)
    if kind is bytes:
        return {"$bytes": base64.b64encode(value).decode("ascii")}
    if kind in (list, tuple):
        return [_prepare(v) for v in value]
    if kind is dict:
        return {clean_text(k) if type(k) is str else canonical_json(k): _prepare(v) for k, v in value.items()}
    return {"$object": {"type": type_name(kind)}}


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))


def canonical_json(value: Any) -> str:
    """Encode a summarised value as the canonical JSON of ``docs/data-model.md``.

    Keys are sorted by code point, floats always have a ``.`` or an ``e``,
    strings escape only ``"``, ``\\`` and control characters.
    """
    return _ENCODER.encode(_prepare(value))


# ---- types -------------------------------------------------------------------------------------------------------

_type_module = type.__dict__["__module__"].__get__
_type_qualname = type.__dict__["__qualname__"].__get__


def type_name(kind: type) -> str:
    """Return ``module.QualifiedName`` without running code of the class."""
    try:
        module, name = _type_module(kind), _type_qualname(kind)
    except Exception:
        return "object"
    if type(name) is not str:
        return "object"
    if type(module) is not str or module == "builtins":
        return name
    return module + "." + name
