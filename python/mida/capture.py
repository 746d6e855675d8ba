"""What may leave the process: the ``capture:`` policy of an observer."""

from __future__ import annotations

import fnmatch
import json
import os
import re
from typing import Any, Dict, List, Optional, Tuple

__all__ = ["Policy", "PolicyError", "read_policy"]

VALUES = ("values", "numbers", "none")


# The first parts of the names of fields, as in the collector's own policy (internal/capture/config.go).
_ROOTS = ("used", "generated", "custom", "attributes", "annotations", "tags", "stdout", "stderr")
_KEPT_ROOTS = ("used", "generated", "annotations")

_NOTHING = object()  # what is left of a field of which nothing is


class PolicyError(ValueError):
    """The policy is not valid; the message names the key, its value and what would be."""


def _globs(config: Dict[str, Any], name: str) -> Optional[re.Pattern[str]]:
    patterns = config.get(name)
    if patterns is None:
        return None
    if not isinstance(patterns, list) or not all(isinstance(p, str) for p in patterns):
        raise PolicyError(f'capture.{name}: {patterns!r}: want a list of patterns such as ["train*"]')
    return re.compile("|".join(fnmatch.translate(p) for p in patterns)) if patterns else None


def _field_globs(config: Dict[str, Any], name: str, roots: Tuple[str, ...]) -> Optional[re.Pattern[str]]:
    globs = _globs(config, name)
    for pattern in config.get(name) or ():
        if not _names_field(pattern, roots):
            raise PolicyError(
                f"capture.{name}: {pattern!r} names no field; want a full name, or a glob, that begins with "
                f"{', '.join(roots)}, for example {'used.' + (pattern or 'x')!r}"
            )
    return globs


def _names_field(pattern: str, roots: Tuple[str, ...]) -> bool:
    """Say whether a pattern can name something: its first part is a root, or has a wildcard."""
    first = pattern.partition(".")[0]
    return first in roots or any(c in first for c in "*?[")


