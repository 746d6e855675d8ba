"""Redaction and policy do what the observers in Go do: one file of cases for both."""

from __future__ import annotations

import base64
import copy
import json
import pathlib
import random
from typing import Any

import pytest

from mida.capture import Policy, PolicyError
from mida.encoding import canonical_json
from mida.redact import _VALUES, Redactor, _hide


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


def _thoroughly(text: str) -> Any:
    """Try every pattern on a text, whatever is in it."""
    count = 0
    for _, pattern in _VALUES:
        text, n = pattern.subn(_hide, text)
        count += n
    return text, count


def test_looking_first_misses_nothing():
    """Which patterns are tried depends on what occurs in a text; the result must not."""
    rng = random.Random(1)
    texts = [case["in"] for case in CASES["texts"]]
    pieces = [t[i : i + n] for t in texts for n in (6, 14, 40) for i in range(0, len(t), 5)]
    pieces += ["=", "?", "&", ";", "://", "@", " ", "\n", '"', "'", "\u212a", "\u0130", "\u017f", "\u00e9", "\ud800"]
    found = 0
    for _ in range(5000):
        chosen = [rng.choice(pieces if rng.random() < 0.7 else texts) for _ in range(rng.randint(1, 6))]
        text = "".join(rng.choice((str, str, str.upper, str.lower, str.swapcase))(piece) for piece in chosen)
        want = _thoroughly(text)
        assert _once(text) == want, text
        found += want[1]
    assert found > 3000


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
