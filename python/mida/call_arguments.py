"""The arguments of a call by name, and the references to other tasks among them."""

from __future__ import annotations

import itertools
import types
from typing import Any, Callable, Dict, FrozenSet, Iterable, Iterator, List, Optional, Sequence, Tuple

from distributed.client import Future

from .calls import BARE_KEYS, Call, calls, function_names, key_text, parameters, spec, unwrap
from .described import object_of
from .encoding import INT64_MAX, INT64_MIN
from .values import Limits, Summariser, is_marker

__all__ = ["REFS", "Arguments"]

REFS = 10_000  # references of one event
_REFS_TEXT = 1 << 20  # characters of all of them together
_STEPS = 20_000  # values that are looked at for references behind a cut

# What of another task's result is copied; more is only referred to.
_SMALL_ITEMS = 16
_SMALL_NODES = 64
_SMALL_TEXT = 1024
_TRIES = 200

_MISSING = object()
_NO_KEYS: FrozenSet[Any] = frozenset()
_Pairs = Iterator[Tuple[str, Any]]

if spec is not None:
    _TaskRef, _Task, _Alias, _DataNode = spec.TaskRef, spec.Task, spec.Alias, spec.DataNode
    _List, _Tuple, _Set, _Dict = spec.List, spec.Tuple, spec.Set, spec.Dict
else:  # pragma: no cover - depends on the version
    _TaskRef = _Task = _Alias = _DataNode = _List = _Tuple = _Set = _Dict = None


