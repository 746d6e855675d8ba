"""The arguments of a query, and what people write in their place."""

from __future__ import annotations

from typing import Any, Iterable, List, Optional, Sequence, Union

from .errors import QueryError

__all__ = ["Aggregation", "Sort", "names_of", "pairs_of", "sort_of"]

Aggregation = Iterable[Sequence[str]]
Sort = Iterable[Union[str, Sequence[Any]]]


def names_of(what: str, names: Optional[Iterable[str]]) -> Optional[List[str]]:
    """Return a list of names."""
    if isinstance(names, str):
        raise QueryError(f"{what}: {names!r} is a string; want a list such as [{names!r}]", field=what)
    return None if names is None else list(names)


def pairs_of(pairs: Optional[Aggregation]) -> Optional[List[List[str]]]:
    """Return an aggregation as the API wants it."""
    if pairs is None:
        return None
    pairs = [pairs] if isinstance(pairs, str) else list(pairs)
    for pair in pairs:
        if isinstance(pair, str):
            raise QueryError(
                f'aggregation: {pair!r} is no pair; want a list of pairs such as [("min", "generated.loss")]',
                field="aggregation",
            )
    return [list(pair) for pair in pairs]


def sort_of(keys: Sort) -> List[Any]:
    """Return a sort as the API wants it."""
    keys = keys if isinstance(keys, str) else list(keys)
    alone = len(keys) == 2 and keys[1] in ("ascending", "descending", "asc", "desc", 1, -1)
    if isinstance(keys, str) or alone:
        field = keys if isinstance(keys, str) else keys[0]
        raise QueryError(
            f"sort: {keys!r} is not a list of fields; want one such as [({field!r}, mida.DESCENDING)]", field="sort"
        )
    return [key if isinstance(key, str) else list(key) for key in keys]
