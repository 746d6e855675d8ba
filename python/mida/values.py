"""What of a value may leave the process.

`Summariser` turns whatever a task used or generated into plain values: small
scalars and containers as they are, the rest as a description. It calls
nothing that a user can override: no ``repr``, ``len``, ``getattr`` or
iteration of an unknown object, so that no object can make it raise, block or
take long.
"""

from __future__ import annotations

import collections
import enum
import itertools
import types
from typing import Any, Callable, Dict, List, Optional, Tuple

from .described import BY_NAME, NUMPY_SCALARS, PLAIN, numpy_scalar, object_of, ordinary
from .encoding import INT64_MAX, INT64_MIN, canonical_json, type_name

__all__ = ["Limits", "Summariser", "is_marker"]

_type_module = type.__dict__["__module__"].__get__
_type_qualname = type.__dict__["__qualname__"].__get__
_type_mro = type.__dict__["__mro__"].__get__
_type_dict = type.__dict__["__dict__"].__get__
_KEY = 1024  # characters of a key of a mapping
_HEAD_BEYOND = 32  # characters of a text that has no room left


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
    text : int
        Characters and bytes of one event, all its texts together.
    """

    __slots__ = ("string", "items", "nodes", "depth", "text")

    def __init__(
        self, string: int = 8192, items: int = 1000, nodes: int = 5000, depth: int = 12, text: int = 256 << 10
    ) -> None:
        self.string, self.items, self.nodes, self.depth, self.text = string, items, nodes, depth, text

    @classmethod
    def of(cls, config: Optional[Dict[str, Any]]) -> Limits:
        """Read limits from a configuration; keys that are missing or not positive keep their default."""
        limits = cls()
        for name in cls.__slots__:
            value = (config or {}).get(name)
            if type(value) is int and value > 0:
                setattr(limits, name, value)
        return limits


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

    __slots__ = ("limits", "nodes", "text", "cuts", "refer", "_stack")

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.nodes = 0
        self.text = 0
        self.cuts = 0  # how often something was cut
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
            if n <= self.limits.string and self.text + n <= self.limits.text:
                self.text += n
                return value
            return self._cut_text(value, n, "str")
        try:
            return self._other(value, kind, path, depth)
        except Exception:
            return object_of(kind)

    def cut(self, kind: str, n: int, **more: Any) -> Dict[str, Any]:
        """Say that a value is not all there."""
        self.cuts += 1
        return {"$cut": {"type": kind, "length": n, **more}}

    def fields(self, value: Any) -> Dict[str, Any]:
        """Return a task's result as a mapping: its own fields, ``items`` or ``value``."""
        kind = type(value)
        if kind is int or kind is float or kind is bool or kind is str or value is None:
            return {"value": self.summarise(value)}
        out = self.summarise(value)
        if type(out) is dict and not is_marker(out) and self._is_record(kind):
            return out
        if type(out) is list:
            return {"items": out}
        return {"value": out}

    # -- containers and known types --

    def _is_record(self, kind: type) -> bool:
        if not ordinary(kind):
            return False
        mro = _type_mro(kind)
        return (
            dict in mro or (tuple in mro and _namedtuple_fields(mro) is not None) or _dataclass_fields(mro) is not None
        )

    def _other(self, value: Any, kind: type, path: str, depth: int) -> Any:
        if self.nodes > self.limits.nodes:
            out = self.refer(value, kind, path, depth) if self.refer is not None else NotImplemented
            if out is not NotImplemented:  # a reference counts, whatever room is left
                return out
            self.cuts += 1
            return {"$cut": {"type": type_name(kind), "reason": "size of the event"}}
        if kind is list or kind is tuple or kind is set or kind is frozenset:
            return self._sequence(value, kind, len(value), iter(value), path, depth)
        if kind is dict:
            return self._mapping(value, kind, len(value), value.items(), path, depth)
        if kind is bytes or kind is bytearray:
            return self._bytes(value, kind)
        if self.refer is not None:
            out = self.refer(value, kind, path, depth)
            if out is not NotImplemented:
                return out
        if not ordinary(kind):
            name = type_name(kind)
            known = BY_NAME.get(name)
            # torch's tensors have a metaclass of their own.
            return known(value, kind) if known is not None and name.startswith("torch.") else object_of(kind)
        plain = PLAIN.get(kind)
        if plain is not None:
            return self.summarise(plain(value), path, depth + 1)
        if type(kind) is enum.EnumMeta:
            return self._enum(value)
        if _type_module(kind) == "numpy" and _type_qualname(kind) in NUMPY_SCALARS:
            return self.summarise(numpy_scalar(value, kind), path, depth + 1)
        known = BY_NAME.get(type_name(kind))
        if known is not None:
            return known(value, kind)
        return self._subclass(value, kind, path, depth)

    def _bytes(self, value: Any, kind: type) -> Any:
        n = len(value)
        if n <= self.limits.string and self.text + n <= self.limits.text:
            self.text += n
            return bytes(value)
        return self._cut_text(value, n, kind.__name__)

    def _subclass(self, value: Any, kind: type, path: str, depth: int) -> Any:
        """Read a subclass of a built-in type, or a dataclass, through the base type's own methods."""
        mro = _type_mro(kind)
        if str in mro:
            n = str.__len__(value)
            text = str.__getitem__(value, slice(0, self.limits.string))
            return self.summarise(text, path, depth) if len(text) == n else self._cut_text(text, n, "str")
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
        return object_of(kind)

    def _enum(self, value: Any) -> Any:
        own = object.__getattribute__(value, "__dict__")
        inner = own.get("_value_")
        if type(inner) is str:
            return self.summarise(inner)
        name = own.get("_name_")
        return name if type(name) is str else object_of(type(value))

    def _sequence(self, value: Any, kind: type, n: int, it: Any, path: str, depth: int) -> Any:
        cut = self._enter(value, kind, n, depth)
        if cut is not None:
            return cut
        limits, summarise = self.limits, self.summarise
        nodes, most = self.nodes, limits.nodes
        out: List[Any] = []
        add = out.append
        try:
            prefix = path + "." if path else ""
            for i, item in enumerate(itertools.islice(it, limits.items)):
                if nodes >= most:
                    break
                one = type(item)
                if one is float or item is None or one is bool or (one is int and INT64_MIN <= item <= INT64_MAX):
                    nodes += 1
                    add(item)
                    continue
                self.nodes = nodes
                add(summarise(item, prefix + str(i) if prefix and one is not str else path, depth + 1))
                nodes = self.nodes
        except RuntimeError:  # changed by another thread while it was read
            pass
        finally:
            self.nodes = nodes
            self._stack.pop()
        return out if len(out) >= n else self.cut(type_name(kind), n, head=out)

    def _mapping(self, value: Any, kind: type, n: int, pairs: Any, path: str, depth: int) -> Any:
        cut = self._enter(value, kind, n, depth)
        if cut is not None:
            return cut
        limits, summarise = self.limits, self.summarise
        nodes, most = self.nodes, limits.nodes
        out: Dict[str, Any] = {}
        seen = 0
        try:
            prefix = path + "." if path else ""
            for k, v in itertools.islice(pairs, limits.items):
                if nodes >= most or self.text > 2 * limits.text:  # names count, but give way last
                    break
                seen += 1
                if type(k) is str and len(k) <= _KEY:
                    name = k
                    self.text += len(k)
                else:
                    self.nodes = nodes
                    name = self.name(k)
                    nodes = self.nodes
                one = type(v)
                if one is float or v is None or one is bool or (one is int and INT64_MIN <= v <= INT64_MAX):
                    nodes += 1
                    out[name] = v
                    continue
                out[name] = summarise(v, prefix + name if prefix and one is not str else path, depth + 1)
                nodes = self.nodes
        except RuntimeError:
            pass
        finally:
            self.nodes = nodes
            self._stack.pop()
        if seen < n:
            return self.cut(type_name(kind), n, head=out)
        return {"$map": out} if is_marker(out) else out

    def name(self, key: Any) -> str:
        """Return a key of a mapping as text: what is not a (short) string by its JSON text."""
        if type(key) is str and len(key) <= _KEY:
            name = key
        else:
            plain = self.summarise(key, "", self.limits.depth - 2)
            if type(plain) is dict and "$cut" in plain and type(plain["$cut"].get("head")) is str:
                plain = plain["$cut"]["head"][:_KEY]
            name = plain if type(plain) is str else canonical_json(plain)[:_KEY]
        self.text += len(name)
        return name

    def _enter(self, value: Any, kind: type, n: int, depth: int) -> Optional[Dict[str, Any]]:
        if depth >= self.limits.depth:
            return self.cut(type_name(kind), n, reason="depth")
        mark = id(value)
        if mark in self._stack:
            return self.cut(type_name(kind), n, reason="cycle")
        self._stack.append(mark)
        return None

    def _cut_text(self, text: Any, n: int, kind: str) -> Dict[str, Any]:
        """Keep the head of a text, bytes or a bytearray, of which only that much is copied."""
        room = max(self.limits.text - self.text, _HEAD_BEYOND)
        head = text[: min(self.limits.string // 8, room)]
        self.text += len(head)
        return self.cut(kind, n, head=bytes(head) if kind == "bytearray" else head)

    def _big_int(self, value: int) -> Any:
        bits = value.bit_length()
        if bits > 4096:  # decimal digits of a huge integer take quadratic time
            return self.cut("int", bits, head="0x%x" % (abs(value) >> (bits - 64)))
        return {"$int": str(value)}


def is_marker(out: Dict[str, Any]) -> bool:
    """Say whether a mapping reads as one of the ``$`` forms."""
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
