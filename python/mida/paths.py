"""Where the paths among the values lead on the node where their task ran."""

from __future__ import annotations

import os
import stat
import threading
import time
from typing import Any, Dict, List, Optional, Tuple

from .looks import looks_like_path
from .mounts import Space, read_space

__all__ = ["Directories", "PathFinder", "resolve"]


class Directories:
    """Real paths of directories, known for a second: the files of a task often lie side by side.

    Whoever changes a link in the path of a directory may be noticed a second
    later; a link in the place of the file itself is noticed at once.
    """

    SECONDS = 1.0

    def __init__(self) -> None:
        self._known: Dict[str, str] = {}
        self._began = 0.0

    def real(self, path: str) -> Tuple[str, Optional[os.stat_result]]:
        """Return ``os.path.realpath`` of an absolute path, and what is there."""
        directory, name = os.path.split(path.rstrip("/"))
        if name and name != "." and name != "..":
            real = os.path.join(self._directory(directory), name)
            try:
                found = os.lstat(real)
            except OSError:
                return real, None  # what does not exist has an identity too
            if not stat.S_ISLNK(found.st_mode):
                return real, found
            path = real
        real = os.path.realpath(path)
        try:
            return real, os.stat(real)
        except OSError:
            return real, None

    def _directory(self, path: str) -> str:
        now = time.monotonic()
        if now - self._began > self.SECONDS:
            self._known.clear()
            self._began = now
        real = self._known.get(path)
        if real is None:
            real = self._known[path] = os.path.realpath(path)
        return real


def resolve(path: str, directory: str, space: Space, directories: Directories) -> Tuple[Optional[Dict[str, Any]], str]:
    """Find where a path leads, and the device of what is there.

    Parameters
    ----------
    path, directory : str
        The path as the task named it, and the task's working directory.
    space : Space
        The mounts of this process.
    directories : Directories
        What is known of directories.
    """
    if path.startswith("~/"):
        path = os.path.expanduser(path)
    if not os.path.isabs(path):
        if not os.path.isabs(directory):
            return None, ""
        path = directory + "/" + path
    real, found = directories.real(path)
    info: Dict[str, Any] = {"real": real, "size": -1}
    device = ""
    if found is not None:
        info["mtime"] = found.st_mtime_ns
        if stat.S_ISREG(found.st_mode):
            info["size"] = found.st_size
        device = f"{os.major(found.st_dev)}:{os.minor(found.st_dev)}"
    fs, info["rel"] = space.locate(real)
    if fs:
        info["fs"] = fs
    return info, device


class PathFinder:
    """Add ``paths`` to events; what takes too long, as on a dead network file system, is left out and counted.

    The file system is asked in a thread of its own, because such a call can
    block for ever and nothing can interrupt it.

    Parameters
    ----------
    wait : float
        Seconds that a batch may wait for its paths. Generous: beside a job
        that holds the interpreter the thread hardly runs.

    Attributes
    ----------
    missed : int
        How many paths were left unresolved.
    """

    MAX_PER_BATCH = 20_000

    def __init__(self, wait: float = 5.0) -> None:
        self.missed = 0
        self.wait = wait
        self._directories = Directories()
        self._closed = False
        self._space: Optional[Space] = None
        self._read_at = 0.0
        self._busy: Optional[_Job] = None
        self._thread: Optional[threading.Thread] = None
        self._more = threading.Event()
        self._next: Optional[_Job] = None

    def add(self, events: List[Dict[str, Any]]) -> None:
        """Resolve the paths of a batch of events and put them beside the values."""
        wanted: List[Tuple[Dict[str, Any], List[str]]] = []
        unique: Dict[str, None] = {}
        for event in events:
            found: List[str] = []
            for root in ("used", "generated"):
                values = event.get(root)
                if values:
                    _collect("", values, found)
            if found:
                wanted.append((event, found))
                for path in found:
                    unique[path] = None
        if not unique:
            return
        infos = self._resolve(list(unique))
        for event, found in wanted:
            paths = {p: infos[p] for p in found if p in infos}
            if paths:
                event["paths"] = paths

    def close(self) -> None:
        """End the thread; nothing can be added any more."""
        self._closed = True
        self._more.set()

    def _resolve(self, paths: List[str]) -> Dict[str, Dict[str, Any]]:
        job = self._busy
        if job is not None and not job.done.is_set():
            self.missed += len(paths)  # still stuck with an earlier batch
            return {}
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="mida-paths", daemon=True)
            try:
                thread.start()
            except BaseException:
                self.missed += len(paths)
                raise
            self._thread = thread
        try:
            directory = os.getcwd()
        except OSError:
            directory = ""
        job = _Job(paths[: self.MAX_PER_BATCH], directory)
        self._busy = self._next = job
        self._more.set()
        began = time.monotonic()
        while not job.done.wait(min(self.wait, 0.2)):  # who closes shortens the wait
            if time.monotonic() - began >= self.wait:
                job.abandoned = True
                break
        infos = dict(job.infos)
        self.missed += len(paths) - len(job.seen)
        return infos

    def _run(self) -> None:
        while not self._closed:
            self._more.wait()
            self._more.clear()
            job, self._next = self._next, None
            if job is None:
                continue
            try:
                for path in job.paths:
                    if job.abandoned:
                        break
                    info = self._one(path, job.directory)
                    job.seen.append(path)
                    if info is not None:
                        job.infos[path] = info
            except Exception:
                pass  # the rest of the batch goes without
            job.done.set()

    def _one(self, path: str, directory: str) -> Optional[Dict[str, Any]]:
        if self._space is None:
            self._space, self._read_at = read_space(), time.monotonic()
        try:
            info, device = resolve(path, directory, self._space, self._directories)
            if info is not None and self._space.stale(info["real"], device):
                if time.monotonic() - self._read_at >= 1.0:
                    self._space, self._read_at = read_space(), time.monotonic()
                info, _ = resolve(path, directory, self._space, self._directories)
        except (OSError, ValueError):  # a NUL byte, a loop of links
            return None
        return info


class _Job:
    def __init__(self, paths: List[str], directory: str) -> None:
        self.paths, self.directory = paths, directory
        self.infos: Dict[str, Dict[str, Any]] = {}
        self.seen: List[str] = []
        self.abandoned = False
        self.done = threading.Event()


def _collect(field: str, values: Any, out: List[str]) -> None:
    kind = type(values)
    if kind is dict:
        for name, value in values.items():
            inner = type(value)
            if inner is str:
                if ("/" in value or "." in value or "\\" in value) and looks_like_path(
                    f"{field}.{name}" if field else name, value
                ):
                    out.append(value)
            elif inner is dict or inner is list:
                _collect(f"{field}.{name}" if field else name, value, out)
    elif kind is list:
        for value in values:
            if type(value) is str:
                if ("/" in value or "." in value or "\\" in value) and looks_like_path(field, value):
                    out.append(value)
            else:
                _collect(field, value, out)
