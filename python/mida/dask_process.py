"""How the process of a Dask worker ends."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from typing import Any, Callable

__all__ = ["SIGTERM_SECONDS", "at_sigterm", "closing"]

SIGTERM_SECONDS = 2.0  # how long the end of a process may be put off, at most


def closing(worker: Any) -> bool:
    """Whether a worker is on its way out, rather than about to lose a plugin."""
    status = getattr(worker.status, "name", str(worker.status))
    return status not in ("running", "paused", "init", "undefined")


def at_sigterm(last: Callable[[], None]) -> Callable[[], None]:
    """Call `last` before SIGTERM ends this process, where it would end it at once; return what takes that back.

    Batch systems send the signal to every process of a job. A scheduler and
    a nanny close when it comes, but the worker below a nanny knows nothing
    of it and is gone before the nanny can ask it to close. A process that
    has a handler of its own keeps it.
    """
    number = signal.SIGTERM
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(number) is not signal.SIG_DFL:
        return _nothing
    if os.getpid() == 1:  # whom the signal does not end unless it has a handler
        return _nothing

    def handler(*_: Any) -> None:
        signal.signal(number, signal.SIG_DFL)
        try:
            last()
        finally:
            os.kill(os.getpid(), number)

    def in_child() -> None:
        # One that was forked has nothing to say, and ends as it would have: a handler waits until Python code runs.
        with contextlib.suppress(Exception):
            if signal.getsignal(number) is handler:
                signal.signal(number, signal.SIG_DFL)

    def forget() -> None:
        if threading.current_thread() is threading.main_thread() and signal.getsignal(number) is handler:
            signal.signal(number, signal.SIG_DFL)

    os.register_at_fork(after_in_child=in_child)
    signal.signal(number, handler)
    return forget


def _nothing() -> None:
    """Take back what was not done."""
