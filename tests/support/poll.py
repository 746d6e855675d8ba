"""Wait for things without sleeping longer than they take."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


class NotYet(AssertionError):
    """What was waited for did not happen in time."""


def until(check: Callable[[], Any], timeout: float, what: str, interval: float = 0.1) -> Any:
    """Call `check` until it returns something true, and return that.

    Exceptions of `check` count as "not yet"; the last one is part of the message when time is up.
    """
    deadline = time.monotonic() + timeout
    last: Any = None
    while True:
        try:
            last = check()
            if last:
                return last
        except Exception as error:
            last = error
        if time.monotonic() > deadline:
            raise NotYet(f"{what}: not within {timeout:g} s; at last: {last!r}"[:4000])
        time.sleep(interval)


def until_none(check: Callable[[], list], timeout: float, interval: float = 0.5) -> list:
    """Call `check` until it returns an empty list or time is up; return its last answer."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            left = check()
        except Exception as error:
            left = [f"{type(error).__name__}: {error}"]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(interval)
