"""Send a journal over HTTP, from a node without a collector. Standard library only."""

from __future__ import annotations

import collections
import http.client
import os
import re
import ssl
import sys
import threading
import time
from typing import Any, Callable, Deque, Dict, List, Optional, Tuple
from urllib.parse import urlsplit

from .journal import Writer, default_directory, host_directory

__all__ = ["GatewayWriter", "open_writer"]

# A segment is sent when it is finished, so it is finished soon: a change is visible within a second.
SEGMENT_SECONDS = 0.3
SEGMENT_BYTES = 1 << 20
TIMEOUT = 60.0
MIN_WAIT, MAX_WAIT = 0.5, 15.0
ORPHAN_EVERY = 60.0
# Dask kills a worker 4 s after it was told to stop.
LAST_SECONDS = 2.0
_SEGMENT = re.compile(r"[A-Za-z0-9_.-]+-[1-9][0-9]*\.(mj|jsonl)$")
# The answers with which a segment will never be accepted.
_REFUSED = (400, 413)


def open_writer(
    directory: str,
    observer: str,
    defaults: Dict[str, Any],
    failed: Callable[[BaseException, str], None],
    options: Dict[str, int],
) -> Writer:
    """Return the writer of a journal, which sends it where this process's environment names a gateway."""
    address = os.environ.get("MIDA_GATEWAY")
    if address:
        try:
            return GatewayWriter(directory, observer, defaults, address, failed, **options)
        except ValueError as error:  # the journal stays on this node
            failed(error, "gateway")
            import logging

            logging.getLogger("distributed.mida").warning("%s; task events stay in %s", error, directory)
    return Writer(directory, observer, defaults, **options)


def _token() -> str:
    """Return the token as it is now: its file may have changed."""
    path = os.environ.get("MIDA_GATEWAY_TOKEN_FILE")
    if path:
        with open(os.path.expanduser(path), encoding="ascii") as file:
            return file.read().split("\n", 1)[0].strip()
    return os.environ.get("MIDA_GATEWAY_TOKEN", "")


