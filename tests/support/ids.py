"""Identities of tasks, computed from docs/data-model.md rather than from the code under test."""

from __future__ import annotations

import hashlib
import struct


def _digest(*parts: str) -> bytes:
    hashed = hashlib.sha256()
    for part in ("mida/v1", *parts):
        data = part.encode()
        hashed.update(struct.pack(">I", len(data)) + data)
    return hashed.digest()


def task_id(kind: str, scope: str, key: str) -> str:
    """Return the unique id of a task."""
    return _digest("task", kind, scope, key)[:16].hex()


def span_id(kind: str, scope: str, key: str) -> str:
    """Return the id of the span of a task that finished."""
    return _digest("span", kind, scope, key)[:8].hex()


def trace_id(kind: str, execution: str) -> str:
    """Return the id of the trace of an execution."""
    return _digest("trace", kind, execution)[:16].hex()
