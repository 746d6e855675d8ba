"""What may leave the process: the ``capture:`` policy of an observer."""

from __future__ import annotations

import fnmatch
import json
import os
import re
from typing import Any, Dict, List, Optional

__all__ = ["Policy", "PolicyError", "read_policy"]

VALUES = ("values", "numbers", "none")


class PolicyError(ValueError):
    """The policy is not valid; the message names the key, its value and what would be."""


def _globs(config: Dict[str, Any], name: str) -> Optional[re.Pattern[str]]:
    patterns = config.get(name)
    if patterns is None:
        return None
    if not isinstance(patterns, list) or not all(isinstance(p, str) for p in patterns):
        raise PolicyError(f'capture.{name}: {patterns!r}: want a list of patterns such as ["train*"]')
    return re.compile("|".join(fnmatch.translate(p) for p in patterns)) if patterns else None


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
        self._keep_fields = _globs(config, "keep_fields")
        self._drop_fields = _globs(config, "drop_fields")
        self.trivial_activities = self._keep_activities is None and self._drop_activities is None
        self.trivial = self.values == "values" and self._keep_fields is None and self._drop_fields is None

    def activity(self, name: str) -> bool:
        """Say whether tasks of this activity are captured at all."""
        if self._drop_activities is not None and self._drop_activities.match(name):
            return False
        return self._keep_activities is None or self._keep_activities.match(name) is not None

    def fields(self, root: str, values: Dict[str, Any]) -> Dict[str, Any]:
        """Return the part of ``used`` or ``generated`` (`root`) that the policy lets through."""
        return values if self.trivial else self._filter(root, values, self._keep_fields is None)

    def _filter(self, path: str, values: Dict[str, Any], kept: bool) -> Dict[str, Any]:
        out: Dict[str, Any] = {}
        for name, value in values.items():
            field = path + "." + name
            if self._drop_fields is not None and self._drop_fields.match(field):
                continue
            keep = kept or (self._keep_fields is not None and self._keep_fields.match(field) is not None)
            if type(value) is dict and not _marker(value):
                below = self._filter(field, value, keep)
                if below or (keep and not value):
                    out[name] = below
            elif keep:
                if self.values != "none":
                    out[name] = value if self.values == "values" else _numbers(value)
        return out


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
