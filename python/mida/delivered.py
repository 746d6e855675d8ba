"""What a watch has delivered: in memory, or in a file of its name."""

from __future__ import annotations

import json
import os
import pathlib
import re
from typing import IO, Any, Optional, Set

from .errors import MidaError, QueryError

try:
    import fcntl
except ImportError:  # Windows: nothing keeps two processes from the same name
    fcntl = None  # type: ignore[assignment]

__all__ = ["Delivered"]

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


class Delivered:
    """The keys of the matches that were delivered.

    The file has a line that says which watch it is, then a line for each
    key, on disk before the next match is delivered. One process at a time
    has it.
    """

    def __init__(self, name: Optional[str], query: Any, directory: Optional[str]) -> None:
        self._keys: Set[str] = set()
        self._file: Optional[IO[bytes]] = None
        self.is_new = True
        if name is None:
            return
        if not _NAME.fullmatch(name):
            raise QueryError(
                f"name: {name!r} is no name of a watch; want letters, digits, '.', '_' and '-', 100 at most",
                field="name",
            )
        path = _directory(directory) / (name + ".jsonl")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
        try:
            self._lock(name)
            self._read(name, query, path)
        except BaseException:
            self._file.close()
            raise

    def _lock(self, name: str) -> None:
        if fcntl is None or self._file is None:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise MidaError(f"the watch {name!r} is running already; stop it, or take another name") from None

    def _read(self, name: str, query: Any, path: pathlib.Path) -> None:
        assert self._file is not None
        lines = self._file.read().split(b"\n")
        whole = sum(len(line) + 1 for line in lines[:-1])
        self._file.truncate(whole)  # a line that was torn by a kill
        self._file.seek(whole)
        if whole == 0:
            self._append({"watch": name, "query": query})
            return
        try:
            head, *keys = [json.loads(line) for line in lines[:-1]]
            before = head["query"]
        except (ValueError, TypeError, KeyError):
            raise MidaError(f"{path} is not what a watch writes; move it away") from None
        if before != query:
            raise QueryError(
                f"name: the watch {name!r} is for {json.dumps(before)}; take another name, or remove {path}",
                field="name",
            )
        self._keys.update(keys)
        self.is_new = False

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def add(self, *keys: str) -> None:
        """Note deliveries; they are on disk when this returns."""
        self._keys.update(keys)
        self._append(*keys)

    def _append(self, *lines: Any) -> None:
        if self._file is not None and lines:
            self._file.write(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Let another process have the name."""
        if self._file is not None:
            self._file.close()


def _directory(state: Optional[str]) -> pathlib.Path:
    if state:
        return pathlib.Path(state) / "watches"
    home = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return pathlib.Path(home) / "mida" / "watches"
