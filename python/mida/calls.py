"""What a Dask task calls: function, named arguments, references to other tasks.

Dask has changed how it writes a task down: objects of ``dask._task_spec``
since 2024.12, tuples with bare keys before. Both are read here and nowhere
else.
"""

from __future__ import annotations

import functools
import types
from typing import Any, Callable, Dict, FrozenSet, List, Mapping, Optional, Tuple

from .encoding import type_name
from .values import Summariser

try:  # since dask 2024.12
    from dask import _task_spec as _spec
except ImportError:  # pragma: no cover - depends on the version
    _spec = None

from dask.utils import apply as _apply
from dask.utils import key_split

__all__ = ["BARE_KEYS", "Arguments", "Call", "call_names", "function_names", "is_internal", "key_text", "read_call"]

_MISSING = object()
_SMALL_ITEMS = 16
_SMALL_NODES = 64
_SMALL_TEXT = 1024

if _spec is not None:
    _Task, _Alias, _DataNode, _TaskRef = _spec.Task, _spec.Alias, _spec.DataNode, _spec.TaskRef
    _Nested, _Dict = _spec.NestedContainer, _spec.Dict
    _subgraph = _spec._execute_subgraph
else:  # pragma: no cover - depends on the version
    _Task = _Alias = _DataNode = _TaskRef = _Nested = _Dict = None
    _subgraph = None

# In this version a reference among the arguments looks like any other string or tuple.
BARE_KEYS = _spec is None

# Functions of Dask that only hand values on: what they run as is no task of the user.
_PASSING = frozenset(
    {
        ("dask._task_spec", "identity"),
        ("dask._task_spec", "_identity_cast"),
        ("dask._task_spec", "_instantiate_named_tuple"),
        ("dask._task_spec", "NestedContainer.to_container"),
        ("dask.delayed", "finalize"),
        ("dask.array.core", "finalize"),
        ("dask.bag.core", "finalize"),
        ("dask.dataframe.core", "finalize"),
        ("dask.base", "finalize"),
        ("dask.utils", "identity"),
    }
)


def key_text(key: Any) -> str:
    """Return a key as text, as distributed itself shows it."""
    return key if type(key) is str else str(key)


class Call:
    """One function call: who is called, with what."""

    __slots__ = ("function", "args", "kwargs", "inner")

    def __init__(
        self, function: Any, args: Tuple[Any, ...], kwargs: Mapping[str, Any], inner: Optional[List[Call]] = None
    ) -> None:
        self.function, self.args, self.kwargs, self.inner = function, args, kwargs, inner


def read_call(run_spec: Any) -> Optional[Call]:
    """Return the call that a ``run_spec`` makes, or None for what calls no function of a user.

    Aliases, literal data, containers and the finalising steps of Dask's
    collections are None: they execute, but compute nothing.
    """
    kind = type(run_spec)
    if _Task is not None:
        if kind is _Task:
            call = _new_call(run_spec)
            return None if call.inner is None and is_internal(call.function) else call
        if kind is _Alias or kind is _DataNode or (kind is not tuple and issubclass(kind, _spec.GraphNode)):
            return None
    if kind is tuple and len(run_spec) == 3:
        return _old_call(run_spec)
    return None


def is_internal(function: Any) -> bool:
    """Say whether a function of Dask only hands values on."""
    if type(function) is types.FunctionType:
        return (function.__module__, function.__qualname__) in _PASSING
    if function is tuple or function is list or function is dict or function is set:
        return True
    return False


def _new_call(task: Any) -> Call:
    function, args = task.func, task.args
    if function is _subgraph:
        inner = []
        for node in args[0].values():
            if type(node) is _Task:
                call = _new_call(node)
                if call.inner is not None:
                    inner.extend(call.inner)
                elif not is_internal(call.function):
                    inner.append(call)
        return Call(function, args[3:], {}, inner)
    if function is _apply and 2 <= len(args) <= 3:
        return _applied(args) or Call(function, args, task.kwargs)
    return Call(function, args, task.kwargs)


