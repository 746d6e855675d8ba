"""Redaction and policy do what the observers in Go do: one file of cases for both."""

from __future__ import annotations

import base64
import copy
import json
import pathlib
from typing import Any

import pytest

from mida.capture import Policy, PolicyError
from mida.encoding import canonical_json
from mida.redact import Redactor


def _decoded(value: Any) -> Any:
    """Turn ``{"$bytes": …}`` into bytes, as the plugin sees them."""
    if type(value) is dict:
        if set(value) == {"$bytes"}:
            return base64.b64decode(value["$bytes"])
        return {k: _decoded(v) for k, v in value.items()}
    return [_decoded(v) for v in value] if type(value) is list else value


_FILE = pathlib.Path(__file__).parents[2] / "internal" / "capture" / "testdata" / "cases.json"
CASES = _decoded(json.loads(_FILE.read_text(encoding="utf-8")))


def _once(value: Any) -> Any:
    redactor = Redactor()
    value = copy.deepcopy(value)
    out = redactor.text(value) if type(value) is str else redactor.mapping(value)
    return out, redactor.count


@pytest.mark.parametrize("case", CASES["texts"] + CASES["maps"], ids=str)
def test_secrets(case):
    out, count = _once(case["in"])
    assert (canonical_json(out), count) == (canonical_json(case.get("out", case["in"])), case.get("secrets", 0))
    assert _once(out) == (out, 0), "a second time changes something"


@pytest.mark.parametrize("case", CASES["activities"], ids=str)
def test_activities(case):
    policy = Policy(case["policy"])
    assert [n for n in case["kept"] if not policy.activity(n)] == []
    assert [n for n in case["dropped"] if policy.activity(n)] == []


@pytest.mark.parametrize("case", CASES["fields"], ids=str)
def test_fields(case):
    out = Policy(case["policy"]).fields(case["root"], case["in"])
    assert canonical_json(out) == canonical_json(case["out"])


@pytest.mark.parametrize("config", CASES["invalid"], ids=str)
def test_invalid(config):
    with pytest.raises(PolicyError):
        Policy(config)
