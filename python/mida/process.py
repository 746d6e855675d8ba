"""Which process this is, for those who look at it from outside."""

from __future__ import annotations

import os
import re
import threading
from typing import Any, Dict, Optional

from .journal import boot_id

__all__ = ["process_identity"]


def process_identity() -> Optional[Dict[str, Any]]:
    """Return what names this process for all times, also where numbers of processes are given again.

    Returns
    -------
    dict or None
        ``pid`` in its own namespace, ``pid_namespace``, ``start`` in ticks
        since boot and ``boot_id``; and the calling ``thread``. None elsewhere
        than on Linux.
    """
    try:
        with open("/proc/self/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
        found = re.search(r"\d+", os.readlink("/proc/self/ns/pid"))
        return {
            "pid": os.getpid(),
            "pid_namespace": int(found.group()) if found else 0,
            "start": int(fields[19]),
            "boot_id": boot_id(),
            "thread": threading.get_native_id(),
        }
    except (OSError, ValueError, IndexError):
        return None
