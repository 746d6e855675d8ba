"""The faults of the matrix: what is broken, and how.

Each takes the system, how it is broken, and how long what is stopped stays so, and returns what there is to say.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .collector import Collector
from .dask_job import KILL_WAIT
from .poll import until
from .servers import SearchCluster
from .signals import alive, let_pass, stopped
from .small_disk import SmallDisk
from .systems import System, one_collector, with_kafka
from .verdict import Verdict, judge

DOWN = 10.0
FULL_BEFORE_KILL = 20.0
TASK_BYTES = 20_000  # of a disk with room for the view, which takes 9 kB a task with all its telemetry
HOWS = ("killed", "stopped", "restarted")

Breaking = Callable[[System, str, float], str]


def part(name: str) -> Breaking:
    """Return the fault of a part that can be killed, started and stopped by itself."""

    def fault(system: System, how: str, seconds: float) -> str:
        return break_part(getattr(system, name), how, seconds)

    return fault


def break_part(it: Any, how: str, seconds: float) -> str:
    """Break something that has `pids`, `kill`, `start` and `stop`."""
    if how == "stopped":
        with stopped(it.pids()):
            let_pass(seconds)
        return f"stopped for {seconds:.0f} s"
    if how == "killed":
        it.kill()
    else:
        began = time.monotonic()
        it.stop()
        took = time.monotonic() - began
    let_pass(DOWN)
    it.start()
    return "killed" if how == "killed" else f"ended in {took:.1f} s, started again"


def integrator(system: System, how: str, seconds: float) -> str:
    """Break one of two integrators; the other one is asked."""
    return break_part(system.integrators[0], how, seconds)


def search_node(system: System, how: str, seconds: float) -> str:
    """Break one node of three."""
    assert system.search is not None
    said = break_part(system.search.nodes[0], how, seconds)
    return f"node-1, {said}"


def worker(system: System, how: str, seconds: float) -> str:
    """Break a worker's own process; its nanny lives."""
    job, pid = system.job, system.job.worker_pid()
    if how == "killed":
        job.kill_pids([pid])
        until(lambda: job.worker_pid() != pid, 60, "the nanny starts another worker")
        return "killed; its nanny started another"
    if how == "restarted":
        job.end([job.nannies.pop(0)])
        let_pass(DOWN)
        job.start_worker()
        return "nanny and worker ended, others started"
    at = time.time()
    with stopped([pid]):
        let_pass(seconds)
    if alive(pid):
        return f"stopped for {seconds:.0f} s; it went on"
    job.killed[pid] = at
    return f"stopped for {seconds:.0f} s; the scheduler gave it up meanwhile, and its nanny killed it"


def scheduler(system: System, how: str, seconds: float) -> str:
    """Break the scheduler. What has lost it is ended; the user starts a new cluster, for the rest of the calls."""
    job = system.job
    assert job.scheduler is not None
    if how == "stopped":
        with stopped([job.scheduler.pid]):
            let_pass(seconds)
        return f"stopped for {seconds:.0f} s"
    if how == "killed":
        job.kill_pids([job.scheduler.pid])
        job.scheduler.wait()
    else:
        job.end([job.scheduler])
    let_pass(DOWN)
    job.stop()
    job.start()
    return f"{'killed' if how == 'killed' else 'ended'}; a new cluster made the rest"


def job(system: System, how: str, seconds: float) -> str:
    """Break client, scheduler, nannies and workers together."""
    job = system.job
    if how == "stopped":
        with stopped(job.pids()):
            let_pass(seconds)
        return f"all stopped for {seconds:.0f} s"
    if how == "killed":
        job.kill()
        job.nannies = []
        job.start()
        return "all killed without warning; started again"
    patience = KILL_WAIT if how == "restarted" else 2.0
    began = time.monotonic()
    forced = job.terminate(patience)
    took = time.monotonic() - began
    job.nannies = []
    job.start()
    end = f"SIGKILL {patience:.0f} s later" if forced else f"all ended in {took:.1f} s"
    return f"SIGTERM to all, {end}; started again"


class FullDisk:
    """A disk that is full for a while, with the collector killed, or restarted, while it is."""

    def __init__(self, side: str) -> None:
        self.side = side

    @contextlib.contextmanager
    def system(self, directory: Path, tasks: int) -> Iterator[System]:
        """Run one collector with its journal, or its store, on a small disk."""
        where = directory / "small"
        with SmallDisk(where, max(256, tasks * TASK_BYTES >> 20)) as self._disk:
            data = where if self.side == "store" else None
            journal = where / "journal" if self.side == "journal" else None
            with one_collector(directory, tasks, data=data, journal=journal) as system:
                yield system

    def __call__(self, system: System, how: str, seconds: float) -> str:
        """Fill it."""
        began = time.monotonic()
        self._disk.fill()
        said = ""
        if how == "stopped":
            let_pass(seconds)
        else:
            let_pass(FULL_BEFORE_KILL)
            said = self._again(system.agent, how)
        self._disk.free()
        if not system.agent.running:
            # As its supervisor does.
            system.agent.start()
        return f"full for {time.monotonic() - began:.0f} s{said}"

    def _again(self, collector: Collector, how: str) -> str:
        if how == "killed":
            collector.kill()
        else:
            collector.stop()
        collector.spawn()
        let_pass(DOWN)
        went = "it started" if collector.running else f"it did not start before there was room ({collector.exit_code})"
        return f", the collector {how} meanwhile: {went}"


JOURNAL_DISK, STORE_DISK = FullDisk("journal"), FullDisk("store")

Fault = tuple[Callable[..., Any], Breaking, tuple[str, ...]]
# These need three search nodes.
WITH_SEARCH = ("integrator", "search-node", "search-cluster")


# Name in the report → the system, the fault, and how it can come.
FAULTS: dict[str, Fault] = {
    "worker": (one_collector, worker, HOWS),
    "scheduler": (one_collector, scheduler, HOWS),
    "job": (one_collector, job, (*HOWS, "terminated")),
    "full-journal-disk": (JOURNAL_DISK.system, JOURNAL_DISK, HOWS),
    "full-store-disk": (STORE_DISK.system, STORE_DISK, HOWS),
    "agent": (with_kafka, part("agent"), HOWS),
    "broker": (with_kafka, part("broker"), HOWS),
    "integrator": (with_kafka, integrator, HOWS),
    "search-node": (with_kafka, search_node, HOWS),
    "search-cluster": (with_kafka, part("search"), HOWS),
}


def run_cell(
    directory: Path,
    fault: str,
    how: str,
    tasks: int,
    seconds: float,
    say: list[str],
    search: SearchCluster | None = None,
) -> Verdict:
    """Break something while many calls are made, and judge what is left of them; `say` gets what happened."""
    system_of, break_it, _ = FAULTS[fault]
    more = {"search": search} if search else {}
    with system_of(directory, tasks, **more) as system:
        until(lambda: system.job.results() >= tasks // 5, 900, "a fifth of the results", interval=0.5)
        say.append(break_it(system, how, seconds))
        again = system.job.finish(600)
        if again:
            say.append(f"the user had to start the job again ({again} times)")
        system.job.stop()
        return judge(system, time.monotonic(), 900)
