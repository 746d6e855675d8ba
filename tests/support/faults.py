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


class Killer(threading.Thread):
    """Kills the collector at random moments and starts it again, until it is told to stop.

    Parameters
    ----------
    collector : Collector
        It runs when the thread starts and when it has ended.
    seed : int
        Of the moments.
    kills : int
        How many; the moments spread over `seconds`.
    during_restart : int
        How many of them hit a collector that has just been started and does not answer yet.
    """

    def __init__(self, collector: Collector, seed: int, kills: int, seconds: float, during_restart: int) -> None:
        super().__init__(daemon=True)
        self.collector, self.seed = collector, seed
        self.moments: list[str] = []
        self.error: BaseException | None = None
        self._random = random.Random(seed)
        plain = kills - during_restart
        self._gaps = [self._random.uniform(0.3, 1.7) * seconds / max(plain, 1) for _ in range(plain)]
        self._during = set(self._random.sample(range(plain), during_restart))
        self._began = time.monotonic()
        self._stop_now = threading.Event()

    def run(self) -> None:
        """Kill and start."""
        try:
            for i, gap in enumerate(self._gaps):
                if self._stop_now.wait(gap):
                    break
                self._kill("running")
                self.collector.spawn()
                if i in self._during:
                    self._stop_now.wait(self._random.uniform(0.0, 0.25))
                    self._kill("during a restart" if not self.collector.ready() else "just after a restart")
                    self.collector.spawn()
                until(self.collector.ready, 60, "the collector answers again", interval=0.05)
        except BaseException as error:
            self.error = error

    def _kill(self, what: str) -> None:
        self.collector.kill()
        self.moments.append(f"{time.monotonic() - self._began:.2f} s ({what})")

    def finish(self, timeout: float = 600.0) -> None:
        """Let it do all its kills."""
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
