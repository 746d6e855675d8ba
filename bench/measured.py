"""What a run cost: wall time, and CPU and peak memory of each process that took part."""

from __future__ import annotations

import dataclasses
import os
import re
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


class Void(Exception):
    """What arrived is not what was sent: the numbers say nothing."""


@dataclasses.dataclass
class Cost:
    """The numbers of one run."""

    tasks: int
    wall: float  # seconds, from the first event offered until the last task can be asked for
    cpu: float = 0.0  # seconds of the process that is measured
    peak: int = 0  # bytes: the most memory it held, its start included
    server: float = 0.0  # seconds of CPU of the server or broker beside it
    size: int = 0  # bytes of the database
    lost: int = 0  # tasks that never arrived; they are not among `tasks`
    queries: dict[str, float] = dataclasses.field(default_factory=dict)  # name: seconds

    @property
    def rate(self) -> float:
        """Tasks a second."""
        return self.tasks / self.wall


class Watch:
    """Counts from its making on."""

    def __init__(self, pid: int, server: int | None = None) -> None:
        self._pid, self._server = pid, server
        self._cpu, self._cpu_of_server = cpu(pid), cpu(server) if server else 0.0
        self._start = time.perf_counter()

    def stop(self, tasks: int) -> Cost:
        """Return what was used until now."""
        wall = time.perf_counter() - self._start
        server = cpu(self._server) - self._cpu_of_server if self._server else 0.0
        return Cost(tasks, wall, cpu(self._pid) - self._cpu, peak(self._pid), server)


def cpu(pid: int) -> float:
    """Return the CPU seconds of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak(pid: int) -> int:
    """Return the most bytes of memory that a process held."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) << 10 if found else 0


def size(path: Path) -> int:
    """Return the bytes of files whose names begin with a path: a database and what lies beside it."""
    return sum(p.stat().st_size for p in path.parent.glob(path.name + "*") if p.is_file())