class _Connection:
    """A connection to the gateway that is made anew when it broke."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"MIDA_GATEWAY: {address!r}; want https://host:port")
        if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError(f"MIDA_GATEWAY: {address!r}; want https, except to this machine: a token could be read")
        self._secure, self._host, self._port = parts.scheme == "https", parts.hostname, parts.port or 4341
        self._path = parts.path.rstrip("/") + "/v1/journal/"
        self._open: Optional[http.client.HTTPConnection] = None

    def post(self, segment: str, body: Any, timeout: float) -> Tuple[int, str]:
        """Send a segment; return status and text of the answer."""
        headers = {"Content-Type": "application/octet-stream", "Authorization": "Bearer " + _token()}
        try:
            if self._open is None:
                self._open = self._connect()
            self._open.timeout = timeout
            if self._open.sock is not None:
                self._open.sock.settimeout(timeout)
            self._open.request("POST", self._path + segment, body, headers)
            answer = self._open.getresponse()
            return answer.status, answer.read(2000).decode("utf-8", "replace").strip()
        except BaseException:
            self.close()
            raise

    def _connect(self) -> http.client.HTTPConnection:
        if not self._secure:
            return http.client.HTTPConnection(self._host, self._port)
        context = ssl.create_default_context(cafile=os.environ.get("MIDA_GATEWAY_CA") or None)
        return http.client.HTTPSConnection(self._host, self._port, context=context)

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


class _Courier:
    """Brings finished segments to the gateway, and deletes those that are in the store."""

    def __init__(self, address: str, failed: Callable[[BaseException, str], None]) -> None:
        self._connection = _Connection(address)
        self._failed = failed

    def send(self, path: str, timeout: float = TIMEOUT) -> bool:
        """Send a segment; say whether there was one. Whatever it raises, the segment is still there."""
        try:
            with open(path, "rb") as file:
                body = file.read()
        except FileNotFoundError:
            return False
        status, text = self._connection.post(os.path.basename(path), body, timeout)
        if status in _REFUSED:
            # It stays for people to look at, under a name that nobody takes for a segment.
            os.replace(path, path + ".refused")
            self._failed(ValueError(f"{status} {text}"), "gateway")
        elif status // 100 != 2:
            raise ConnectionError(f"the gateway answered {status} {text}")
        else:
            _unlink(path)
        return True

    def left_behind(self, directory: str, age: float) -> List[str]:
        """Name the segments of other processes of this host that did not change for `age` seconds, newest first."""
        mine, now, found = f".{os.getpid()}.", time.time(), []
        with os.scandir(directory) as entries:
            for entry in entries:
                # Those of this process hold locks that would be lost, or have a thread of their own.
                if mine in entry.name or not _SEGMENT.match(entry.name):
                    continue
                changed = entry.stat(follow_symlinks=False).st_mtime
                if now - changed >= age:
                    found.append((changed, entry.path))
        return [path for _, path in sorted(found, reverse=True)]

    def send_orphan(self, path: str) -> None:
        """Send the segment of another process, unless that still writes it."""
        import fcntl

        try:
            handle = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
        except OSError:
            return  # somebody else sent it, or it is not ours
        try:
            if os.fstat(handle).st_uid != os.getuid():
                return
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.send(path)
        except BlockingIOError:
            return  # its writer lives
        finally:
            os.close(handle)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass  # another process found it left behind


class GatewayWriter(Writer):
    """A journal whose segments a thread of its own sends to the gateway, and deletes when they are in the store.

    They are on this node's disk first, so that neither a gateway that is away
    nor the end of this process loses them: what is left is sent by the next
    process here that has a gateway. Only finished segments are touched: a
    process that closes a file gives up its locks on it.

    Parameters
    ----------
    address : str
        ``https://host:port`` of a journal receiver.
    failed : callable
        Told of a segment that will never be accepted, and of faults.
    """

    def __init__(
        self,
        directory: str,
        observer: str,
        defaults: Dict[str, Any],
        address: str,
        failed: Callable[[BaseException, str], None],
        **options: int,
    ) -> None:
        options["segment_bytes"] = min(options.get("segment_bytes", SEGMENT_BYTES), SEGMENT_BYTES)
        super().__init__(directory, observer, defaults, **options)
        self._courier = _Courier(address, failed)
        self._finished: Deque[str] = collections.deque()
        self._orphans: List[str] = []
        self._orphans_at = 0.0
        self._lock = threading.Lock()  # of the segment that is written
        self._opened_at = 0.0
        self._wake = threading.Event()
        self._deadline: Optional[float] = None
        self._complaint_at = 0.0
        self._thread = threading.Thread(target=self._run, name="mida-gateway", daemon=True)

    def append(self, payload: bytes, reserve: int = 0) -> None:
        """Append one record; see `Writer.append`."""
        with self._lock:
            super().append(payload, reserve)
            if self._thread.ident is None:
                self._thread.start()

    def _next(self) -> None:
        before = self._segment
        try:
            super()._next()
        except BaseException:
            if self._segment != before and self._finished:
                self._finished.pop()  # it got no header, and was removed
            raise
        self._opened_at = time.monotonic()

    def close(self) -> None:
        """Finish the current segment."""
        path = self.path if self._file is not None and not self._gone() else None
        super().close()
        if path is not None:
            self._finished.append(path)

    def abandon(self) -> None:
        """Forget everything without touching it: for the child of a fork."""
        super().abandon()
        self._finished.clear()

    def finish(self) -> None:
        """Send what is left, but not for long; the rest stays on the disk."""
        with self._lock:
            self.close()
        self._deadline = time.monotonic() + LAST_SECONDS
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(LAST_SECONDS)

    # -- the gateway's thread --

    def _run(self) -> None:
        wait = MIN_WAIT
        while True:
            try:
                sent = self._round()
                if sent:
                    wait = MIN_WAIT
            except Exception as error:
                self._complain(error)
                if self._pause(wait):
                    return
                wait = min(2 * wait, MAX_WAIT)
                continue
            if not sent and self._pause(SEGMENT_SECONDS):
                return

    def _pause(self, seconds: float) -> bool:
        """Wait; say whether it is time to end."""
        if self._deadline is None:
            self._wake.wait(seconds)
            return False
        left = self._deadline - time.monotonic()
        if left <= 0 or not self._finished:
            return True
        time.sleep(min(left, seconds))
        return False

    def _round(self) -> bool:
        """Send one segment; say whether there was one."""
        with self._lock:
            if self._file is not None and time.monotonic() - self._opened_at > SEGMENT_SECONDS:
                self.close()
        if self._finished:
            timeout = TIMEOUT if self._deadline is None else max(0.1, self._deadline - time.monotonic())
            if not self._courier.send(self._finished[0], timeout):
                self.removed += 1
            self._finished.popleft()
            return True
        if self._deadline is not None:
            return False
        if not self._orphans and time.monotonic() >= self._orphans_at:
            self._orphans_at = time.monotonic() + ORPHAN_EVERY
            self._orphans = self._courier.left_behind(self.directory, ORPHAN_EVERY)
        if self._orphans:
            self._courier.send_orphan(self._orphans[-1])
            self._orphans.pop()
            return True
        return False

    def _complain(self, error: BaseException) -> None:
        """Tell the log of the observed process, at most once a minute, why its events wait."""
        now = time.monotonic()
        if now >= self._complaint_at and self._deadline is None:
            self._complaint_at = now + 60.0
            import logging

            logging.getLogger("distributed.mida").warning(
                "task events wait on this node's disk for the gateway: %s: %s", type(error).__name__, error
            )


def send_rest(directory: str) -> int:
    """Send what ended processes of this host left in a journal directory; return how many segments remain."""

    def failed(error: BaseException, where: str) -> None:
        print(f"mida: {where}: {error}", file=sys.stderr)

    address = os.environ.get("MIDA_GATEWAY")
    if not address:
        raise ValueError("MIDA_GATEWAY: not set; want https://host:port")
    courier, here = _Courier(address, failed), host_directory(directory)
    if not os.path.isdir(here):
        return 0
    for path in reversed(courier.left_behind(here, 0)):
        courier.send_orphan(path)
    return len(courier.left_behind(here, 0))


if __name__ == "__main__":
    try:
        remaining = send_rest(
            sys.argv[1] if len(sys.argv) > 1 else os.environ.get("MIDA_JOURNAL_DIR") or default_directory()
        )
    except (OSError, ValueError, http.client.HTTPException) as problem:
        sys.exit(f"mida: {type(problem).__name__}: {problem}")
    if remaining:
        sys.exit(f"mida: {remaining} segments remain; their writers still run")