class Arguments:
    """Read the arguments of calls, and resolve references to other tasks.

    An instance belongs to one thread. After `read`, `refs` says which used
    paths are results of other tasks, also in what was cut; `refs_cut` says
    that there were too many of them.

    Parameters
    ----------
    summariser : Summariser
        Turns values into what may leave the process.
    results : callable
        Returns the result of a key when it is in memory here, else the second
        argument.
    """

    def __init__(self, summariser: Summariser, results: Callable[[Any, Any], Any]) -> None:
        self.summariser = summariser
        self._summarise = summariser.summarise
        self._results = results
        self._keys = _NO_KEYS
        limits = summariser.limits
        self._small = Limits(min(limits.string, _SMALL_TEXT), _SMALL_NODES, 0, limits.depth)
        self._forget()
        summariser.refer = self._refer

    def _forget(self) -> None:
        self.refs: Dict[str, str] = {}
        self.refs_cut = False
        self._refs_text = self._tries = 0
        self._steps = _STEPS

    @property
    def cost(self) -> int:
        """Roughly how many bytes the references occupy."""
        return self._refs_text + 16 * len(self.refs)

    def read(self, call: Call, keys: FrozenSet[Any]) -> Dict[str, Any]:
        """Return the arguments by name.

        Parameters
        ----------
        call : Call
            The call.
        keys : frozenset
            Keys of the tasks it depends on. Only the tuples of old versions
            need them, where a reference looks like any other string.
        """
        self._forget()
        self._keys = keys if BARE_KEYS else _NO_KEYS
        if call.inner is None:
            return self._named(call, "")
        used: Dict[str, Any] = {}
        count: Dict[str, int] = {}
        summariser = self.summariser
        for one in call.inner:
            if len(used) >= summariser.limits.items or summariser.nodes >= summariser.limits.nodes:
                used["…"] = summariser.cut("dict", len(call.inner))
                break
            base = function_names(one.function)[0]
            count[base] = n = count.get(base, 0) + 1
            name = base if n == 1 else f"{base}_{n}"
            used[name] = self._named(one, name + ".")
        if call.args and not self.refs:
            used["args"] = self._items(call.args, "tuple", "args", 0)
        return used

    def _named(self, call: Call, prefix: str) -> Dict[str, Any]:
        function, args, kwargs = call.function, call.args, call.kwargs
        if type(function) is not types.FunctionType:
            function, bound_args, bound_kwargs = unwrap(function)
            if bound_args:
                args = bound_args + tuple(args)
            if bound_kwargs:
                kwargs = {**bound_kwargs, **kwargs}
        names = parameters(function)
        used: Dict[str, Any] = {}
        n = len(names)
        i = 0
        for value in args:
            if i >= n:
                used["args"] = self._items(args[n:], "tuple", prefix + "args", 0)
                break
            name = names[i]
            kind = type(value)
            if (kind is int and INT64_MIN <= value <= INT64_MAX) or kind is float:
                used[name] = value
            else:
                used[name] = self._value(value, prefix + name)
            i += 1
        if kwargs:
            most = self.summariser.limits.items
            items = iter(kwargs.items())
            for name, value in items:
                if len(used) >= most:
                    self._rest((prefix + name, value) for name, value in [(name, value), *items])
                    used["…"] = self.summariser.cut("dict", len(args) + len(kwargs))
                    break
                used[name] = self._value(value, prefix + name)
        return used

    def _value(self, value: Any, path: str, depth: int = 0) -> Any:
        if not self._keys:
            return self._summarise(value, path, depth)
        try:
            return self._old_value(value, path, depth)
        except Exception:
            return object_of(type(value))

    # -- containers that may hold references --

    def _items(self, values: Sequence[Any], kind: str, path: str, depth: int) -> Any:
        summariser = self.summariser
        limits, n = summariser.limits, len(values)
        out: List[Any] = []
        if depth < limits.depth:
            most = min(n, limits.items)
            for i, value in enumerate(itertools.islice(values, most)):
                if summariser.nodes >= limits.nodes:
                    break
                one = type(value)
                if one is float or (one is int and INT64_MIN <= value <= INT64_MAX):
                    summariser.nodes += 1
                    out.append(value)
                else:
                    out.append(self._value(value, f"{path}.{i}", depth + 1))
        if len(out) == n:
            return out
        self._rest((f"{path}.{i}", values[i]) for i in range(len(out), n))
        return self._cut(kind, n, out, depth)

    def _mapping(self, pairs: Iterable[Any], n: int, path: str, depth: int) -> Any:
        summariser = self.summariser
        limits = summariser.limits
        out: Dict[str, Any] = {}
        pairs = iter(pairs)
        seen = 0
        most = min(n, limits.items) if depth < limits.depth else 0
        while seen < most and summariser.nodes < limits.nodes and summariser.text <= 2 * limits.text:
            key, value = next(pairs)
            seen += 1
            name = summariser.name(key)
            kind = type(value)
            if kind is float or (kind is int and INT64_MIN <= value <= INT64_MAX):
                summariser.nodes += 1
                out[name] = value
            else:
                out[name] = self._value(value, f"{path}.{name}", depth + 1)
        if seen == n:
            return {"$map": out} if is_marker(out) else out
        self._rest((f"{path}.{key}" if type(key) is str else path, value) for key, value in pairs)
        return self._cut("dict", n, out, depth)

    def _cut(self, kind: str, n: int, head: Any, depth: int) -> Dict[str, Any]:
        if depth >= self.summariser.limits.depth:
            return self.summariser.cut(kind, n, reason="depth")
        return self.summariser.cut(kind, n, head=head)

    def _rest(self, pairs: _Pairs) -> None:
        """Keep the references in what was cut, without what they refer to."""
        stack = [pairs]
        while stack:
            for path, value in stack[-1]:
                self._steps -= 1
                if self._steps < 0:
                    self.refs_cut = True
                    return
                kind = type(value)
                key = self._key(value, kind)
                if key is not _MISSING:
                    self._add(path, key_text(key))
                    continue
                below = self._below(value, kind, path)
                if below is not None and len(stack) < 2 * self.summariser.limits.depth:
                    stack.append(below)
                    break
            else:
                stack.pop()

    def _key(self, value: Any, kind: type) -> Any:
        """Return the key that a value refers to."""
        if kind is _TaskRef:
            return value.key
        if kind is _Alias:
            return value.target
        if self._keys:
            if kind is str or kind is bytes or kind is tuple and _like_key(value):
                return value if value in self._keys else _MISSING
        return _MISSING

    def _below(self, value: Any, kind: type, path: str) -> Optional[_Pairs]:
        """Return what a value holds in which there may be references, with its paths."""
        if kind is _List or kind is _Tuple or kind is _Set:
            return ((f"{path}.{i}", v) for i, v in enumerate(value.args))
        if kind is _Dict:
            flat = iter(value.args)
            return ((f"{path}.{k}" if type(k) is str else path, v) for k, v in zip(flat, flat))
        if kind is _Task:
            return ((f"{path}.{i}", v) for i, v in enumerate((*value.args, *value.kwargs.values())))
        if self._keys:
            if kind is list or kind is tuple:
                return ((f"{path}.{i}", v) for i, v in enumerate(value))
            if kind is dict:
                return ((f"{path}.{k}" if type(k) is str else path, v) for k, v in value.items())
        return None

    # -- references --

    def _refer(self, value: Any, kind: type, path: str, depth: int) -> Any:
        """Recognise Dask's own forms among the arguments; the summariser calls it for all but plain values."""
        if kind is _TaskRef:
            return self._reference(value.key, path)
        if kind is _List or kind is _Tuple or kind is _Set:
            return self._items(value.args, kind.klass.__name__, path, depth)  # type: ignore[attr-defined]
        if kind is _Dict:
            flat = iter(value.args)
            return self._mapping(zip(flat, flat), len(value.args) // 2, path, depth)
        if kind is Future:
            key = object.__getattribute__(value, "__dict__").get("key")
            return None if key is None else self._reference(key, path)
        if kind is _Alias:
            return self._reference(value.target, path)
        if kind is _DataNode:
            return self._summarise(value.value, path, depth + 1)
        if kind is _Task:
            self._rest(self._below(value, kind, path))  # type: ignore[arg-type]
            return {"$object": {"type": function_names(value.func)[1]}}
        return NotImplemented

    def _add(self, path: str, key: str) -> None:
        if not path:
            return
        size = len(path) + len(key)
        if len(self.refs) >= REFS or self._refs_text + size > _REFS_TEXT:
            self.refs_cut = True
            return
        self._refs_text += size
        self.refs[path] = key

    def _reference(self, key: Any, path: str) -> Any:
        """Note a reference, and return the value it stands for where that is small and at hand."""
        text = key_text(key)
        self._add(path, text)
        summariser = self.summariser
        if summariser.nodes <= summariser.limits.nodes and self._tries < _TRIES:
            out = self._small_value(self._results(key, _MISSING))
            if out is not _MISSING:
                return out
        summariser.text += len(text)
        return {"$ref": {"key": text}}

    def _small_value(self, value: Any) -> Any:
        kind = type(value)
        if kind is float or kind is int or kind is bool or value is None:
            return self._summarise(value)
        if value is _MISSING:
            return _MISSING
        if (kind is list or kind is tuple or kind is dict) and len(value) > _SMALL_ITEMS:
            return _MISSING
        summariser, small = self.summariser, self._small
        limits, refer = summariser.limits, summariser.refer
        nodes, size, cuts = summariser.nodes, summariser.text, summariser.cuts
        small.nodes, small.text = nodes + _SMALL_NODES, min(size + _SMALL_TEXT, limits.text)
        summariser.limits, summariser.refer = small, None
        try:
            out = summariser.summarise(value)
        finally:
            summariser.limits, summariser.refer = limits, refer
        if summariser.cuts > cuts:
            summariser.nodes, summariser.text = nodes, size
            self._tries += 1
            return _MISSING
        if type(out) is dict and ("$array" in out or "$object" in out):
            return _MISSING
        return out

    # -- tuples with bare keys --

    def _old_value(self, value: Any, path: str, depth: int) -> Any:
        kind = type(value)
        if kind is str or kind is bytes or kind is tuple and _like_key(value):
            if value in self._keys:
                self.summariser.nodes += 1
                return self._reference(value, path)
            if kind is not tuple:
                return self._summarise(value, path, depth)
        if kind is list or kind is tuple:
            if kind is tuple and value and calls(value[0]):
                return self._old_task(value, path, depth)
            self.summariser.nodes += 1
            return self._items(value, kind.__name__, path, depth)
        if kind is dict:
            self.summariser.nodes += 1
            return self._mapping(value.items(), len(value), path, depth)
        return self._summarise(value, path, depth)

    def _old_task(self, value: Tuple[Any, ...], path: str, depth: int) -> Any:
        """Read a task among the arguments: a container is written as one, too."""
        head = value[0]
        if len(value) == 2 and (head is list or head is tuple or head is set):
            return self._old_value(value[1], path, depth + 1)
        if len(value) == 2 and head is dict and type(value[1]) is list and all(_is_pair(p) for p in value[1]):
            self.summariser.nodes += 1
            return self._mapping(value[1], len(value[1]), path, depth)
        self._rest((f"{path}.{i}", part) for i, part in enumerate(value[1:]))
        return {"$object": {"type": function_names(head)[1]}}


def _like_key(value: Tuple[Any, ...]) -> bool:
    """Say whether a tuple can be looked up among keys without running code of a user."""
    if not 0 < len(value) <= 8:
        return False
    for part in value:
        kind = type(part)
        if kind is not str and kind is not int and kind is not bytes and kind is not float:
            return False
    return True


def _is_pair(value: Any) -> bool:
    return (type(value) is list or type(value) is tuple) and len(value) == 2