def _applied(args: Tuple[Any, ...]) -> Optional[Call]:
    """Unwrap ``apply(function, args, kwargs)`` where all of it can be read."""
    inner = args[1]
    if _Nested is not None and isinstance(inner, _Nested) and type(inner) is not _Dict:
        inner = inner.args
    kwargs: Any = args[2] if len(args) == 3 else {}
    if _Dict is not None and type(kwargs) is _Dict:
        flat = kwargs.args
        kwargs = {k: v for k, v in zip(flat[::2], flat[1::2])}
    elif type(kwargs) is tuple and len(kwargs) == 2 and kwargs[0] is dict and type(kwargs[1]) is list:
        kwargs = {pair[0]: pair[1] for pair in kwargs[1] if type(pair) in (list, tuple) and len(pair) == 2}
    if kwargs is None:
        kwargs = {}
    if type(inner) is tuple and len(inner) == 2 and inner[0] in (list, tuple) and type(inner[1]) is list:
        inner = inner[1]
    if type(inner) not in (list, tuple) or type(kwargs) is not dict:
        return None
    return Call(args[0], tuple(inner), kwargs)


def _old_call(run_spec: Tuple[Any, Any, Any]) -> Optional[Call]:
    function, args, kwargs = run_spec
    if type(args) not in (tuple, list):
        return None
    if type(function) is types.FunctionType and function.__name__ == "execute_task" and len(args) == 1:
        task = args[0]
        if type(task) is not tuple or not task or not _calls(task[0]):
            return None  # an alias, a list of results
        function, args, kwargs = task[0], task[1:], {}
    if function is _apply and 2 <= len(args) <= 3:
        call = _applied(tuple(args))
        if call is not None:
            function, args, kwargs = call.function, call.args, call.kwargs
    if type_name(type(function)) == "dask.optimization.SubgraphCallable":
        inner = [_old_inner(t) for t in function.dsk.values() if type(t) is tuple and t and _calls(t[0])]
        return Call(function, tuple(args), kwargs or {}, inner)
    if is_internal(function):
        return None
    return Call(function, tuple(args), kwargs or {})


def _old_inner(task: Tuple[Any, ...]) -> Call:
    if task[0] is _apply and 3 <= len(task) <= 4:
        call = _applied(task[1:])
        if call is not None:
            return call
    return Call(task[0], task[1:], {})


def _calls(head: Any) -> bool:
    """``callable`` for the head of a tuple, without asking an object of a user."""
    kind = type(head)
    return kind in _FUNCTION_TYPES or "__call__" in dir_of(kind)


def dir_of(kind: type) -> FrozenSet[str]:
    """Return the names that a type and its bases define."""
    names: set = set()
    for cls in type.__dict__["__mro__"].__get__(kind):
        names.update(type.__dict__["__dict__"].__get__(cls))
    return frozenset(names)


# ---- names ---------------------------------------------------------------------------------------------------------

_FUNCTION_TYPES = (types.FunctionType, types.BuiltinFunctionType, types.MethodType, functools.partial, type)


def _unwrap(function: Any) -> Tuple[Any, Tuple[Any, ...], Dict[str, Any]]:
    """Look through partials: the function below, and the arguments that were bound to it."""
    args: Tuple[Any, ...] = ()
    kwargs: Dict[str, Any] = {}
    for _ in range(10):
        kind = type(function)
        if kind is functools.partial:
            args = tuple(function.args) + args
            kwargs = {**function.keywords, **kwargs}
            function = function.func
        elif type_name(kind) in ("toolz.functoolz.curry", "cytoolz.functoolz.curry"):
            args = tuple(function.args) + args
            kwargs = {**function.keywords, **kwargs}
            function = function.func
        else:
            break
    return function, args, kwargs


_CACHED = 1000
_names_of: Dict[Tuple[Any, str], Tuple[str, str]] = {}


def function_names(function: Any) -> Tuple[str, str]:
    """Return the activity of a function and its full name, ``module.qualified``."""
    kind = type(function)
    if kind is types.FunctionType:
        name = (function.__module__, function.__qualname__)
        known = _names_of.get(name) if type(name[0]) is str else None
        if known is None:
            if len(_names_of) >= _CACHED:
                _names_of.clear()
            known = _named(function)
            if type(name[0]) is str:
                _names_of[name] = known
        return known
    return _named(function)


def _named(function: Any) -> Tuple[str, str]:
    kind = type(function)
    if kind is not types.FunctionType:
        function = _unwrap(function)[0]
        kind = type(function)
    if kind is types.MethodType:
        function = function.__func__
        kind = type(function)
    if kind is types.FunctionType:
        qualified, module = function.__qualname__, function.__module__
    elif kind is types.BuiltinFunctionType:
        qualified, module = function.__qualname__, function.__module__
    elif kind is type:
        name = type_name(function)
        return name.rpartition(".")[2], name
    else:
        name = type_name(kind)
        if name == "dask.utils.methodcaller":
            return str(function.method), "dask.utils.methodcaller"
        if name == "numpy.ufunc":
            return str(function.__name__), "numpy." + str(function.__name__)
        return name.rpartition(".")[2], name
    if type(module) is str and module and module != "builtins":
        full = module + "." + qualified
    else:
        full = qualified
    short = qualified.rpartition("<locals>.")[2]
    return ("lambda" if short.endswith("<lambda>") else short), full


