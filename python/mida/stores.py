"""The MLflow stores that a script writes, found by what appears on the disk."""

from __future__ import annotations

import contextlib
import os
import pathlib
import sqlite3
from typing import Dict, Iterator, List, Optional, Set, Tuple

__all__ = ["Stores", "named"]

DEPTH = 3  # directories below the one that the script runs in
ENTRIES = 20_000  # looked at; a directory with more is not searched further
SKIPPED = {"mida-data", "mlartifacts", "node_modules", "site-packages"}
SQLITE = b"SQLite format 3\0"
TABLES = {"experiments", "runs", "metrics", "params"}


def named() -> Tuple[Optional[str], str]:
    """Return the store that ``MLFLOW_TRACKING_URI`` names, if it can be observed, and else why not."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    if uri.startswith(("sqlite:", "postgresql:", "postgresql+", "postgres:")):
        return uri, ""
    if not uri:
        return None, ""
    what = "a server" if uri.startswith(("http:", "https:")) else "no database"
    return None, (
        f"MLFLOW_TRACKING_URI: {uri.split('@')[-1]!r} is {what}, and only databases are read; name the one behind it: "
        "--mlflow sqlite:///mlflow.db or --mlflow postgresql://user@host/mlflow"
    )


class Stores:
    """Looks for MLflow databases below a directory that were written since a moment."""

    def __init__(self, directory: pathlib.Path, since: float) -> None:
        # A clock of a file system may be behind by its tick.
        self._directory, self._since = directory, since - 0.05
        self._known: Set[pathlib.Path] = set()
        self._looked: Dict[pathlib.Path, Tuple[int, float]] = {}

    def new(self) -> List[str]:
        """Return the URIs of stores that were not found before."""
        found = []
        for path in self._candidates():
            self._known.add(path)
            found.append(f"sqlite:///{path}")
        return found

    def file_store(self) -> bool:
        """Whether MLflow wrote into a directory ``mlruns``, which is not read."""
        with contextlib.suppress(OSError), os.scandir(self._directory / "mlruns") as entries:
            for entry in entries:
                if entry.is_dir() and entry.name.isdigit() and entry.stat().st_mtime >= self._since:
                    return True
        return False

    def _candidates(self) -> Iterator[pathlib.Path]:
        left = [ENTRIES]
        for path in self._files(self._directory, DEPTH, left):
            if path in self._known:
                continue
            with contextlib.suppress(OSError, sqlite3.Error):  # gone, or locked: there is another look
                state = (path.stat().st_size, _written(path))
                if state[1] < self._since or self._looked.get(path) == state:
                    continue
                is_mlflow = _is_mlflow(path)
                self._looked[path] = state
                if is_mlflow:
                    yield path

    def _files(self, directory: pathlib.Path, depth: int, left: List[int]) -> Iterator[pathlib.Path]:
        below = []
        with contextlib.suppress(OSError), os.scandir(directory) as entries:
            for entry in entries:
                left[0] -= 1
                if left[0] < 0:
                    return
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in SKIPPED and not entry.name.startswith((".", "__")):
                        below.append(pathlib.Path(entry.path))
                elif entry.name.endswith((".db", ".sqlite", ".sqlite3")):
                    yield pathlib.Path(entry.path)
        for path in below if depth > 0 else ():
            yield from self._files(path, depth - 1, left)


def _written(path: pathlib.Path) -> float:
    """Return when a database was last written to; in WAL mode that is another file."""
    newest = path.stat().st_mtime
    with contextlib.suppress(OSError):
        newest = max(newest, path.with_name(path.name + "-wal").stat().st_mtime)
    return newest


def _is_mlflow(path: pathlib.Path) -> bool:
    with open(path, "rb") as file:
        if file.read(len(SQLITE)) != SQLITE:
            return False
    # Read-only, and never waiting: the script writes here.
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=0)) as database:
        rows = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return {name for (name,) in rows} >= TABLES
