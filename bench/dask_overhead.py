"""Measure what observing a Dask cluster costs: the same work bare and observed, in turns.

Each run is a process of its own with a LocalCluster of two worker processes; the observed runs have a collector beside
them, which writes into SQLite. Counted are wall time, from the call of ``map`` to the end of ``gather``, and the
CPU time of the scheduler (with the client, which shares its process), of the workers and of the collector, until all is
in the view. What the view holds must equal what the run itself noted, else its numbers are void and the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SETTLE = 2.0  # seconds after gather in which each process finishes what it has begun; in bare runs too


# ---- the observed program: knows nothing of us -----------------------------------------------------------------------


def inc(x):
    """Return at once."""
    return x + 1


def spin(x):
    """Use 20 ms of CPU."""
    end = time.thread_time() + 0.02
    while time.thread_time() < end:
        pass
    return x + 1


WORK = {"trivial": inc, "20 ms": spin}


def run_work(name: str, count: int, target: str) -> None:
    """Run one workload on a cluster of its own; the other side of the pipe says when to go on."""
    import psutil
    from distributed import Client, LocalCluster

    function = WORK[name]
    workers = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with workers as cluster, Client(cluster) as client:
        client.gather(client.map(function, range(-64, 0)))
        pids = client.run(os.getpid)
        processes = [psutil.Process(pid) for pid in pids.values()]

        def used() -> list[float]:
            return [sum(p.cpu_times()[:2]) for p in [psutil.Process(), *processes]]

        say("ready")
        before, start = used(), time.perf_counter()
        futures = client.map(function, range(count))
        results = client.gather(futures)
        wall = time.perf_counter() - start
        time.sleep(SETTLE)
        scheduler, *of_workers = (b - a for a, b in zip(before, used(), strict=True))
        say(json.dumps({"wall": wall, "scheduler": scheduler, "workers": sum(of_workers)}))
        calls = [[f.key, x, r] for x, (f, r) in enumerate(zip(futures, results, strict=True))]
        with open(target, "w") as file:
            json.dump({"scheduler": cluster.scheduler.id, "calls": calls}, file)


def say(text: str) -> None:
    """Tell the measuring side, and wait for its answer."""
    print(text, flush=True)
    sys.stdin.readline()


# ---- measuring -------------------------------------------------------------------------------------------------------


class Void(Exception):
    """The view does not equal what the run noted."""


def measure(name: str, count: int, observed: bool) -> dict[str, float]:
    """Do one run; return seconds of wall time, and of CPU by process."""
    sys.path.insert(0, str(ROOT / "tests"))
    from support.campaign import script_environment
    from support.observed import demo_collector

    with tempfile.TemporaryDirectory(prefix="mida-bench-") as directory:
        work = Path(directory)
        collector = demo_collector(work).start() if observed else None
        try:
            env = script_environment(collector.data / "journal" if collector else None)
            command = [
                sys.executable,
                __file__,
                "--run",
                name,
                str(count),
                str(work / "truth.json"),
            ]
            with (
                (work / "run.log").open("w") as log,
                subprocess.Popen(
                    command,
                    cwd=work,
                    env=env,
                    text=True,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                ) as child,
            ):
                read(child, work)
                before = cpu(collector.pid) if collector else 0.0
                seen = collector.metric("dask_journal_events") if collector else 0.0
                answer(child)
                numbers = json.loads(read(child, work))
                numbers["collector"] = 0.0
                if collector:
                    arrived(collector, seen + 2 * count)
                    numbers["collector"] = cpu(collector.pid) - before
                answer(child)
                child.wait()
            if collector:
                verify(collector, json.loads((work / "truth.json").read_text()))
        finally:
            if collector:
                collector.stop()
    numbers["cpu"] = numbers["scheduler"] + numbers["workers"] + numbers["collector"]
    return numbers


def read(child: subprocess.Popen, work: Path) -> str:
    """Read what the run says."""
    line = child.stdout.readline()
    if not line:
        raise SystemExit(f"a run ended early:\n{(work / 'run.log').read_text()[-4000:]}")
    return line


def answer(child: subprocess.Popen) -> None:
    """Let the run go on."""
    child.stdin.write("\n")
    child.stdin.flush()


def cpu(pid: int) -> float:
    """Return the CPU seconds of a process."""
    import psutil

    return sum(psutil.Process(pid).cpu_times()[:2])


def arrived(collector, events: float) -> None:
    """Wait until the pipeline has accepted that many events: a submission and an execution for each task."""
    from support.poll import until

    until(
        lambda: collector.metric("dask_journal_events") >= events,
        120,
        f"{events:.0f} events",
        interval=0.25,
    )


def verify(collector, truth: dict) -> None:
    """Compare the view with what the run noted: keys, argument, result, status."""
    from support.poll import until_none

    want = {key: (x, result) for key, x, result in truth["calls"]}

    def differences() -> list[str]:
        filter = {"scope": truth["scheduler"], "used.x": {"$gte": 0}}
        rows = collector.client().query(["task_id", "used.x", "generated.value", "status"], filter=filter)
        got = {r["task_id"]: (r["used.x"], r.get("generated.value")) for r in rows if r["status"] == "FINISHED"}
        return [] if len(got) == len(rows) and got == want else [f"{len(got)} of {len(want)} tasks are right"]

    left = until_none(differences, 60)
    if left:
        raise Void(left[0])


# ---- reporting -------------------------------------------------------------------------------------------------------

COLUMNS = ("wall", "cpu", "scheduler", "workers", "collector")


def compare(name: str, count: int, repeats: int) -> None:
    """Run one workload in turns and print its table."""
    runs: dict[bool, list[dict]] = {False: [], True: []}
    for turn in range(repeats):
        # The order changes, so that a drift of the machine hits both.
        for observed in (False, True) if turn % 2 == 0 else (True, False):
            load = os.getloadavg()[0]
            numbers = measure(name, count, observed)
            runs[observed].append(numbers)
            kind = "observed" if observed else "bare    "
            print(
                f"  {turn + 1}/{repeats} {kind} {numbers['wall']:7.2f} s   "
                f"{1e6 * numbers['cpu'] / count:7.0f} µs CPU a task   load before {load:.1f}",
                flush=True,
            )
    print(f"\n{name}: {count} tasks, medians of {repeats} alternations")
    print(f"  {'':24}{'bare':>10}{'observed':>10}{'added':>10}{'ratio':>8}   paired ratios")
    for column in COLUMNS:
        label, scale = ("wall, s", 1.0) if column == "wall" else (f"CPU {column}, µs/task", 1e6 / count)
        label = label.replace("CPU cpu", "CPU in all")
        bare, seen = ([scale * r[column] for r in runs[kind]] for kind in (False, True))
        a, b = statistics.median(bare), statistics.median(seen)
        line = (
            f"  {label:24}{a:10.2f}{b:10.2f}{b - a:10.2f}"
            if column == "wall"
            else (f"  {label:24}{a:10.0f}{b:10.0f}{b - a:10.0f}")
        )
        if a > 0:
            pairs = sorted(y / x for x, y in zip(bare, seen, strict=True))
            line += f"{b / a:8.2f}   {pairs[0]:.2f} … {statistics.median(pairs):.2f} … {pairs[-1]:.2f}"
        print(line)
    print(flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick",
        action="store_true",
        help="one alternation of a tenth of the tasks: a check of the bench",
    )
    parser.add_argument("--repeats", type=int, default=5, help="alternations of bare and observed (default: 5)")
    parser.add_argument("--only", choices=sorted(WORK), help="one of the workloads")
    parser.add_argument("--run", nargs=3, metavar=("WORK", "COUNT", "FILE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        run_work(args.run[0], int(args.run[1]), args.run[2])
        return 0
    import distributed

    repeats, part = (1, 10) if args.quick else (args.repeats, 1)
    print(
        f"overhead of observing Dask {distributed.__version__}, Python {sys.version.split()[0]}, "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n"
        "scheduler includes the client; the collector writes into SQLite\n"
    )
    try:
        for name, count in (("trivial", 10_000), ("20 ms", 1_000)):
            if args.only in (None, name):
                compare(name, count // part, repeats)
    except Void as error:
        print(f"VOID: the view does not equal the ground truth: {error}", file=sys.stderr)
        return 1
    print("each observed run was compared with its ground truth and equalled it")
    return 0


if __name__ == "__main__":
    sys.exit(main())
