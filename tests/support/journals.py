"""Journals written by hand, from docs/journal.md rather than by the code under test."""

from __future__ import annotations

import json
import os
import socket
import struct
import time
import zlib
from pathlib import Path

import msgpack

MAGIC = b"MIDAJRN1"


def host_directory(journal: Path) -> Path:
    """Make, and return, the directory of this host in a journal directory."""
    path = journal / socket.gethostname()
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    journal.chmod(0o700)
    return path


def finished(key: str, seq: int = 1, **more) -> dict:
    """Return the event of a task that has ended."""
    now = time.time_ns()
    event = {
        "event": "mida.task.finished",
        "time": now,
        "seq": seq,
        "kind": "script",
        "scope": "by-hand",
        "key": key,
        "facet": "run",
        "status": "FINISHED",
        "activity": "measure",
        "started_at": now - 10**9,
        "ended_at": now,
        "used": {"sample": 17},
        "generated": {"yield": 0.25},
    }
    return {**event, **more}


def header(observer: str, lock: bool = True) -> dict:
    """Return the header of a segment whose writer is gone: it says that it locks, and holds no lock."""
    return {
        "format": "mida.journal",
        "version": 1,
        "observer": observer,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "created": time.time_ns(),
        "lock": lock,
        "segment": 1,
        "writer": "by hand",
    }


def record(payload) -> bytes:
    """Return one record of the binary format."""
    data = msgpack.packb(payload)
    return struct.pack("<II", len(data), zlib.crc32(data)) + data


def write_text(directory: Path, observer: str, events: list[dict]) -> Path:
    """Write a segment of the text format."""
    return _write(directory / f"{observer}-1.jsonl", "".join(json.dumps(e) + "\n" for e in events).encode())


def write_binary(directory: Path, observer: str, events: list[dict], cut: int = 0) -> Path:
    """Write a segment of the binary format; `cut` bytes are missing at its end."""
    data = MAGIC + record(header(observer)) + b"".join(record(e) for e in events)
    return _write(directory / f"{observer}-1.mj", data[: len(data) - cut])


def _write(path: Path, data: bytes) -> Path:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    return path
