"""What of a value may leave the process.

`Summariser` turns whatever a task used or generated into plain values: small
scalars and containers as they are, the rest as a description. It calls
nothing that a user can override: no ``repr``, ``len``, ``getattr`` or
iteration of an unknown object, so that no object can make it raise, block or
take long.
"""

from __future__ import annotations

import abc
import collections
import datetime
import decimal
import enum
import fractions
import pathlib
import types
import uuid
from typing import Any, Callable, Dict, List, Optional, Tuple

from .encoding import INT64_MAX, INT64_MIN, canonical_json, type_name

__all__ = ["Limits", "Summariser"]

_type_module = type.__dict__["__module__"].__get__
_type_qualname = type.__dict__["__qualname__"].__get__
_type_mro = type.__dict__["__mro__"].__get__
_type_dict = type.__dict__["__dict__"].__get__
_SAFE_METACLASSES = (type, abc.ABCMeta, enum.EnumMeta)


class Limits:
    """How much of a value leaves the process. What is cut says so.

    Parameters
    ----------
    string : int
        Characters of one string, bytes of one ``bytes``.
    items : int
        Entries of one list or mapping.
    nodes : int
        Values of one event, all levels together.
    depth : int
        Levels of nesting.
    """

    __slots__ = ("string", "items", "nodes", "depth")

    def __init__(self, string: int = 8192, items: int = 1000, nodes: int = 5000, depth: int = 12) -> None:
        self.string, self.items, self.nodes, self.depth = string, items, nodes, depth

    @classmethod
    def of(cls, config: Optional[Dict[str, Any]]) -> Limits:
        """Read limits from a configuration; keys that are missing or not positive keep their default."""
        limits = cls()
        for name in cls.__slots__:
            value = (config or {}).get(name)
            if type(value) is int and value > 0:
                setattr(limits, name, value)
        return limits


def _object(kind: type) -> Dict[str, Any]:
    return {"$object": {"type": type_name(kind)}}


def _numpy_array(value: Any, kind: type) -> Any:
    return {
        "$array": {
            "type": type_name(kind),
            "shape": [int(n) for n in value.shape],
            "dtype": str(value.dtype),
            "nbytes": int(value.nbytes),
        }
    }


def _numpy_scalar(value: Any, kind: type) -> Any:
    name = _type_qualname(kind)
    if name.startswith(("datetime64", "timedelta64")):
        return str(value)
    plain = value.item()
    if type(plain) in (int, float, bool, str, bytes, complex):
        return plain
    return float(value) if "float" in name or "longdouble" in name else _object(kind)


def _frame(value: Any, kind: type) -> Any:
    columns = value.columns
    names = [str(c) if type(c) in (str, int, float, tuple) else type_name(type(c)) for c in columns[:100]]
    return {"$array": {"type": type_name(kind), "shape": [int(n) for n in value.shape], "columns": names}}


def _series(value: Any, kind: type) -> Any:
    return {"$array": {"type": type_name(kind), "shape": [int(n) for n in value.shape], "dtype": str(value.dtype)}}


def _tensor(value: Any, kind: type) -> Any:
    shape = [int(n) for n in value.shape]
    size = int(value.element_size())
    for n in shape:
        size *= n
    return {"$array": {"type": type_name(kind), "shape": shape, "dtype": str(value.dtype), "nbytes": size}}


def _table(value: Any, kind: type) -> Any:
    names = [str(n) for n in value.column_names[:100]]
    return {
        "$array": {
            "type": type_name(kind),
            "shape": [int(value.num_rows), int(value.num_columns)],
            "columns": names,
            "nbytes": int(value.nbytes),
        }
    }


def _sparse(value: Any, kind: type) -> Any:
    return {
        "$array": {
            "type": type_name(kind),
            "shape": [int(n) for n in value.shape],
            "dtype": str(value.dtype),
            "nbytes": int(value.data.nbytes),
        }
    }