def call_names(call: Call, key: Any) -> Tuple[str, str]:
    """Return activity and full function name; a fused graph and a lambda are named by Dask's key."""
    names = function_names(call.function)
    if call.inner is None and names[0] != "lambda":
        return names
    full = function_names(call.inner[-1].function)[1] if call.inner else names[1]
    return key_split(key), full


# By the identity of the code object, which is kept so that no other can have it.
_parameters_of: Dict[int, Tuple[Any, Tuple[str, ...]]] = {}


def _parameters(function: Any) -> Tuple[str, ...]:
    """Return the names of the positional parameters that are not bound already (as ``self`` is)."""
    kind = type(function)
    if kind is types.FunctionType:
        code = function.__code__
        known = _parameters_of.get(id(code))
        if known is not None and known[0] is code:
            return known[1]
        names = code.co_varnames[: code.co_argcount]
        if not names:
            return _behind_decorators(function, 0)
        if len(_parameters_of) >= _CACHED:
            _parameters_of.clear()
        _parameters_of[id(code)] = (code, names)
        return names
    if kind is types.MethodType:
        return _behind_decorators(function.__func__, 1)
    if kind is type:
        for cls in function.__mro__:
            init = cls.__dict__.get("__init__")
            if init is not None:
                return _behind_decorators(init, 1)
    return ()


def _behind_decorators(function: Any, bound: int) -> Tuple[str, ...]:
    """Return the parameters of a function, or of what it wraps where it takes any itself."""
    if type(function) is not types.FunctionType:
        return ()
    for _ in range(5):
        code = function.__code__
        inner = function.__dict__.get("__wrapped__") if code.co_argcount <= bound else None
        if type(inner) is not types.FunctionType:
            break
        function = inner
    return function.__code__.co_varnames[bound : function.__code__.co_argcount]


# ---- arguments -----------------------------------------------------------------------------------------------------