class Policy:
    """Keep or drop activities and fields.

    Parameters
    ----------
    config : dict, optional
        ``keep_activities``, ``drop_activities``, ``keep_fields``,
        ``drop_fields``: lists of globs. Fields are paths such as
        ``used.cfg.path`` or ``generated.loss``; a glob that names a parent
        covers what is below. ``values``: ``values`` (default), ``numbers``
        (numbers and booleans stay, the rest becomes its type) or ``none``.
    """

    KEYS = ("keep_activities", "drop_activities", "keep_fields", "drop_fields", "values")

    def __init__(self, config: Optional[Dict[str, Any]] = None) -> None:
        config = config or {}
        if not isinstance(config, dict):
            raise PolicyError(f"capture: {config!r}: want a mapping with the keys {', '.join(self.KEYS)}")
        for name in config:
            if name not in self.KEYS:
                raise PolicyError(f"capture.{name}: no such key; valid are {', '.join(self.KEYS)}")
        self.values = config.get("values", "values")
        if self.values not in VALUES:
            raise PolicyError(f"capture.values: {self.values!r}: want one of {', '.join(VALUES)}")
        self._keep_activities = _globs(config, "keep_activities")
        self._drop_activities = _globs(config, "drop_activities")
        self._keep_fields = _field_globs(config, "keep_fields", _KEPT_ROOTS)
        self._drop_fields = _field_globs(config, "drop_fields", _ROOTS)
        self.trivial_activities = self._keep_activities is None and self._drop_activities is None
        self._dropping = self
        if self.values != "values" or self._keep_fields is not None:
            self._dropping = Policy({"drop_fields": config["drop_fields"]}) if self._drop_fields is not None else None
        self._patterns = self._keep_fields is not None or self._drop_fields is not None
        self.trivial = self.values == "values" and not self._patterns

    def activity(self, name: str) -> bool:
        """Say whether tasks of this activity are captured at all."""
        if self._drop_activities is not None and self._drop_activities.match(name):
            return False
        return self._keep_activities is None or self._keep_activities.match(name) is not None

    def fields(self, root: str, values: Dict[str, Any]) -> Dict[str, Any]:
        """Return the part of ``used`` or ``generated`` (`root`) that the policy lets through."""
        if self.trivial:
            return values
        if self._drop_fields is not None and self._drop_fields.match(root):
            return {}
        return self._filter(root, values, self._keep_fields is None or self._keep_fields.match(root) is not None)

    def drop(self, root: str, values: Dict[str, Any]) -> Dict[str, Any]:
        """Return the part of ``attributes`` or ``custom`` (`root`) that ``drop_fields`` lets through."""
        return values if self._dropping is None else self._dropping.fields(root, values)

    def _filter(self, path: str, values: Dict[str, Any], kept: bool) -> Dict[str, Any]:
        out: Dict[str, Any] = {}
        for name, value in values.items():
            field = path + "." + name
            if self._drop_fields is not None and self._drop_fields.match(field):
                continue
            keep = kept or (self._keep_fields is not None and self._keep_fields.match(field) is not None)
            left = self._value(field, value, keep)
            if left is not _NOTHING:
                out[name] = left
        return out

    def _value(self, field: str, value: Any, kept: bool) -> Any:
        """Return what is left of a field.

        What is inside of a list or of a marker has the name that it has without it, as in queries:
        ``used.parts.n`` are those of all parts.
        """
        kind = type(value)
        if kind is dict:
            inner = value["$map"] if len(value) == 1 and type(value.get("$map")) is dict else value
            if inner is not value or not _marker(value):
                below = self._filter(field, inner, kept)
                if not below and (inner or not kept):
                    return _NOTHING
                return {"$map": below} if inner is not value and _marker(below) else below
            cut = value.get("$cut")
            if type(cut) is dict and self._inside(cut.get("head")):
                head = self._value(field, cut["head"], kept)
                value = {"$cut": {k: v for k, v in cut.items() if k != "head"}}
                if head is not _NOTHING:
                    kept = True
                    value["$cut"]["head"] = head
        elif kind is list and self._inside(value):
            below = [v for v in (self._value(field, v, kept) for v in value) if v is not _NOTHING]
            return below or _NOTHING
        if not kept or self.values == "none":
            return _NOTHING
        return value if self.values == "values" else _numbers(value)

    def _inside(self, value: Any) -> bool:
        """Say whether there may be fields in a value that the policy treats differently."""
        if not self._patterns or self.values == "none":
            return False
        kind = type(value)
        return kind is dict or (kind is list and any(type(v) in (dict, list) for v in value))


def _marker(value: Dict[str, Any]) -> bool:
    return len(value) == 1 and next(iter(value))[:1] == "$"


def _numbers(value: Any) -> Any:
    kind = type(value)
    if kind in (int, float, bool) or value is None:
        return value
    if kind is list:
        return [_numbers(v) for v in value]
    if kind is dict:
        if _marker(value) and next(iter(value)) in ("$array", "$object", "$ref", "$int", "$redacted"):
            return value
        if _marker(value) and "$cut" in value and type(value["$cut"]) is dict:
            return {"$cut": {k: v for k, v in value["$cut"].items() if k != "head"}}
        return {k: _numbers(v) for k, v in value.items()}
    return {"$object": {"type": kind.__name__}}


def read_policy(path: str) -> Dict[str, Any]:
    """Read a policy from the JSON file that ``MIDA_CAPTURE`` names."""
    try:
        with open(os.path.expanduser(path), encoding="utf-8") as file:
            config = json.load(file)
    except (OSError, ValueError) as error:
        raise PolicyError(f"MIDA_CAPTURE={path}: {error}") from error
    Policy(config)
    return config


def strings(values: Any, out: List[str]) -> None:
    """Collect the strings of summarised values, for the resolution of paths."""
    kind = type(values)
    if kind is str:
        out.append(values)
    elif kind is list:
        for v in values:
            strings(v, out)
    elif kind is dict:
        for v in values.values():
            strings(v, out)
