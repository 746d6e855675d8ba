"""What the events of Dask's workers and of its scheduler have in common."""

from __future__ import annotations

import ast
import asyncio
import collections
import os
import pickletools
import socket
from typing import Any, Deque, Dict, List, Optional

from .capture import Policy
from .dask_memory import no_array
from .environment import job_attributes, user_name
from .journal import default_directory
from .observer import Event, Recorder

__all__ = [
    "close",
    "defaults",
    "error_attributes",
    "finish",
    "in_memory",
    "journal_directory",
    "nanoseconds",
]

_TRACEBACK = 16384
_MESSAGE = 2000


def journal_directory(config: Dict[str, Any]) -> str:
    """Return the journal directory on this node: this process's environment, the configuration, or the default."""
    given = os.environ.get("MIDA_JOURNAL_DIR") or (config.get("journal") or {}).get("directory")
    if given:
        expanded = os.path.expanduser(os.path.expandvars(given))
        if "$" not in expanded:
            return os.path.abspath(expanded)
    return default_directory()


def defaults(config: Dict[str, Any], scheduler_id: str, role: str, attributes: Dict[str, Any]) -> Event:
    """Return what holds for every event of this process.

    The scheduler's host and process are not where a task ran, so only a
    worker's events carry theirs.
    """
    event: Event = {
        "kind": "dask",
        "scope": scheduler_id,
        "execution": scheduler_id,
        "facet": role,
        "resource": {"service.name": "dask-" + role},
        "attributes": {"user.name": user_name(), **attributes},
    }
    if role == "worker":
        event["resource"]["host.name"] = socket.gethostname()
        event["attributes"].update({"process.pid": os.getpid(), "process.working_directory": _cwd()})
        event["attributes"].update(job_attributes())
    if config.get("campaign"):
        event["campaign"] = config["campaign"]
    return event


def _cwd() -> str:
    try:
        return os.getcwd()
    except OSError:
        return ""


def finish(event: Event, policy: Policy) -> Event:
    """Leave out of an event's attributes and custom entries what the policy drops."""
    for root in ("attributes", "custom"):
        if root in event:
            event[root] = policy.drop(root, event[root])
    return event


async def close(recorder: Recorder, lives: bool) -> None:
    """Write what is left, while the event loop goes on. A process that lives on is not held up by its environment."""
    options = {"environment": 0.0} if lives else {}
    try:
        await asyncio.to_thread(recorder.close, **options)
    except RuntimeError:  # the interpreter ends: no thread starts any more
        recorder.close(**options)


def error_attributes(text: Optional[str], traceback: Optional[str], pickled: Any = None) -> Dict[str, Any]:
    """Describe an exception from what distributed kept of it; the exception itself is not rebuilt.

    Parameters
    ----------
    text : str
        Its ``repr``.
    traceback : str
        The formatted traceback.
    pickled : bytes, optional
        Its pickle, which names the module of its class.
    """
    text = text or ""
    short = text.partition("(")[0].strip()[:200] or "unknown"
    name = _class_in_pickle(pickled, short) if type(pickled) is bytes else short
    out = {"error.type": name, "exception.type": name}
    message = _message(text, short)
    if message:
        left = len(message) - _MESSAGE
        out["exception.message"] = f"{message[:_MESSAGE]} [{left} characters cut]" if left > 0 else message
    if traceback:
        if len(traceback) > _TRACEBACK:
            cut = f"\n[{len(traceback) - _TRACEBACK} characters cut]\n"
            traceback = traceback[: _TRACEBACK // 4] + cut + traceback[-3 * _TRACEBACK // 4 :]
        out["exception.stacktrace"] = traceback
    return out


def _message(text: str, short: str) -> str:
    """Return what is between the parentheses of a ``repr``; of a single text, the text."""
    if not (text.startswith(short + "(") and text.endswith(")")):
        return text
    inner = text[len(short) + 1 : -1].rstrip(",")
    if short == "MemoryError":
        inner = no_array(inner)
    if inner[:1] in ("'", '"') and len(inner) < 20000:
        try:
            literal = ast.literal_eval(inner)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return inner
        if type(literal) is str:
            return literal
    return inner


def _class_in_pickle(data: bytes, short: str) -> str:
    """Find the class of this name in a pickle by reading its instructions, not by running them."""
    recent: Deque[Any] = collections.deque(maxlen=2)
    memo: List[Any] = []
    try:
        for count, (code, value, _) in enumerate(pickletools.genops(data[:65536])):
            if count > 5000:
                break
            name = code.name
            if name in ("SHORT_BINUNICODE", "BINUNICODE"):
                recent.append(value)
            elif name == "MEMOIZE":
                memo.append(recent[-1] if recent else None)
            elif name in ("BINGET", "LONG_BINGET"):
                recent.append(memo[value] if value < len(memo) else None)
            elif name == "STACK_GLOBAL" and len(recent) == 2 and all(type(r) is str for r in recent):
                module, qualified = recent
                if qualified.rpartition(".")[2] == short:
                    return qualified if module == "builtins" else f"{module}.{qualified}"
    except Exception:
        pass  # cut, or of a newer protocol
    return short


def nanoseconds(seconds: float) -> int:
    """Return a time as integer nanoseconds, exact to the microsecond that a float carries."""
    return int(seconds * 1e6) * 1000


def in_memory(data: Any) -> Optional[Dict[Any, Any]]:
    """Return the dict of results that are in memory now; None where the store is not one we know."""
    if type(data) is dict:
        return data
    fast = getattr(getattr(data, "fast", None), "d", None)
    if fast is None:
        return None
    return fast if isinstance(fast, dict) else None