class Arguments:
    """Read the arguments of calls, and resolve references to other tasks.

    An instance belongs to one thread.

    Parameters
    ----------
    summariser : Summariser
        Turns values into what may leave the process.
    results : callable
        Returns the result of a key when it is in memory here, else the second
        argument.
    """

    def __init__(self, summariser: Summariser, results: Callable[[Any, Any], Any]) -> None:
        self._summarise = summariser.summarise
        self._summariser = summariser
        self._results = results
        self._keys: FrozenSet[Any] = frozenset()
        self.refs: Dict[str, str] = {}
        summariser.refer = self._refer

    def read(self, call: Call, keys: FrozenSet[Any]) -> Dict[str, Any]:
        """Return the arguments by name; `refs` then says which are results of other tasks.

        Parameters
        ----------
        call : Call
            The call.
        keys : frozenset
            Keys of the tasks it depends on. Only the tuples of old versions
            need them, where a reference looks like any other string.
        """
        self.refs = {}
        self._keys = keys if _spec is None else frozenset()
        if call.inner is None:
            return self._named(call, "")
        used: Dict[str, Any] = {}
        for one in call.inner:
            name = base = function_names(one.function)[0]
            n = 1
            while name in used:
                n += 1
                name = f"{base}_{n}"
            used[name] = self._named(one, name + ".")
        if call.args and not self.refs:
            used["args"] = [self._value(a, f"args.{i}") for i, a in enumerate(call.args)]
        return used

    def _named(self, call: Call, prefix: str) -> Dict[str, Any]:
        function, args, kwargs = call.function, call.args, call.kwargs
        if type(function) is not types.FunctionType:
            function, bound_args, bound_kwargs = _unwrap(function)
            if bound_args:
                args = bound_args + tuple(args)
            if bound_kwargs:
                kwargs = {**bound_kwargs, **kwargs}
        names = _parameters(function)
        used: Dict[str, Any] = {}
        n = len(names)
        i = 0
        for value in args:
            if i >= n:
                rest = args[n:]
                limit = self._summariser.limits.items
                items = [self._value(v, f"{prefix}args.{j}") for j, v in enumerate(rest[:limit])]
                used["args"] = (
                    items if len(rest) <= limit else {"$cut": {"type": "tuple", "length": len(rest), "head": items}}
                )
                break
            name = names[i]
            kind = type(value)
            if (kind is int and -0x8000000000000000 <= value <= 0x7FFFFFFFFFFFFFFF) or kind is float:
                used[name] = value
            else:
                used[name] = self._value(value, prefix + name)
            i += 1
        if kwargs:
            for name, value in kwargs.items():
                used[name] = self._value(value, prefix + name)
        return used

    def _value(self, value: Any, path: str) -> Any:
        if self._keys:
            return self._old_value(value, path, 0)
        return self._summarise(value, path)

    # -- references --

    def _refer(self, value: Any, kind: type, path: str, depth: int) -> Any:
        """Recognise Dask's own forms among the arguments; called by the summariser for all but plain scalars."""
        if kind is _TaskRef:
            return self._reference(value.key, path)
        if _spec is None or not type_name(kind).startswith("dask._task_spec."):
            if type_name(kind) == "distributed.client.Future":
                return self._reference(object.__getattribute__(value, "__dict__").get("key"), path)
            return NotImplemented
        if kind is _Alias:
            return self._reference(value.target, path)
        if kind is _DataNode:
            return self._summarise(value.value, path, depth + 1)
        if kind is _Dict:
            flat = value.args
            limit = self._summariser.limits.items
            out = {}
            for k, v in list(zip(flat[::2], flat[1::2]))[:limit]:
                name = k if type(k) is str else self._summariser._key(k)
                out[name] = self._summarise(v, f"{path}.{name}", depth + 1)
            return out
        if issubclass(kind, _Nested):
            limit = self._summariser.limits.items
            return [self._summarise(v, f"{path}.{i}", depth + 1) for i, v in enumerate(value.args[:limit])]
        if kind is _Task:
            for ref in value.dependencies:
                self.refs.setdefault(path, key_text(ref))
            return {"$object": {"type": function_names(value.func)[1]}}
        return NotImplemented

    def _reference(self, key: Any, path: str) -> Any:
        if key is None:
            return None
        text = key_text(key)
        if path:
            self.refs[path] = text
        value = self._results(key, _MISSING)
        kind = type(value)
        if kind is int or kind is float or kind is bool or value is None:
            return self._summarise(value)
        if kind is str:
            return value if len(value) <= _SMALL_TEXT else {"$ref": {"key": text}}
        if value is _MISSING:
            return {"$ref": {"key": text}}
        if kind in (dict, list, tuple) and len(value) > _SMALL_ITEMS:
            return {"$ref": {"key": text}}
        summariser = self._summariser
        nodes, size = summariser.nodes, summariser.text
        refer, summariser.refer = summariser.refer, None
        try:
            out = summariser.summarise(value)
        finally:
            summariser.refer = refer
        if summariser.nodes - nodes > _SMALL_NODES or summariser.text - size > _SMALL_TEXT:
            return {"$ref": {"key": text}}
        if type(out) is dict and ("$array" in out or "$object" in out or "$cut" in out):
            return {"$ref": {"key": text}}
        return out

    # -- tuples with bare keys --

    def _old_value(self, value: Any, path: str, depth: int) -> Any:
        kind = type(value)
        if kind is str or kind is bytes:
            return self._reference(value, path) if value in self._keys else self._summarise(value, path, depth)
        if depth > 8:
            return self._summarise(value, path, depth)
        limit = self._summariser.limits.items
        if kind is tuple:
            if all(type(v) in (str, bytes, int, float) for v in value[:8]) and len(value) <= 8 and value in self._keys:
                return self._reference(value, path)
            if value and _calls(value[0]):
                head = value[0]
                if head in (list, tuple, set) and len(value) == 2:
                    return self._old_value(value[1], path, depth)
                if head is dict and len(value) == 2 and type(value[1]) is list:
                    return {
                        (p[0] if type(p[0]) is str else self._summariser._key(p[0])): self._old_value(
                            p[1], f"{path}.{p[0]}" if type(p[0]) is str else path, depth + 1
                        )
                        for p in value[1][:limit]
                        if type(p) in (list, tuple) and len(p) == 2
                    }
                for i, part in enumerate(value[1:]):
                    self._old_value(part, f"{path}.{i}", depth + 1)
                return {"$object": {"type": function_names(head)[1]}}
        if (kind is list or kind is tuple) and len(value) <= limit:
            return [self._old_value(v, f"{path}.{i}", depth + 1) for i, v in enumerate(value)]
        if kind is dict and len(value) <= limit and all(type(k) is str for k in value):
            return {k: self._old_value(v, f"{path}.{k}", depth + 1) for k, v in value.items()}
        return self._summarise(value, path, depth)
