"""A command that runs under observation."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import threading
from types import FrameType
from typing import IO, Any, Callable, Dict, List, Optional

from .observation import Observation
from .observing import Observer

__all__ = ["Run"]

LOOK_SECONDS = 1.0  # between two looks for stores
OUTPUT_SECONDS = 10.0  # for what the script printed, when something that it left behind could still print
PASSED_ON = ("SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
NOT_FOUND, NOT_EXECUTABLE, SIGNALLED = 127, 126, 128


class Run:
    """One run of a command.

    Parameters
    ----------
    output
        A file to which what the command prints is appended, too.
    say
        Tells the person who started it.
    observation
        As `Observation` has them.

    Attributes
    ----------
    counts
        Tasks of the campaign by kind, after the end.
    """

    def __init__(
        self,
        name: str,
        observers: List[Observer],
        *,
        output: Optional[pathlib.Path],
        say: Callable[[str], None],
        **observation: Any,
    ) -> None:
        self._name, self._observers, self._observation = name, observers, observation
        self._output, self._say = output, say
        self._interrupts = 0
        self._child: Optional[subprocess.Popen] = None
        self.counts: Optional[Dict[str, int]] = None

    def execute(self, command: List[str]) -> int:
        """Run it to its end, bring everything over, and return its exit code, 128+n after signal n."""
        with self._signals():
            observed = Observation(self._name, self._observers, say=self._say, **self._observation)
            try:
                return self._wait(command, observed)
            finally:
                self.counts = observed.end()

    def _wait(self, command: List[str], observed: Observation) -> int:
        env = {**os.environ, **observed.environment}
        if self._output:
            env.setdefault("PYTHONUNBUFFERED", "1")  # a log line is seen when it is printed
        try:
            child = subprocess.Popen(command, env=env, stdout=subprocess.PIPE if self._output else None)
        except FileNotFoundError as error:
            self._say(f"{error.filename}: there is no such program")
            return NOT_FOUND
        except OSError as error:
            self._say(f"{error.filename}: {error.strerror}")
            return NOT_EXECUTABLE
        self._child = child
        copying = self._copy(child)
        while True:
            try:
                code = child.wait(LOOK_SECONDS)
                break
            except subprocess.TimeoutExpired:
                observed.look()
        if copying is not None:
            copying.join(OUTPUT_SECONDS)
        return code if code >= 0 else SIGNALLED - code

    def _copy(self, child: subprocess.Popen) -> Optional[threading.Thread]:
        """Copy what the script prints into the log, as it comes."""
        if self._output is None:
            return None
        self._output.parent.mkdir(parents=True, exist_ok=True)
        log = self._output.open("ab", buffering=0)

        def copy(printed: IO[bytes]) -> None:
            with printed, log:
                while chunk := os.read(printed.fileno(), 1 << 16):
                    log.write(chunk)
                    with contextlib.suppress(OSError, ValueError):  # nobody reads us; the log goes on
                        sys.stdout.buffer.write(chunk)
                        sys.stdout.buffer.flush()

        assert child.stdout is not None
        thread = threading.Thread(target=copy, args=(child.stdout,), name="mida-output", daemon=True)
        thread.start()
        return thread

    # ---- signals ---------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _signals(self) -> Any:
        """Hand signals on to the script, and stay to bring everything over."""
        names = ("SIGINT", *PASSED_ON)
        numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
        before = {number: signal.signal(number, self._signalled) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _signalled(self, number: int, _: Optional[FrameType]) -> None:
        child = self._child
        if child is None:
            raise KeyboardInterrupt
        if child.returncode is None:
            # A terminal sends Ctrl-C to the script as well.
            if number != signal.SIGINT or not _in_terminal():
                with contextlib.suppress(ProcessLookupError):
                    child.send_signal(number)
            return
        self._interrupts += 1
        if self._interrupts > 1:
            self._say("ended before everything was read; the next collector in this directory reads the rest")
            raise KeyboardInterrupt
        self._say("still reading what the script did; once more ends this, and the rest is read the next time")


def _in_terminal() -> bool:
    """Whether this process runs in the foreground of a terminal."""
    try:
        with open("/dev/tty", "rb", buffering=0) as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except (OSError, AttributeError):
        return False