# Known by name, so that no heavy package is imported to recognise what is not there.
_BY_NAME: Dict[str, Callable[[Any, type], Any]] = {
    "numpy.ndarray": _numpy_array,
    "numpy.matrix": _numpy_array,
    "numpy.memmap": _numpy_array,
    "numpy.ma.core.MaskedArray": _numpy_array,
    "numpy.ma.MaskedArray": _numpy_array,
    "cupy.ndarray": _numpy_array,
    "cupy._core.core.ndarray": _numpy_array,
    "jaxlib.xla_extension.ArrayImpl": _numpy_array,
    "jaxlib._jax.ArrayImpl": _numpy_array,
    "torch.Tensor": _tensor,
    "torch.nn.parameter.Parameter": _tensor,
    "pandas.core.frame.DataFrame": _frame,
    "pandas.DataFrame": _frame,
    "polars.dataframe.frame.DataFrame": _frame,
    "pandas.core.series.Series": _series,
    "pandas.Series": _series,
    "pandas.core.indexes.base.Index": _series,
    "pandas.core.indexes.range.RangeIndex": _series,
    "pandas.Index": _series,
    "pandas.RangeIndex": _series,
    "pyarrow.lib.Table": _table,
    "pyarrow.lib.RecordBatch": _table,
    "scipy.sparse._csr.csr_matrix": _sparse,
    "scipy.sparse._csc.csc_matrix": _sparse,
    "scipy.sparse._csr.csr_array": _sparse,
    "scipy.sparse._csc.csc_array": _sparse,
}
_NUMPY_SCALARS = frozenset(
    "bool bool_ int8 int16 int32 int64 intc intp longlong uint8 uint16 uint32 uint64 uintc uintp ulonglong "
    "float16 float32 float64 longdouble float96 float128 complex64 complex128 str_ bytes_ "
    "datetime64 timedelta64".split()
)

_PLAIN: Dict[type, Callable[[Any], Any]] = {
    bytearray: bytes,
    complex: lambda v: {"real": v.real, "imag": v.imag},
    range: lambda v: {"start": v.start, "stop": v.stop, "step": v.step},
    datetime.datetime: datetime.datetime.isoformat,
    datetime.date: datetime.date.isoformat,
    datetime.time: datetime.time.isoformat,
    datetime.timedelta: datetime.timedelta.total_seconds,
    decimal.Decimal: decimal.Decimal.__str__,
    fractions.Fraction: fractions.Fraction.__str__,
    uuid.UUID: uuid.UUID.__str__,
    pathlib.PosixPath: pathlib.PosixPath.__str__,
    pathlib.PurePosixPath: pathlib.PurePosixPath.__str__,
    pathlib.PureWindowsPath: pathlib.PureWindowsPath.__str__,
    type(None): lambda v: None,
}
_PLAIN[type(pathlib.Path())] = str


