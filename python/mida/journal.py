"""Write Journal v1: ``docs/journal.md``. Standard library, and msgpack where it is at hand."""

from __future__ import annotations

import os
import re
import socket
import struct
import sys
import time
import zlib
from typing import Any, Callable, Dict, List, Optional

from .encoding import clean

__all__ = [
    "MAX_RECORD",
    "Dropped",
    "JournalFull",
    "RecordTooLarge",
    "Writer",
    "boot_id",
    "default_directory",
    "host_directory",
]

MAGIC = b"MIDAJRN1"
MAX_RECORD = 64 << 20  # readers take a longer one for damage
SEGMENT_BYTES = 8 << 20
DIRECTORY_BYTES = 1 << 30
_SIZE_EVERY = 1.0
MAX_RANGES = 1000


class JournalFull(Exception):
    """The journal directory has reached its size limit; what was offered is refused."""


class RecordTooLarge(ValueError):
    """A record is larger than readers accept; it is refused."""


class Dropped:
    """The ranges of numbers that were lost, with the reason. One thread adds; any thread may read `ranges`."""

    def __init__(self) -> None:
        self.ranges: List[List[Any]] = []
        self.count = 0

    def add(self, first: int, last: int, reason: str) -> None:
        """Add a range, joined to the one before where they touch."""
        self.count += last - first + 1
        if self.ranges:
            tail = self.ranges[-1]
            if tail[2] == reason and first <= tail[1] + 1 and first >= tail[0]:
                tail[1] = max(tail[1], last)
                return
            if len(self.ranges) >= MAX_RANGES:
                # Too many to name: say more is lost rather than less.
                tail[0], tail[1], tail[2] = min(tail[0], first), max(tail[1], last), "various"
                return
        self.ranges.append([first, last, reason])


def default_directory() -> str:
    """Return the journal directory of this node and user: on a node-local disk where there is one."""
    base = os.environ.get("SLURM_TMPDIR") or os.environ.get("TMPDIR") or "/tmp"
    return os.path.join(base, f"mida-journal-{os.getuid()}")


def host_directory(directory: str) -> str:
    """Return this host's own directory in a journal directory."""
    return os.path.join(directory, re.sub(r"[^A-Za-z0-9_.-]", "_", socket.gethostname()))


def boot_id() -> str:
    """Return the id of this boot of the machine, or an empty string."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def _private_directory(path: str) -> None:
    """Make a directory that only its owner can enter, and refuse one that somebody else made."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    info = os.lstat(path)
    if not os.path.isdir(path) or os.path.islink(path):
        raise OSError(f"journal directory {path}: is not a directory (symbolic links are not followed)")
    if info.st_uid != os.getuid():
        raise PermissionError(f"journal directory {path}: belongs to uid {info.st_uid}, this process is {os.getuid()}")
    if info.st_mode & 0o077:
        os.chmod(path, 0o700)


def _packer() -> Callable[[Any], bytes]:
    import msgpack

    packer = msgpack.Packer(use_bin_type=True, autoreset=True)
    return packer.pack


