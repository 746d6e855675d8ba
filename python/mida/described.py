"""How objects of known types are described without their contents.

Nothing here calls what a user can override: types are compared by identity or
name, and hashed only once their metaclass is known, since a metaclass may
define ``__eq__`` and ``__hash__``.
"""

from __future__ import annotations

import abc
import datetime
import decimal
import enum
import fractions
import pathlib
import uuid
import zoneinfo
from typing import Any, Callable, Dict, List

from .encoding import type_name

__all__ = ["BY_NAME", "NUMPY_SCALARS", "PLAIN", "numpy_scalar", "object_of", "ordinary"]

_type_module = type.__dict__["__module__"].__get__
_type_qualname = type.__dict__["__qualname__"].__get__
_COLUMNS = 100
_FIELDS = 16
_NAME = 200  # characters of one name of a column, a field or a dtype
_BITS = 4096  # decimal digits of a huge integer take quadratic time
_CACHED = 1000


def ordinary(kind: type) -> bool:
    """Say whether a class has one of Python's own metaclasses: then it may be compared and hashed."""
    metaclass = type(kind)
    return metaclass is type or metaclass is abc.ABCMeta or metaclass is enum.EnumMeta


def object_of(kind: type) -> Dict[str, Any]:
    """Describe what is only known by its type."""
    return {"$object": {"type": type_name(kind)}}


# ---- arrays and tables -------------------------------------------------------------------------------------------

_dtypes: Dict[Any, str] = {}


def _dtype(dtype: Any) -> str:
    """Return the text of a dtype; of one with many fields the first names, of a user's own its type."""
    kind = type(dtype)
    module = _type_module(kind)
    package = module.partition(".")[0] if type(module) is str else ""
    if package != "numpy":
        return str(dtype)[:_NAME] if package in ("pandas", "torch", "pyarrow") else type_name(kind)
    names = dtype.names
    if names is None:
        known = _dtypes.get(dtype)
        if known is None:
            if len(_dtypes) >= _CACHED:
                _dtypes.clear()
            known = _dtypes[dtype] = str(dtype)[:_NAME]
        return known
    if len(names) <= _FIELDS and all(dtype.fields[n][0].base.names is None for n in names):
        text = str(dtype)
        if len(text) <= 8 * _NAME:
            return text
    return f"{len(names)} fields: " + ", ".join(n[:_NAME] for n in names[:_FIELDS]) + ", …" * (len(names) > _FIELDS)


def _shape(value: Any) -> List[int]:
    return [int(n) for n in value.shape]


def _array(value: Any, kind: type) -> Any:
    return {
        "$array": {
            "type": type_name(kind),
            "shape": _shape(value),
            "dtype": _dtype(value.dtype),
            "nbytes": int(value.nbytes),
        }
    }


def _column(name: Any) -> str:
    kind = type(name)
    if kind is str:
        return name[:_NAME]
    if kind is int or kind is float:
        return str(name)
    if kind is tuple:
        return "(" + ", ".join(_column(part) for part in name[:_FIELDS]) + ")"
    return type_name(kind)


def _frame(value: Any, kind: type) -> Any:
    names = [_column(c) for c in value.columns[:_COLUMNS]]
    return {"$array": {"type": type_name(kind), "shape": _shape(value), "columns": names}}


def _series(value: Any, kind: type) -> Any:
    return {"$array": {"type": type_name(kind), "shape": _shape(value), "dtype": _dtype(value.dtype)}}


def _tensor(value: Any, kind: type) -> Any:
    shape = _shape(value)
    size = int(value.element_size())
    for n in shape:
        size *= n
    return {"$array": {"type": type_name(kind), "shape": shape, "dtype": _dtype(value.dtype), "nbytes": size}}


def _table(value: Any, kind: type) -> Any:
    return {
        "$array": {
            "type": type_name(kind),
            "shape": [int(value.num_rows), int(value.num_columns)],
            "columns": [_column(n) for n in value.column_names[:_COLUMNS]],
            "nbytes": int(value.nbytes),
        }
    }


def _sparse(value: Any, kind: type) -> Any:
    return {
        "$array": {
            "type": type_name(kind),
            "shape": _shape(value),
            "dtype": _dtype(value.dtype),
            "nbytes": int(value.data.nbytes),
        }
    }


# Known by name, so that no heavy package is imported to recognise what is not there.
BY_NAME: Dict[str, Callable[[Any, type], Any]] = {
    "numpy.ndarray": _array,
    "numpy.matrix": _array,
    "numpy.memmap": _array,
    "numpy.ma.core.MaskedArray": _array,
    "numpy.ma.MaskedArray": _array,
    "cupy.ndarray": _array,
    "cupy._core.core.ndarray": _array,
    "jaxlib.xla_extension.ArrayImpl": _array,
    "jaxlib._jax.ArrayImpl": _array,
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

# ---- scalars -----------------------------------------------------------------------------------------------------

NUMPY_SCALARS = frozenset(
    "bool bool_ int8 int16 int32 int64 intc intp longlong uint8 uint16 uint32 uint64 uintc uintp ulonglong "
    "float16 float32 float64 longdouble float96 float128 complex64 complex128 str_ bytes_ "
    "datetime64 timedelta64".split()
)


def numpy_scalar(value: Any, kind: type) -> Any:
    """Return the plain value of one of NUMPY_SCALARS."""
    name = _type_qualname(kind)
    if name.startswith(("datetime64", "timedelta64")):
        return str(value)
    plain = value.item()
    if type(plain) in (int, float, bool, str, bytes, complex):
        return plain
    return float(value) if "float" in name or "longdouble" in name else object_of(kind)


def _clock(value: Any) -> str:
    """Return the ISO text of a datetime or time. A time zone of somebody else's making is named, not asked."""
    zone = value.tzinfo
    if zone is None or type(zone) is datetime.timezone or type(zone) is zoneinfo.ZoneInfo:
        return value.isoformat()
    return f"{value.replace(tzinfo=None).isoformat()}[{type_name(type(zone))}]"


def _fraction(value: fractions.Fraction) -> Any:
    parts = (value._numerator, value._denominator)  # type: ignore[attr-defined]
    if all(type(n) is int and n.bit_length() <= _BITS for n in parts):
        return str(value)
    return object_of(fractions.Fraction)


PLAIN: Dict[type, Callable[[Any], Any]] = {
    complex: lambda v: {"real": v.real, "imag": v.imag},
    range: lambda v: {"start": v.start, "stop": v.stop, "step": v.step},
    datetime.datetime: _clock,
    datetime.date: datetime.date.isoformat,
    datetime.time: _clock,
    datetime.timedelta: datetime.timedelta.total_seconds,
    decimal.Decimal: decimal.Decimal.__str__,
    fractions.Fraction: _fraction,
    uuid.UUID: uuid.UUID.__str__,
    pathlib.PosixPath: pathlib.PosixPath.__str__,
    pathlib.PurePosixPath: pathlib.PurePosixPath.__str__,
    pathlib.PureWindowsPath: pathlib.PureWindowsPath.__str__,
    type(None): lambda v: None,
}
PLAIN[type(pathlib.Path())] = str