class Summariser:
    """Summarise the values of one event under one budget.

    An instance belongs to one thread and is reused: call `start` before each
    event. `refer` may be set to a function that recognises references to other
    tasks among the arguments; it returns ``NotImplemented`` for everything
    else.

    Parameters
    ----------
    limits : Limits
        The caps.
    """

    __slots__ = ("limits", "nodes", "text", "refer", "_stack")

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.nodes = 0
        self.text = 0
        self.refer: Optional[Callable[[Any, type, str, int], Any]] = None
        self._stack: List[int] = []

    def start(self) -> None:
        """Begin a new event with a full budget."""
        self.nodes = 0
        self.text = 0
        if self._stack:
            self._stack = []

    @property
    def cost(self) -> int:
        """Roughly how many bytes the summarised values occupy."""
        return self.text + 16 * self.nodes

    def summarise(self, value: Any, path: str = "", depth: int = 0) -> Any:
        """Return what of `value` may leave the process. Never raises."""
        kind = type(value)
        self.nodes += 1
        if kind is int:
            return value if INT64_MIN <= value <= INT64_MAX else self._big_int(value)
        if kind is float or kind is bool or value is None:
            return value
        if kind is str:
            n = len(value)
            if n <= self.limits.string:
                self.text += n
                return value
            return self._cut_text(value, n, "str")
        try:
            return self._other(value, kind, path, depth)
        except Exception:
            return _object(kind)

    def fields(self, value: Any) -> Dict[str, Any]:
        """Return a task's result as a mapping: its own fields, ``items`` or ``value``."""
        kind = type(value)
        if kind in (int, float, bool, str) or value is None:
            return {"value": self.summarise(value)}
        out = self.summarise(value)
        if type(out) is dict and not _is_marker(out) and self._is_record(value, kind):
            return out
        if type(out) is list:
            return {"items": out}
        return {"value": out}

    # -- containers and known types --

    def _is_record(self, value: Any, kind: type) -> bool:
        if type(kind) not in _SAFE_METACLASSES:
            return False
        mro = _type_mro(kind)
        return (
            dict in mro or (tuple in mro and _namedtuple_fields(mro) is not None) or _dataclass_fields(mro) is not None
        )

    def _other(self, value: Any, kind: type, path: str, depth: int) -> Any:
        limits = self.limits
        if self.refer is not None:
            out = self.refer(value, kind, path, depth)
            if out is not NotImplemented:
                return out
        if self.nodes > limits.nodes:
            return {"$cut": {"type": type_name(kind), "reason": "size of the event"}}
        if kind is list or kind is tuple or kind is set or kind is frozenset:
            return self._sequence(value, kind, len(value), iter(value), path, depth)
        if kind is dict:
            return self._mapping(value, kind, len(value), value.items(), path, depth)
        if kind is bytes:
            n = len(value)
            if n <= limits.string:
                self.text += n
                return value
            return {"$cut": {"type": "bytes", "length": n, "head": value[: limits.string // 8]}}
        plain = _PLAIN.get(kind) if type(kind) is type or type(kind) is abc.ABCMeta else None
        if plain is not None:
            return self.summarise(plain(value), path, depth + 1)
        metaclass = type(kind)
        if metaclass not in _SAFE_METACLASSES:
            name = type_name(kind)
            known = _BY_NAME.get(name)
            # torch's tensors have a metaclass of their own.
            return known(value, kind) if known is not None and name.startswith("torch.") else _object(kind)
        if metaclass is enum.EnumMeta:
            return self._enum(value)
        module = _type_module(kind)
        if module == "numpy" and _type_qualname(kind) in _NUMPY_SCALARS:
            return self.summarise(_numpy_scalar(value, kind), path, depth + 1)
        known = _BY_NAME.get(type_name(kind))
        if known is not None:
            return known(value, kind)
        return self._subclass(value, kind, path, depth)

    def _subclass(self, value: Any, kind: type, path: str, depth: int) -> Any:
        """Read a subclass of a built-in type, or a dataclass, through the base type's own methods."""
        mro = _type_mro(kind)
        if str in mro:
            n = str.__len__(value)
            text = str.__getitem__(value, slice(0, self.limits.string))
            return self.summarise(text, path, depth) if n <= self.limits.string else self._cut_text(text, n, "str")
        if int in mro:
            return self.summarise(int.__add__(value, 0), path, depth)
        if float in mro:
            return self.summarise(float.__add__(value, 0.0), path, depth)
        if dict in mro:
            return self._mapping(value, kind, dict.__len__(value), dict.items(value), path, depth)
        if tuple in mro:
            names = _namedtuple_fields(mro)
            n = tuple.__len__(value)
            if names is not None and len(names) == n:
                return self._mapping(value, kind, n, zip(names, tuple.__iter__(value)), path, depth)
            return self._sequence(value, kind, n, tuple.__iter__(value), path, depth)
        if list in mro:
            return self._sequence(value, kind, list.__len__(value), list.__iter__(value), path, depth)
        if kind is collections.deque:
            return self._sequence(value, kind, len(value), iter(value), path, depth)
        names = _dataclass_fields(mro)
        if names is not None:
            pairs = _instance_fields(value, mro, names)
            return self._mapping(value, kind, len(pairs), iter(pairs), path, depth)
        return _object(kind)

    def _enum(self, value: Any) -> Any:
        own = object.__getattribute__(value, "__dict__")
        inner = own.get("_value_")
        if type(inner) is str:
            return self.summarise(inner)
        name = own.get("_name_")
        return name if type(name) is str else _object(type(value))

    def _sequence(self, value: Any, kind: type, n: int, it: Any, path: str, depth: int) -> Any:
        limits = self.limits
        cut = self._enter(value, kind, n, depth)
        if cut is not None:
            return cut
        out: List[Any] = []
        try:
            prefix = path + "." if path else path
            for i, item in enumerate(it):
                if i >= limits.items or self.nodes >= limits.nodes:
                    break
                out.append(self.summarise(item, prefix + str(i) if path else path, depth + 1))
        except RuntimeError:  # changed by another thread while it was read
            pass
        finally:
            self._stack.pop()
        return out if len(out) >= n else {"$cut": {"type": type_name(kind), "length": n, "head": out}}

    def _mapping(self, value: Any, kind: type, n: int, pairs: Any, path: str, depth: int) -> Any:
        limits = self.limits
        cut = self._enter(value, kind, n, depth)
        if cut is not None:
            return cut
        out: Dict[str, Any] = {}
        seen = 0
        try:
            prefix = path + "." if path else path
            for k, v in pairs:
                if seen >= limits.items or self.nodes >= limits.nodes:
                    break
                seen += 1
                name = k if type(k) is str and len(k) <= 1024 else self._key(k)
                self.text += len(name)
                out[name] = self.summarise(v, prefix + name if path else path, depth + 1)
        except RuntimeError:
            pass
        finally:
            self._stack.pop()
        if seen < n:
            return {"$cut": {"type": type_name(kind), "length": n, "head": out}}
        return {"$map": out} if _is_marker(out) else out

    def _key(self, key: Any) -> str:
        """Return the JSON text of a key that is not a (short) string."""
        plain = self.summarise(key, "", self.limits.depth - 2)
        if type(plain) is str:
            return plain
        if type(plain) is dict and "$cut" in plain and type(plain["$cut"].get("head")) is str:
            return plain["$cut"]["head"][:1024]
        return canonical_json(plain)[:1024]

    def _enter(self, value: Any, kind: type, n: int, depth: int) -> Optional[Dict[str, Any]]:
        if depth >= self.limits.depth:
            return {"$cut": {"type": type_name(kind), "length": n, "reason": "depth"}}
        mark = id(value)
        if mark in self._stack:
            return {"$cut": {"type": type_name(kind), "length": n, "reason": "cycle"}}
        self._stack.append(mark)
        return None

    def _cut_text(self, text: str, n: int, kind: str) -> Dict[str, Any]:
        head = text[: self.limits.string // 8]
        self.text += len(head)
        return {"$cut": {"type": kind, "length": n, "head": head}}

    def _big_int(self, value: int) -> Any:
        bits = value.bit_length()
        if bits > 4096:  # decimal digits of a huge integer take quadratic time
            return {"$cut": {"type": "int", "length": bits, "head": "0x%x" % (abs(value) >> (bits - 64))}}
        return {"$int": str(value)}


def _is_marker(out: Dict[str, Any]) -> bool:
    if len(out) != 1:
        return False
    for name in out:
        return name[:1] == "$"
    return False


def _namedtuple_fields(mro: Tuple[type, ...]) -> Optional[Tuple[str, ...]]:
    for cls in mro:
        names = _type_dict(cls).get("_fields")
        if type(names) is tuple and all(type(n) is str for n in names):
            return names
    return None


def _dataclass_fields(mro: Tuple[type, ...]) -> Optional[List[str]]:
    for cls in mro:
        fields = _type_dict(cls).get("__dataclass_fields__")
        if type(fields) is dict:
            return [n for n in fields if type(n) is str]
    return None


def _instance_fields(value: Any, mro: Tuple[type, ...], names: List[str]) -> List[Tuple[str, Any]]:
    """Read the fields of an instance from its ``__dict__`` or slots, past any property of its class."""
    try:
        own = object.__getattribute__(value, "__dict__")
    except AttributeError:
        own = None
    out = []
    for name in names:
        if type(own) is dict and name in own:
            out.append((name, own[name]))
            continue
        for cls in mro:
            slot = _type_dict(cls).get(name)
            if type(slot) is types.MemberDescriptorType:
                try:
                    out.append((name, slot.__get__(value, cls)))
                except AttributeError:
                    pass
                break
    return out
