"""What a Dask task calls: the function, its name, and the values it is called with.

Dask has changed how it writes a task down: objects of ``dask._task_spec``
since 2024.12, tuples with bare keys before. Both are read here and in
`call_arguments`, and nowhere else. Values and types of users are compared by
identity: ``==`` and ``in`` could run their code.
"""

from __future__ import annotations

import functools
import types
from typing import Any, Dict, List, Mapping, Optional, Tuple

from .encoding import type_name

try:  # since dask 2024.12
    from dask import _task_spec as spec
except ImportError:  # pragma: no cover - depends on the version
    spec = None

from dask.utils import apply as _apply
from dask.utils import key_split

__all__ = [
    "BARE_KEYS",
    "Call",
    "call_names",
    "calls",
    "computes",
    "function_names",
    "is_internal",
    "key_text",
    "parameters",
    "read_call",
    "spec",
    "unwrap",
]

_type_mro = type.__dict__["__mro__"].__get__
_type_dict = type.__dict__["__dict__"].__get__

if spec is not None:
    _Task, _Alias, _DataNode, _subgraph = spec.Task, spec.Alias, spec.DataNode, spec._execute_subgraph
    _TaskRef, _Dict, _sequences = spec.TaskRef, spec.Dict, (spec.List, spec.Tuple, spec.Set)
else:  # pragma: no cover - depends on the version
    _Task = _Alias = _DataNode = _TaskRef = _subgraph = _Dict = None
    _sequences = ()

# In this version a reference among the arguments looks like any other string or tuple.
BARE_KEYS = spec is None

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
        if kind is _Alias or kind is _DataNode or (kind is not tuple and issubclass(kind, spec.GraphNode)):
            return None
    if kind is tuple and len(run_spec) == 3:
        return _old_call(run_spec)
    return None


def computes(run_spec: Any) -> bool:
    """Say whether `read_call` returns a call, which for a fused graph takes longer to read."""
    if _Task is not None and type(run_spec) is _Task:
        if run_spec.func is _subgraph:
            return True
        if run_spec.func is not _apply:
            return not is_internal(run_spec.func)
    return read_call(run_spec) is not None


def is_internal(function: Any) -> bool:
    """Say whether a function of Dask only hands values on."""
    if type(function) is types.FunctionType:
        module = function.__module__
        return type(module) is str and (module, function.__qualname__) in _PASSING
    return function is tuple or function is list or function is dict or function is set


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
    if any(type(inner) is kind for kind in _sequences):
        inner = inner.args
    elif type(inner) is tuple and len(inner) == 2 and type(inner[1]) is list:
        if inner[0] is list or inner[0] is tuple:
            inner = inner[1]
    if type(inner) is not list and type(inner) is not tuple:
        return None
    given: Any = args[2] if len(args) == 3 else None
    pairs: Any = ()
    if _Dict is not None and type(given) is _Dict:
        flat = iter(given.args)
        pairs = zip(flat, flat)
    elif type(given) is tuple and len(given) == 2 and given[0] is dict and type(given[1]) is list:
        pairs = given[1]
    elif type(given) is dict:
        pairs = given.items()
    elif given is not None:
        return None
    kwargs = {}
    for pair in pairs:
        if (type(pair) is not tuple and type(pair) is not list) or len(pair) != 2 or type(pair[0]) is not str:
            return None
        kwargs[pair[0]] = pair[1]
    return Call(args[0], tuple(inner), kwargs)


def _old_call(run_spec: Tuple[Any, Any, Any]) -> Optional[Call]:
    function, args, kwargs = run_spec
    if type(args) is not tuple and type(args) is not list:
        return None
    if type(function) is types.FunctionType and function.__name__ == "execute_task" and len(args) == 1:
        task = args[0]
        if type(task) is not tuple or not task or not calls(task[0]):
            return None  # an alias, a list of results
        function, args, kwargs = task[0], task[1:], {}
    if function is _apply and 2 <= len(args) <= 3:
        call = _applied(tuple(args))
        if call is not None:
            function, args, kwargs = call.function, call.args, call.kwargs
    if type_name(type(function)) == "dask.optimization.SubgraphCallable":
        inner = [_old_inner(t) for t in function.dsk.values() if type(t) is tuple and t and calls(t[0])]
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


def calls(head: Any) -> bool:
    """``callable`` for the head of a tuple, without asking an object of a user."""
    kind = type(head)
    if kind is str or kind is int or kind is float or kind is tuple or kind is list or kind is dict:
        return False
    if kind is types.FunctionType or kind is types.BuiltinFunctionType or kind is type:
        return True
    return any("__call__" in _type_dict(cls) for cls in _type_mro(kind))


# ---- names ---------------------------------------------------------------------------------------------------------


def unwrap(function: Any) -> Tuple[Any, Tuple[Any, ...], Dict[str, Any]]:
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
        function = unwrap(function)[0]
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
    """Return activity and full function name; a fused graph and a lambda are named by Dask's key.

    So is the result of another task that is called: what it is is not known.
    """
    kind = type(call.function)
    if kind is str or kind is tuple or kind is _TaskRef:
        return key_split(key), ""
    names = function_names(call.function)
    if call.inner is None and names[0] != "lambda":
        return names
    full = function_names(call.inner[-1].function)[1] if call.inner else names[1]
    return key_split(key), full


# By the identity of the code object, which is kept so that no other can have it.
_parameters_of: Dict[int, Tuple[Any, Tuple[str, ...]]] = {}


def parameters(function: Any) -> Tuple[str, ...]:
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
