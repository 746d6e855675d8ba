"""A job of many Dask tasks: a scheduler, two workers with their nannies, and a program, each a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from .campaign import script_environment
from .collector import ROOT, free_port
from .poll import NotYet, until
from .signals import alive, below, let_pass, send

PROGRAM = ROOT / "tests" / "faults" / "scripts" / "many.py"
WORKERS = 2
KILL_WAIT = 30.0  # Slurm's
# What costs time whether or not anything is to be done: several clusters share a small machine.
QUIET = {
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
    "DASK_DISTRIBUTED__WORKER__MEMORY__MONITOR_INTERVAL": "1s",
    "DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL": "1s",
    "DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__INTERVAL": "5s",
}


class Job:
    """Runs at most one scheduler at a time; may be started again, also after it was killed.

    Parameters
    ----------
    workdir : Path
        Where it runs, and keeps its notes and logs.
    journal : Path
        Where the observers write.
    tasks : int
        How many calls the program makes in all.
    """

    def __init__(self, workdir: Path, journal: Path, tasks: int) -> None:
        self.workdir, self.notes, self.tasks = workdir, workdir / "notes", tasks
        self.notes.mkdir()
        self._env = script_environment(journal, **QUIET)
        self.address = ""
        self.scheduler: subprocess.Popen | None = None
        self.program: subprocess.Popen | None = None
        self.nannies: list[subprocess.Popen] = []
        # When processes were killed by force, by pid: what they held in memory is gone.
        self.killed: dict[int, float] = {}
        # Those of them that had been asked to end before, and may have said their last word.
        self.warned: set[int] = set()
        self.scheduler_pids: set[int] = set()

    # -- start --

    def start(self) -> Job:
        """Start all of it."""
        self.start_scheduler()
        for _ in range(WORKERS):
            self.start_worker()
        self.start_program()
        return self

    def start_scheduler(self) -> None:
        """Start a scheduler at an address of its own."""
        port = free_port()
        self.address = f"tcp://127.0.0.1:{port}"
        options = ["--host", "127.0.0.1", "--port", port, "--no-dashboard"]
        self.scheduler = self._run("scheduler", "-m", "distributed.cli.dask_scheduler", *options)
        self.scheduler_pids.add(self.scheduler.pid)

    def start_worker(self) -> None:
        """Start one more worker with its nanny."""
        options = ["--nworkers", 1, "--nthreads", 1, "--no-dashboard", "--local-directory", self.workdir / "scratch"]
        self.nannies.append(self._run("workers", "-m", "distributed.cli.dask_worker", self.address, *options))

    def start_program(self) -> None:
        """Start the program; it makes the calls whose results no earlier one got."""
        self.program = self._run("program", PROGRAM, self.address, self.notes, self.tasks)

    def _run(self, name: str, *command: object) -> subprocess.Popen:
        with (self.workdir / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *map(str, command)],
                cwd=self.workdir,
                env=self._env,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    # -- what runs --

    def processes(self) -> list[subprocess.Popen]:
        """Return what was started here and runs."""
        return [p for p in (self.program, self.scheduler, *self.nannies) if p is not None and p.poll() is None]

    def pids(self) -> list[int]:
        """Return all processes, those before their children that would start others."""
        return [pid for process in self.processes() for pid in (process.pid, *below(process.pid))]

    def worker_pid(self, which: int = 0) -> int:
        """Return a worker's own process: a nanny's children are that and multiprocessing's tracker of resources."""
        children = psutil.Process(self.nannies[which].pid).children()
        (pid,) = [c.pid for c in children if "resource_tracker" not in " ".join(c.cmdline())]
        return pid

    def results(self) -> int:
        """Count the results that the program got."""
        return sum(path.read_bytes().count(b"\n") for path in self.notes.glob("results-*.jsonl"))

    def go_on(self) -> None:
        """Let the program make its last calls."""
        (self.notes / "go-on").touch()

    # -- end --

    def kill_pids(self, pids: list[int]) -> None:
        """Kill processes as the out-of-memory killer does."""
        for pid in pids:
            self.killed[pid] = time.time()
            send(pid, signal.SIGKILL)
        until(lambda: not any(map(alive, pids)), 60, "the end of the killed processes")

    def kill(self) -> None:
        """Kill all of it without a word of warning."""
        self._kill(self.processes())

    def _kill(self, processes: list[subprocess.Popen]) -> None:
        self.kill_pids([pid for p in processes for pid in (p.pid, *below(p.pid))])
        for process in processes:
            process.wait(10)

    def terminate(self, patience: float) -> bool:
        """End it as Slurm does: SIGTERM to everything, SIGKILL to what is left later; say whether that was needed."""
        pids = self.pids()
        for pid in pids:
            send(pid, signal.SIGTERM)
        try:
            until(lambda: not any(map(alive, pids)), patience, "the end of the job")
        except NotYet:
            self.warned.update(pids)
            self.kill_pids([pid for pid in pids if alive(pid)])
            return True
        return False

    def stop(self) -> None:
        """End it well: the program, the workers, the scheduler."""
        self.end([self.program])
        self.end(self.nannies)
        self.end([self.scheduler])
        self.nannies = []

    def end(self, processes: list[subprocess.Popen | None]) -> None:
        """Ask processes to end, and kill them when they do not."""
        living = [p for p in processes if p is not None and p.poll() is None]
        pids = [pid for p in living for pid in (p.pid, *below(p.pid))]
        for process in living:
            process.terminate()
        try:
            until(lambda: not any(map(alive, pids)), KILL_WAIT, "the end of processes of Dask")
        except NotYet:
            self.warned.update(pids)
            self._kill([p for p in living if p.poll() is None])
            self.kill_pids([pid for pid in pids if alive(pid)])

    def finish(self, patience: float, tries: int = 3) -> int:
        """Wait until the program has got all results; return how often the job had to be started again by its user.

        Parameters
        ----------
        patience : float
            How long it may get no result at all.
        """
        self.go_on()
        for again in range(tries):
            assert self.program is not None
            seen, since = -1, time.monotonic()
            while time.monotonic() - since < patience and self.program.poll() is None:
                if (now := self._noted()) != seen:
                    seen, since = now, time.monotonic()
                let_pass(0.5)
            if self.program.poll() == 0:
                return again
            self.stop()
            self.start()
        raise AssertionError(f"the job does not end well; its notes are in {self.notes}")

    def _noted(self) -> int:
        return sum(path.stat().st_size for path in self.notes.glob("results-*.jsonl"))

    def __enter__(self) -> Job:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()
