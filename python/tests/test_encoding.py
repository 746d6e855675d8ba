"""Values, identities and canonical JSON, against the vectors that the Go side runs too."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import json
import pathlib
import time
import uuid

import pytest

from mida.encoding import canonical_json, span_id, task_id, trace_id
from mida.values import Limits, Summariser

VECTORS = pathlib.Path(__file__).resolve().parents[2] / "internal" / "task" / "testdata"


def decode(value):
    if not isinstance(value, dict):
        return value
    ((kind, inner),) = value.items()
    return {
        "int": int,
        "float": float,
        "str": str,
        "bytes": bytes.fromhex,
        "list": lambda v: [decode(x) for x in v],
        "text": lambda v: bytes.fromhex(v).decode("utf-8", "surrogateescape"),  # as Python names files
        "map": lambda v: {decode(k): decode(x) for k, x in v},
    }[kind](inner)


@pytest.mark.parametrize(
    "vector",
    json.loads((VECTORS / "encoding_golden.json").read_text(encoding="utf-8")),
    ids=lambda v: v["name"],
)
def test_canonical_json(vector):
    assert canonical_json(decode(vector["value"])) == vector["json"]


@pytest.mark.parametrize("vector", json.loads((VECTORS / "ids.json").read_text(encoding="utf-8")))
def test_identities(vector):
    assert task_id(vector["kind"], vector["scope"], vector["key"]) == vector["id"]
    assert span_id(vector["kind"], vector["scope"], vector["key"]) == vector["span"]
    assert trace_id(vector["kind"], vector["execution"]) == vector["trace"]


def summarise(value, **limits):
    summariser = Summariser(Limits.of(limits))
    summariser.start()
    return summariser.summarise(value)


def fields(value):
    summariser = Summariser(Limits())
    summariser.start()
    return summariser.fields(value)


class Mode(enum.Enum):
    FAST = 1
    SLOW = "slow"


class Level(enum.IntEnum):
    LOW = 1


@dataclasses.dataclass
class Slotted:
    __slots__ = ("a", "b")
    a: int
    b: str


@dataclasses.dataclass
class Sneaky:
    a: int

    @property
    def b(self):
        raise AssertionError("a property ran")


class Text(str):
    def __len__(self):
        raise AssertionError("__len__ ran")

    def __str__(self):
        raise AssertionError("__str__ ran")


class Mapping(dict):
    def items(self):
        raise AssertionError("items ran")

    def __iter__(self):
        raise AssertionError("__iter__ ran")


class Meta(type):
    def __getattribute__(cls, name):
        raise AssertionError("a metaclass ran")

    def __hash__(cls):
        raise AssertionError("a metaclass ran")

    def __eq__(cls, other):
        raise AssertionError("a metaclass ran")


class Odd(metaclass=Meta):
    pass


Pair = collections.namedtuple("Pair", "left right")


@pytest.mark.parametrize(
    ("value", "want"),
    [
        (2**63 - 1, 2**63 - 1),
        (2**63, {"$int": str(2**63)}),
        (-(2**70), {"$int": str(-(2**70))}),
        (True, True),
        (None, None),
        ((1, "a"), [1, "a"]),
        ({1: "a", None: 2, False: 3}, {"1": "a", "null": 2, "false": 3}),
        ({1.5: 1, (1, "a"): 2, b"\x00": 3}, {"1.5": 1, '[1,"a"]': 2, '{"$bytes":"AA=="}': 3}),
        ({"$float": "NaN"}, {"$map": {"$float": "NaN"}}),
        ({"$a": 1, "b": 2}, {"$a": 1, "b": 2}),
        (Mode.FAST, "FAST"),
        (Mode.SLOW, "slow"),
        (Level.LOW, "LOW"),
        (Pair(1, [2]), {"left": 1, "right": [2]}),
        (Slotted(1, "x"), {"a": 1, "b": "x"}),
        (Sneaky(1), {"a": 1}),
        (Text("abc"), "abc"),
        (Mapping(a=1), {"a": 1}),
        (collections.OrderedDict(a=1), {"a": 1}),
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        (collections.deque([1, 2]), [1, 2]),
        (frozenset([1]), [1]),
        (range(0, 6, 2), {"start": 0, "stop": 6, "step": 2}),
        (1 + 2j, {"real": 1.0, "imag": 2.0}),
        (datetime.datetime(2026, 1, 2, 3, 4, 5), "2026-01-02T03:04:05"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (datetime.timedelta(minutes=1), 60.0),
        (decimal.Decimal("1.10"), "1.10"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (pathlib.Path("/a/b"), "/a/b"),
        (bytearray(b"x"), b"x"),
        (object(), {"$object": {"type": "object"}}),
        (len, {"$object": {"type": "builtin_function_or_method"}}),
        (Odd(), {"$object": {"type": "test_encoding.Odd"}}),
    ],
    ids=lambda v: type.__dict__["__qualname__"].__get__(type(v)),
)
def test_summarise(value, want):
    got = summarise(value)
    assert got == want and type(got) is type(want)


def test_what_is_cut_says_so():
    assert summarise("a" * 100, string=80) == {"$cut": {"type": "str", "length": 100, "head": "a" * 10}}
    assert summarise(list(range(5)), items=3) == {"$cut": {"type": "list", "length": 5, "head": [0, 1, 2]}}
    assert summarise({"a": 1, "b": 2}, items=1) == {"$cut": {"type": "dict", "length": 2, "head": {"a": 1}}}
    assert summarise(b"a" * 100, string=80)["$cut"]["length"] == 100
    assert summarise([[[[1]]]], depth=3) == [[[{"$cut": {"type": "list", "length": 1, "reason": "depth"}}]]]
    loop: list = [1]
    loop.append(loop)
    assert summarise(loop) == [1, {"$cut": {"type": "list", "length": 2, "reason": "cycle"}}]
    shared = [1]
    assert summarise([shared, shared]) == [[1], [1]]
    huge = summarise(1 << 100_000)
    assert huge["$cut"]["type"] == "int" and huge["$cut"]["length"] == 100_001


def test_a_wide_structure_ends_at_the_budget():
    value = [[[j for j in range(100)] for _ in range(100)] for _ in range(100)]
    summariser = Summariser(Limits())
    summariser.start()
    summariser.summarise(value)
    assert summariser.nodes <= Limits().nodes + 200


def test_a_hundred_megabytes_cost_nothing():
    text, data = "x" * 100_000_000, bytes(100_000_000)
    start = time.perf_counter()
    summarise([text, data, {"k": text}])
    assert time.perf_counter() - start < 0.01


def test_results_become_fields():
    assert fields(3) == {"value": 3}
    assert fields(None) == {"value": None}
    assert fields("a") == {"value": "a"}
    assert fields([1, 2]) == {"items": [1, 2]}
    assert fields((1, 2)) == {"items": [1, 2]}
    assert fields({"loss": 0.5}) == {"loss": 0.5}
    assert fields({}) == {}
    assert fields(Pair(1, 2)) == {"left": 1, "right": 2}
    assert fields(Slotted(1, "x")) == {"a": 1, "b": "x"}
    assert fields(1j) == {"value": {"real": 0.0, "imag": 1.0}}
    assert fields({"$x": 1}) == {"value": {"$map": {"$x": 1}}}
    assert fields(object()) == {"value": {"$object": {"type": "object"}}}


def test_numpy_and_pandas():
    np = pytest.importorskip("numpy")
    assert summarise(np.float64(1.5)) == 1.5 and type(summarise(np.float64(1.5))) is float
    assert summarise(np.int32(3)) == 3 and type(summarise(np.int32(3))) is int
    assert summarise(np.bool_(True)) is True
    assert summarise(np.str_("a")) == "a"
    assert summarise(np.datetime64("2026-01-02")) == "2026-01-02"
    assert summarise(np.zeros((2, 3)))["$array"]["shape"] == [2, 3]
    pd = pytest.importorskip("pandas")
    assert summarise(pd.Series([1, 2]))["$array"]["shape"] == [2]
    assert summarise(pd.DataFrame({"a": [1]})) == {
        "$array": {"type": summarise(pd.DataFrame())["$array"]["type"], "shape": [1, 1], "columns": ["a"]}
    }


def test_limits_ignore_nonsense():
    limits = Limits.of({"string": -1, "items": "x", "nodes": 7, "other": 1})
    assert (limits.string, limits.items, limits.nodes) == (Limits().string, Limits().items, 7)