class Writer:
    """Append records to the segments of one observer.

    Not thread-safe: one thread owns it. The first `append` creates the files, and makes them anew when somebody removed
    them.

    Parameters
    ----------
    directory : str
        The journal directory; the host's own directory is made in it.
    observer : str
        Unique to this process.
    defaults : dict
        An event whose keys hold for every record that lacks them.
    segment_bytes, directory_bytes : int
        When to begin a new segment; how much all writers of this host may
        leave behind before new records are refused.

    Attributes
    ----------
    removed : int
        How many segments were removed while they were written. What no
        reader had read of them is a gap in the observer's numbers.
    """

    def __init__(
        self,
        directory: str,
        observer: str,
        defaults: Dict[str, Any],
        segment_bytes: int = SEGMENT_BYTES,
        directory_bytes: int = DIRECTORY_BYTES,
    ) -> None:
        self.observer = re.sub(r"[^A-Za-z0-9_.-]", "_", observer)
        self.defaults = defaults
        self.host = socket.gethostname()
        self.directory = host_directory(directory)
        self._root = directory
        self._segment_bytes = segment_bytes
        self._directory_bytes = directory_bytes
        self.removed = 0
        self._created = time.time_ns()
        self._segment = 0
        self._file: Optional[int] = None
        self._size = 0
        self._used = 0
        self._used_at = 0.0
        self.pack = _packer()

    @property
    def path(self) -> Optional[str]:
        """Path of the current segment, or None before the first record."""
        return self._path(self._segment) if self._segment else None

    def _path(self, n: int) -> str:
        return os.path.join(self.directory, f"{self.observer}-{n}.mj")

    def append(self, payload: bytes, reserve: int = 0) -> None:
        """Append one record.

        Parameters
        ----------
        payload : bytes
            The msgpack of an event or of an array of events.
        reserve : int
            Bytes allowed beyond the size limit, for checkpoints.

        Raises
        ------
        JournalFull
            The directory has reached its size limit.
        RecordTooLarge
            No reader would accept the record.
        OSError
            The record could not be written; the segment is as it was before.
        """
        if len(payload) > MAX_RECORD:
            raise RecordTooLarge(f"a record of {len(payload)} bytes; at most {MAX_RECORD} can be read")
        if self._file is not None and self._gone():
            # Somebody removed the segment, or the whole directory: what follows would never be read.
            self.removed += 1
            self.close()
        if self._file is None:
            self._open()
        elif self._size >= self._segment_bytes:
            self._next()
        self._check(len(payload), reserve)
        self._write(struct.pack("<II", len(payload), zlib.crc32(payload)) + payload)

    def _gone(self) -> bool:
        assert self._file is not None
        try:
            return os.fstat(self._file).st_nlink == 0
        except OSError:
            return True

    def roll(self) -> None:
        """Begin a new segment with the next record, because the defaults have changed."""
        self._size = self._segment_bytes

    def _write(self, data: bytes) -> None:
        assert self._file is not None
        done = 0
        try:
            while done < len(data):
                done += os.write(self._file, data[done:] if done else data)
        except OSError:
            if done:
                os.ftruncate(self._file, self._size)
            raise
        self._size += len(data)
        self._used += len(data)

    def _check(self, n: int, reserve: int) -> None:
        now = time.monotonic()
        if now - self._used_at > _SIZE_EVERY or self._used + n > self._directory_bytes:
            self._used_at = now
            total = 0
            with os.scandir(self.directory) as entries:
                for entry in entries:
                    try:
                        total += entry.stat(follow_symlinks=False).st_size
                    except OSError:
                        continue
            self._used = total
        if self._used + n > self._directory_bytes + reserve:
            raise JournalFull(f"{self.directory} holds {self._used} bytes of at most {self._directory_bytes}")

    def _open(self) -> None:
        os.makedirs(os.path.dirname(self._root) or ".", exist_ok=True)
        _private_directory(self._root)
        _private_directory(self.directory)
        self._next()

    def _next(self) -> None:
        """Begin the next segment; where that fails, neither it nor the one before is written to again."""
        n = self._segment + 1
        header = clean(
            {
                "format": "mida.journal",
                "version": 1,
                "observer": self.observer,
                "host": self.host,
                "pid": os.getpid(),
                "boot_id": boot_id(),
                "created": self._created,
                "segment": n,
                "writer": f"mida-python/1 python/{sys.version_info[0]}.{sys.version_info[1]}",
                "defaults": self.defaults,
                "lock": True,
            }
        )
        payload = self.pack(header)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
        file = os.open(self._path(n), flags | getattr(os, "O_NOFOLLOW", 0), 0o600)
        # A reader that saw the new segment takes the older one for ended, whatever becomes of the new one.
        self.close()
        self._file, self._segment, self._size = file, n, 0
        try:
            if not _lock(file):
                del header["lock"]
                payload = self.pack(header)
            self._write(MAGIC + struct.pack("<II", len(payload), zlib.crc32(payload)) + payload)
        except BaseException:
            # Without a header nobody could read what follows.
            self.close()
            try:
                os.unlink(self._path(n))
            except OSError:
                pass  # a reader counts it as torn
            raise

    def close(self) -> None:
        """Close the current segment, which releases its lock."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def finish(self) -> None:
        """End: nothing is appended any more."""
        self.close()

    def abandon(self) -> None:
        """Forget the file without touching it: for the child of a fork."""
        self._file = None


def _lock(file: int) -> bool:
    """Hold a POSIX record lock on the whole file for as long as the process keeps the file open."""
    try:
        import fcntl

        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except (ImportError, OSError):
        return False


def observer_name(role: str) -> str:
    """Return a name that no other process and no other observer of this process has.

    A count would not do: a process can hold several copies of this module.
    """
    try:
        with open("/proc/self/stat", encoding="ascii", errors="replace") as file:
            start = file.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        start = str(time.time_ns())
    return f"{role}.{socket.gethostname()}.{os.getpid()}.{start}.{os.urandom(6).hex()}"
