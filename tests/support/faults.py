"""Things that go wrong, made to go wrong for real."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from .collector import Collector
from .poll import until

STARTING = "while starting"


class Killer(threading.Thread):
    """Kills the collector at random moments and starts it again.

    Parameters
    ----------
    collector : Collector
        It runs when the thread starts and when it has ended.
    seed : int
        Of the moments.
    gap : tuple
        Least and greatest number of seconds between a collector that answers and its kill.
    kills : int
        How many; the thread goes on until `finish` with ``0``.
    during_restart : int
        How many of the first `kills`, or of the first fifteen, are followed by a kill of the collector that has just
        been started and does not answer yet.
    """

    def __init__(self, collector: Collector, seed: int, gap: tuple, kills: int = 0, during_restart: int = 0) -> None:
        super().__init__(daemon=True)
        self.collector, self.seed = collector, seed
        self.moments: list[tuple[float, str]] = []
        self.error: BaseException | None = None
        self._random, self._gap = random.Random(seed), gap
        self._plain = kills - during_restart if kills else 0
        self._during = set(self._random.sample(range(self._plain or 15), during_restart))
        self._began = time.monotonic()
        self._enough = threading.Event()

    def run(self) -> None:
        """Kill and start."""
        try:
            done = 0
            while not self._plain or done < self._plain:
                if self._enough.wait(self._random.uniform(*self._gap)):
                    break
                self._kill("running")
                self.collector.spawn()
                while done in self._during:
                    # Within its first tenth of a second it is rarely ready; when it was, that kill was one more of the
                    # other kind, and the next one aims again.
                    self._enough.wait(self._random.uniform(0.0, 0.08))
                    starting = not self.collector.ready()
                    self._kill(STARTING if starting else "just started")
                    self.collector.spawn()
                    if starting:
                        break
                done += 1
                until(self.collector.ready, 60, "the collector answers again", interval=0.05)
        except BaseException as error:
            self.error = error

    def _kill(self, what: str) -> None:
        self.collector.kill()
        self.moments.append((time.monotonic() - self._began, what))

    def while_starting(self) -> int:
        """Count the kills that hit a collector that did not answer yet."""
        return sum(what == STARTING for _, what in self.moments)

    def finish(self, timeout: float = 120.0) -> None:
        """Let it do the kills that it was asked for, or, if that was no number, end it now."""
        if not self._plain:
            self._enough.set()
        self.join(timeout)
        assert not self.is_alive(), f"only {len(self.moments)} kills within {timeout:g} s"
        if self.error is not None:
            raise self.error


@contextlib.contextmanager
def refusing_writes(database: Path) -> Iterator[None]:
    """Hold SQLite's write lock from another connection: every write of the collector is refused meanwhile."""
    connection = sqlite3.connect(database, timeout=30, isolation_level=None)
    try:
        until(lambda: _take(connection), 30, "the write lock of the database")
        yield
        connection.execute("ROLLBACK")
    finally:
        connection.close()


def _take(connection: sqlite3.Connection) -> bool:
    connection.execute("BEGIN IMMEDIATE")
    return True
