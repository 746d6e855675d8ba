"""Measure how fast tasks get into SQLite, OpenSearch and Elasticsearch, beside a bare loop and beside others.

Each round runs, in turns on one machine: the collector from the journals of a Dask cluster, with three events a task
and with one, each followed by a bare loop that writes what it has just stored into the same server or a new database;
the collector and contrib's Elasticsearch exporter, fed the same OTLP requests; FlowCept's consumer on messages of the
same tasks. A first round is not counted: it warms the servers and finds the best batches of the bare loops. Reported
are medians, and medians of the ratios of each round. Then the collector alone, at growing sizes, with queries.

Every run counts what arrived: where that is not what was sent, the numbers are void and the exit code is 1. A peer or a
server that cannot be had is named and left out. docs/benchmarks.md says more.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from measured import Cost, Void
from peers import FlowCept, Missing, bare_bulk, bare_rows, build_load, contrib, script
from pipeline import CAMPAIGN, Pipeline, Server
from report import Results, say
from workload import Tasks, write_journals

SINKS = ("sqlite", "opensearch", "elasticsearch")
PEERS = ("contrib", "flowcept")
SIZES, WORKERS = (1000, 4000), (1, 2, 4, 8, 16)  # of the bare loop: documents a request, requests at a time
ROWS = "1000,4000,16000"  # tasks a transaction
HEAP = "1500m"  # of a search server; with the 512 MB of the tests it has no room for several bulk requests at a time
STORED = "tasks,claims,workflows,environments,entities,observers"


@dataclasses.dataclass
class Bench:
    """What all runs share."""

    load: Path
    root: Path
    results: Results
    program: Path | None = None  # contrib's collector
    flowcept: FlowCept | None = None
    best: dict[tuple[str, int], str] = dataclasses.field(default_factory=dict)
    runs: int = 0

    @contextlib.contextmanager
    def run(self) -> Iterator[tuple[Path, str]]:
        """Give a run a new directory and a new name, and remove the directory after it."""
        self.runs += 1
        path = self.root / f"run-{self.runs}"
        path.mkdir()
        yield path, path.name
        shutil.rmtree(path)

    def journals(self, tasks: int, events: int) -> Path:
        """Write the journals of a size, once."""
        path = self.root / f"journals-{tasks}-{events}"
        if not path.exists():
            write_journals(Tasks(tasks), events, CAMPAIGN, path)
        return path


# ---- beside others ---------------------------------------------------------------------------------------------------


def compare(bench: Bench, sink: str, server: Server | None, tasks: int, rounds: int) -> None:
    """Run the collector and its peers in turns at one sink."""
    units: list[Callable[[], dict[str, Cost]]] = [
        lambda: _and_bare(bench, sink, server, tasks, 3),
        lambda: _and_bare(bench, sink, server, tasks, 1),
    ]
    if sink == "elasticsearch" and bench.program:
        units.append(lambda: {"mida, OTLP": _otlp(bench, server, tasks)})
        units.append(lambda: {"mida, OTLP, no claims": _otlp(bench, server, tasks, claims=False)})
        units.append(lambda: {"contrib, OTLP": _contrib(bench, server, tasks)})
    if bench.flowcept:  # into its own store, beside each of ours
        units.append(lambda: {"FlowCept, 2 messages": _flowcept(bench, tasks, 2)})
        units.append(lambda: {"FlowCept, 1 message": _flowcept(bench, tasks, 1)})
    for turn in range(rounds + 1):
        # The order changes, so that a drift of the machine hits all.
        for unit in units if turn % 2 == 0 else reversed(units):
            for name, cost in unit().items():
                bench.results.add(sink, name, cost, counted=turn > 0)


def _and_bare(bench: Bench, sink: str, server: Server | None, tasks: int, events: int) -> dict[str, Cost]:
    journals = bench.journals(tasks, events)
    with bench.run() as (work, name):
        with Pipeline(work, server, name) as pipeline:
            ours = pipeline.from_journals(journals, tasks, events)
            ours.size = pipeline.size()
        grid = bench.best.get((sink, events))
        if server:
            tried = bare_bulk(bench.load, server, name, grid or grid_of(os.cpu_count() or 1), STORED)
            server.remove(name)
        else:
            tried = bare_rows(bench.load, pipeline.database, grid or ROWS)
    fastest = min(tried, key=lambda t: t["seconds"])
    if not grid:
        bench.best[sink, events] = fastest["batch"]
        bench.results.batches[sink, events] = fastest["batch"]
        say(f"  {sink}, bare loop: " + ", ".join(_shown(t, tasks) for t in tried))
    plural = "s" if events > 1 else ""
    bare = Cost(tasks, fastest["seconds"])
    return {f"mida, {events} event{plural}": ours, f"bare loop, {events} event{plural}": bare}


def grid_of(cores: int) -> str:
    """Return the batches that the bare loop tries: up to a worker a core, four at least, for workers mostly wait."""
    workers = [n for n in WORKERS if n <= max(4, cores)]
    return ",".join(f"{size}x{n}" for size in SIZES for n in workers)


def _shown(tried: dict, tasks: int) -> str:
    busy = f" ({tried['busy']} requests sent again: 429)" if tried.get("busy") else ""
    return f"{tried['batch']} {tasks / tried['seconds']:,.0f}/s{busy}"


def _otlp(bench: Bench, server: Server | None, tasks: int, claims: bool = True) -> Cost:
    journals = bench.journals(tasks, 1)
    with bench.run() as (work, name):
        with Pipeline(work, server, name, claims) as pipeline:
            cost = pipeline.from_otlp(bench.load, journals, tasks)
            cost.size = pipeline.size()
        if server:
            server.remove(name)
    return cost


def _contrib(bench: Bench, server: Server, tasks: int) -> Cost:
    journals = bench.journals(tasks, 1)
    with bench.run() as (work, name):
        cost = contrib(bench.program, bench.load, work, server, f"{name}-contrib", journals, tasks)
        cost.size = server.bytes(name)
        server.remove(name)
    return cost


def _flowcept(bench: Bench, tasks: int, messages: int) -> Cost:
    with bench.run() as (work, _):
        return bench.flowcept.run(work, Tasks(tasks), messages)


# ---- growing ---------------------------------------------------------------------------------------------------------


def grow(bench: Bench, sink: str, server: Server | None, sizes: list[int]) -> None:
    """Run the collector alone at growing sizes, and ask what it stored."""
    for tasks in sizes:
        journals = bench.journals(tasks, 3)
        with bench.run() as (work, name):
            with Pipeline(work, server, name) as pipeline:
                cost = pipeline.from_journals(journals, tasks, 3)
                cost.queries = pipeline.ask()
                cost.size = pipeline.size()
            if server:
                server.remove(name)
        bench.results.grow(sink, cost)


# ---- all of it -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def server_of(sink: str, root: Path, apart: bool = False) -> Iterator[Server | None]:
    """Run the search server of a sink; SQLite has none. Apart: on half of the cores, all others on the other half."""
    if sink == "sqlite":
        yield None
        return
    missing = [tool for tool in ("java", "javac", "mvn") if not shutil.which(tool)]
    if missing:
        raise Missing(f"no {', '.join(missing)} on the PATH")
    from support.servers import SearchServer

    os.environ.setdefault("MIDA_SERVER_HEAP", HEAP)
    cores = sorted(os.sched_getaffinity(0)) if apart else []
    if apart and len(cores) < 2:
        raise Missing("--apart needs two cores")
    half = len(cores) // 2
    with contextlib.ExitStack() as after:
        if apart:
            after.callback(os.sched_setaffinity, 0, cores)
            os.sched_setaffinity(0, cores[half:])  # what is started now inherits it
        running = after.enter_context(SearchServer(sink, root / sink).start())
        if apart:
            os.sched_setaffinity(0, cores[:half])
        yield Server(running.url, running.pid)


def get_peers(bench: Bench, sinks: list[str], wanted: list[str]) -> None:
    """Get what can be had of the peers of these sinks, and name the rest."""
    for name in wanted:
        if name == "contrib" and "elasticsearch" not in sinks:
            continue
        try:
            if name == "contrib":
                bench.program = Path(script("contrib.sh")[0])
            else:
                bench.flowcept = FlowCept()
        except Missing as error:
            bench.results.skip(f"{name} is NOT measured: {error}")


def names(text: str, valid: tuple[str, ...]) -> list[str]:
    """Read a list of names."""
    found = [part for part in text.split(",") if part]
    for part in found:
        if part not in valid:
            raise argparse.ArgumentTypeError(f"{part!r}: want some of {', '.join(valid)}")
    return found


def numbers(text: str) -> list[int]:
    """Read a list of numbers of tasks."""
    return [int(part) for part in text.split(",") if part]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=20_000, help="tasks of a run beside others (default: 20000)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds that count; 0 leaves them out (default: 3)")
    parser.add_argument(
        "--sizes", type=numbers, default=[10_000, 100_000], help="tasks of the growing runs (default: 10000,100000)"
    )
    parser.add_argument(
        "--only", type=lambda t: names(t, SINKS), default=list(SINKS), help=f"some of {','.join(SINKS)}"
    )
    parser.add_argument(
        "--peers", type=lambda t: names(t, PEERS), default=list(PEERS), help=f"some of {','.join(PEERS)}; '' for none"
    )
    parser.add_argument(
        "--apart", action="store_true", help="a search server gets half of the cores, everything else the other half"
    )
    parser.add_argument(
        "--jvm", help="flags of a search server's virtual machine in place of those of the tests, such as -XX:+UseG1GC"
    )
    parser.add_argument("--write", action="store_true", help="write the tables into docs/benchmarks.md as well")
    args = parser.parse_args()
    if args.jvm:
        os.environ["MIDA_SERVER_JVM"] = args.jvm
    results = Results(args.tasks, args.rounds, args.apart)
    with tempfile.TemporaryDirectory(prefix="mida-bench-") as directory:
        root = Path(directory)
        bench = Bench(build_load(root / "load"), root, results)
        if args.rounds:
            get_peers(bench, args.only, args.peers)
        try:
            for sink in args.only:
                try:
                    with server_of(sink, root, args.apart) as server:
                        if args.rounds:
                            compare(bench, sink, server, args.tasks, args.rounds)
                        # One search server is enough, for it takes long.
                        if sink != "elasticsearch" or "opensearch" not in args.only:
                            grow(bench, sink, server, args.sizes)
                except Missing as error:
                    results.skip(f"{sink} is NOT measured: {error}")
        except Void as error:
            print(f"{results.text()}\nVOID, and what should follow: {error}", file=sys.stderr)
            return 1
    text = results.text()
    print("\n" + text)
    print("every run was counted; the collector had all that was sent")
    if args.write:
        results.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
