"""A collector for programs that find none: started by the first, shared by all, ended after the last.

Each program that uses one holds a shared lock on ``users.lock`` in the state directory. The collector waits for the
exclusive one, and ends when it gets it: the kernel gives back the locks of programs that were killed, so no collector
is left behind.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import time
from typing import Any, Callable, Iterable, List, Optional

from . import endpoint, program
from .client import Client
from .errors import AuthenticationError, MidaError, UnreachableError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["Collector", "join", "view_directory"]

SECONDS = 60.0  # for a start, or for the end of the one before
LOG = "collector.log"
VIEW = "mida.db"

_started: List[subprocess.Popen] = []  # kept, so that ended ones are collected


class Collector:
    """A collector in use by this process, until `release`.

    Attributes
    ----------
    client
        Asks it.
    state_directory
        Where it keeps everything; None for one that ``MIDA_ENDPOINT`` names.
    started
        Whether this process started it.
    """

    def __init__(self, client: Client, state_directory: Optional[pathlib.Path] = None, lock: int = -1) -> None:
        self.client, self.state_directory, self._lock = client, state_directory, lock
        self.started: Optional[subprocess.Popen] = None
        if lock >= 0:
            # A child that this process forks is no user of its own.
            os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def release(self) -> None:
        """Let it end, unless somebody else uses it; one that ends now has ended when this returns."""
        if self._lock < 0:
            return
        try:
            # Whoever gets the exclusive lock was the last.
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            last = True
        except OSError:
            last = False
        self._forget()
        if last and self.started is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.started.wait(SECONDS)

    def __enter__(self) -> Collector:
        return self

    def __exit__(self, *_: Any) -> None:
        self.release()


def join(state_directory: Optional[str] = None, *, allow_hosts: Iterable[str] = ()) -> Collector:
    """Return the collector that runs, or start one.

    Parameters
    ----------
    state_directory
        Default: that of the collector which runs for the current directory or one above it, else ``mida-data`` here.
    allow_hosts
        Hosts of databases and schedulers that a collector which is started here may be told to observe.
    """
    if state_directory is None:
        if os.environ.get("MIDA_ENDPOINT"):
            return Collector(Client())
        found = _running_above()
        state = found if found is not None else pathlib.Path.cwd() / endpoint.STATE_DIRECTORY
    else:
        state = pathlib.Path(os.path.abspath(state_directory))
    if fcntl is None:
        return Collector(Client(state_directory=str(state)), state)
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = _locked(state / "users.lock", fcntl.LOCK_SH, "the collector before this one ends")
    try:
        starting = _locked(state / "start.lock", fcntl.LOCK_EX, "another program starts the collector")
        try:
            if _answers(state):
                return Collector(Client(state_directory=str(state)), state, lock)
            process = _start(state, allow_hosts)
        finally:
            os.close(starting)
    except BaseException:
        os.close(lock)
        raise
    collector = Collector(Client(state_directory=str(state)), state, lock)
    collector.started = process
    return collector


def view_directory(state_directory: Optional[str] = None) -> Optional[pathlib.Path]:
    """Return the state directory, here or above, that holds a view of this user for which no collector runs."""
    here = pathlib.Path.cwd()
    candidates = [d / endpoint.STATE_DIRECTORY for d in (here, *here.parents)]
    for state in [pathlib.Path(os.path.abspath(state_directory))] if state_directory else candidates:
        with contextlib.suppress(OSError):
            if endpoint.is_own(state / VIEW):
                return None if _answers(state) else state
    return None


def _running_above() -> Optional[pathlib.Path]:
    here = pathlib.Path.cwd()
    for directory in (here, *here.parents):
        state = directory / endpoint.STATE_DIRECTORY
        if (state / endpoint.ENDPOINT_FILE).exists() and _answers(state):
            return state
    return None


def _answers(state: pathlib.Path) -> bool:
    try:
        Client(state_directory=str(state), timeout=10).campaigns()
    except (UnreachableError, AuthenticationError):
        return False
    return True


def _locked(path: pathlib.Path, how: int, who: str) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        _until(lambda: _try(descriptor, how), f"{path} stays locked: {who}")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _try(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _until(check: Callable[[], bool], problem: str) -> None:
    deadline, pause = time.monotonic() + SECONDS, 0.01
    while not check():
        if time.monotonic() > deadline:
            raise MidaError(f"{problem}, for more than {SECONDS:g} s")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.2)


def _start(state: pathlib.Path, allow_hosts: Iterable[str]) -> subprocess.Popen:
    command = [program.find(), "up", "--logs", "false", "--mlflow", "false", "--dask", "false"]
    command += ["--data-dir", str(state), "--endpoint", "127.0.0.1:0", "--while-locked", str(state / "users.lock")]
    # Who may register observers here is who started it.
    command += ["--allow-directory", "/", "--allow-host", "localhost"]
    for host in allow_hosts:
        command += ["--allow-host", host]
    log = os.open(state / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        begin = os.fstat(log).st_size
        # In a session of its own: a Ctrl-C is for the script, and this one ends when all is in the view. Its directory
        # is the one that its mida-data lies in, whoever starts it.
        process = subprocess.Popen(
            command, cwd=state.parent, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    finally:
        os.close(log)
    _started.append(process)
    try:
        _until(lambda: process.poll() is not None or _answers(state), "the collector does not answer")
        if process.poll() is not None:
            with open(state / LOG, "rb") as text:
                text.seek(begin)
                said = text.read().decode("utf-8", "replace").strip()
            raise MidaError(f"the collector ended at once: {said[-2000:]}")
    except BaseException:
        process.kill()
        process.wait()
        raise
    return process
