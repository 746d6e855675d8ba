"""Read journals in tests, strictly: every record must be whole and every event complete."""

from __future__ import annotations

import os
import struct
import zlib
from typing import Any, Dict, Iterator, List, Tuple

import msgpack


def segments(directory: str) -> List[str]:
    """Return the paths of all binary segments in the order of their numbers."""
    out = [os.path.join(root, n) for root, _, names in os.walk(directory) for n in names if n.endswith(".mj")]
    return sorted(out, key=lambda p: int(p[:-3].rpartition("-")[2]))


def payloads(path: str) -> Iterator[Any]:
    """Yield the decoded payloads of a segment, the header first."""
    with open(path, "rb") as file:
        data = file.read()
    if len(data) < 8:
        return  # it was made this moment
    assert data[:8] == b"MIDAJRN1", path
    at = 8
    while at < len(data):
        if at + 8 > len(data):
            return
        length, crc = struct.unpack_from("<II", data, at)
        payload = data[at + 8 : at + 8 + length]
        if len(payload) < length:
            return  # torn: the writer was killed
        assert zlib.crc32(payload) == crc, (path, at)
        yield msgpack.unpackb(payload, raw=False, strict_map_key=True)
        at += 8 + length


def read_events(directory: str) -> List[Dict[str, Any]]:
    """Return all events of a journal directory, with the header's defaults and ``observer`` filled in."""
    out: List[Dict[str, Any]] = []
    for path in segments(directory):
        it = payloads(path)
        header = next(it, None)
        if header is None:
            continue
        assert header["format"] == "mida.journal" and header["version"] == 1
        for payload in it:
            for event in payload if isinstance(payload, list) else [payload]:
                out.append(_complete(event, header))
    return out


def _complete(event: Dict[str, Any], header: Dict[str, Any]) -> Dict[str, Any]:
    full = dict(header["defaults"])
    for key, value in event.items():
        if key in ("attributes", "resource") and isinstance(full.get(key), dict):
            full[key] = {**full[key], **value}
        else:
            full[key] = value
    full["observer"] = header["observer"]
    return full


def tasks(events: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """Return the task events only."""
    return [e for e in events if e["event"].startswith("mida.task.")]


def final(events: List[Dict[str, Any]]) -> Dict[Tuple[str, Any, str], Dict[str, Any]]:
    """Return the newest snapshot of each facet of each attempt: (key, attempt or None, facet) → event."""
    out: Dict[Tuple[str, Any, str], Dict[str, Any]] = {}
    for event in tasks(events):
        name = (event["key"], event.get("attempt"), event["facet"])
        old = out.get(name)
        if old is None or (event["time"], event["seq"]) >= (old["time"], old["seq"]):
            out[name] = event
    return out
