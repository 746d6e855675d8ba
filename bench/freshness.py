"""Measure how soon a change of state is an answer, and what that costs the collector, at several rates of events.

A process with the recorder of the Dask plugins tells of tasks: each is submitted, and finished a quarter of a second
later, which are two events. A collector reads its journal and writes into SQLite, or into a search server (--store).
Each rate is run twice: once alone, for the collector's CPU time and the events in a transaction, and once while queries
ask every 25 ms for the next tasks to finish. Freshness is the time from the end of such a task, by the clock of the
process that recorded it, to the answer that has it.

At the end of a run the view must hold every task as submitted and finished and the observer must be complete, else the
numbers are void and the exit code is 1. That a recorder cannot keep up with a rate shows in what it wrote.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LASTS = 0.25  # seconds from submission to end of a task
STEP = 0.005  # seconds between two looks of the generator at what is due
PROBE = 0.025  # seconds between two queries
SAMPLES = 20.0  # tasks a second that the queries ask for, at most
AHEAD = 100  # tasks that one query asks for
ARRIVES = 120.0  # seconds to wait for the last event


# ---- the observed program --------------------------------------------------------------------------------------------


def generate(rate: float, seconds: float, scope: str, directory: str) -> None:
    """Record tasks at a rate of events for some seconds; print how many, how long that took, and the observer."""
    import collections

    from mida.capture import Policy
    from mida.observer import Recorder

    recorder = Recorder(directory, "bench", {"kind": "bench", "scope": scope, "workflow_name": "bench"}, Policy({}))
    recorder.start()
    count, done = round(rate * seconds / 2), 0
    running: collections.deque[tuple[float, int]] = collections.deque()
    begin = time.monotonic()

    def put(n: int, event: dict) -> None:
        event |= {"time": time.time_ns(), "key": f"task-{n}", "attempt": 1}
        event["facet"] = "run" if "ended_at" in event else "submission"
        event["activity"] = "work"
        recorder.put(lambda: event, 300)

    submitted = 0
    while done < count:
        now = time.monotonic() - begin
        while submitted < min(count, now * rate / 2):
            put(submitted, {"event": "mida.task.submitted", "status": "SUBMITTED", "submitted_at": time.time_ns()})
            running.append((now + LASTS, submitted))
            submitted += 1
        while running and running[0][0] <= now:
            n = running.popleft()[1]
            at = time.time_ns()
            values = {"used": {"n": n, "size": n % 7 / 8, "name": "a"}, "generated": {"value": n / 3}}
            ended = {"status": "FINISHED", "started_at": at - int(LASTS * 1e9), "ended_at": at}
            put(n, {"event": "mida.task.finished", **ended, **values})
            done += 1
        time.sleep(STEP)
    took = time.monotonic() - begin - LASTS
    recorder.close()
    print(json.dumps({"tasks": count, "took": took, "observer": recorder.observer}))


# ---- measuring -------------------------------------------------------------------------------------------------------


def spacing(rate: float) -> int:
    """Return how many tasks there are to one that is sampled."""
    return max(1, round(rate / 2 / SAMPLES))


class Void(Exception):
    """Not every event arrived."""


class Prober:
    """Asks for the sampled tasks of a run, the next ones in order, until each was answered once."""

    def __init__(self, collector, scope: str, every: int) -> None:
        self._token = (collector.data / "token").read_text().strip()
        self._connection = http.client.HTTPConnection("127.0.0.1", collector.query_port, timeout=60)
        self._scope, self._every, self._next = scope, every, 0
        self._waiting: set[str] = set()
        self.ages: list[float] = []

    def ask(self) -> None:
        """Note the age of every task that is an answer for the first time."""
        from support.ids import task_id

        while len(self._waiting) < AHEAD:
            self._waiting.add(task_id("bench", self._scope, f"task-{self._next}"))
            self._next += self._every
        filter = {"id": {"$in": sorted(self._waiting)}, "status": "FINISHED"}
        query = {"projection": ["id", "ended_at"], "filter": filter, "limit": AHEAD}
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        self._connection.request("POST", "/api/v1/query", json.dumps(query), headers)
        answer = self._connection.getresponse()
        body, now = json.loads(answer.read()), time.time()
        if answer.status != 200:
            raise SystemExit(f"query: {answer.status} {body}")
        for row in body["rows"]:
            self.ages.append(now - row["ended_at"])
            self._waiting.remove(row["id"])


def run(collector, rate: float, seconds: float, probe: bool) -> dict:
    """Do one run at a rate; return its numbers."""
    from support.poll import until

    scope = f"{'probed' if probe else 'alone'}-{rate:g}"
    client, prober = collector.client(), Prober(collector, scope, spacing(rate))
    before, commits = cpu(collector.pid), collector.metric("taskstore_transactions")
    arguments = ["--generate", f"{rate}", f"{seconds}", scope, str(collector.data / "journal")]
    with subprocess.Popen([sys.executable, __file__, *arguments], text=True, stdout=subprocess.PIPE) as child:
        while child.poll() is None:
            if probe:
                prober.ask()
            time.sleep(PROBE)
        if child.returncode != 0:
            raise SystemExit(f"the generator ended with {child.returncode}")
        numbers = json.loads(child.stdout.read())
    tasks = numbers["tasks"]
    samples = len(range(0, tasks, spacing(rate)))
    late = time.monotonic() + ARRIVES
    while probe and len(prober.ages) < samples and time.monotonic() < late:
        prober.ask()
        time.sleep(PROBE)
    wanted = [{"status": "FINISHED", "count": tasks, "count(used.n)": tasks, "count(submitted_at)": tasks}]

    def view() -> list[dict]:
        counts = [("count", "used.n"), ("count", "submitted_at")]
        return client.query(["status"], aggregation=counts, filter={"scope": scope})

    def whole() -> bool:
        states = {o["observer"]: o["state"] for o in client.completeness()["observers"]}
        return states.get(numbers["observer"]) == "complete" and view() == wanted

    try:
        until(whole, ARRIVES, "all tasks in the view", interval=0.5)
    except AssertionError:
        raise Void(f"{scope}: want {wanted}, the view has {view()}") from None
    if probe and len(prober.ages) != samples:
        raise Void(f"{scope}: {len(prober.ages)} of {samples} sampled tasks were answered")
    # The journal ends with the recorder: what comes later is idleness, and our questions.
    numbers["cpu"] = cpu(collector.pid) - before
    numbers["commits"] = collector.metric("taskstore_transactions") - commits
    numbers["ages"] = sorted(prober.ages)
    return numbers


def cpu(pid: int) -> float:
    """Return the CPU seconds of a process."""
    import psutil

    return sum(psutil.Process(pid).cpu_times()[:2])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rates", type=float, nargs="+", default=[10, 1_000, 10_000], help="events a second")
    parser.add_argument("--seconds", type=float, default=5, help="length of each of two runs a rate (default: 5)")
    parser.add_argument("--store", choices=["sqlite", "opensearch", "elasticsearch"], default="sqlite")
    parser.add_argument("--config", action="append", default=[], type=Path, help="more configuration of the collector")
    parser.add_argument("--generate", nargs=4, metavar=("RATE", "SECONDS", "SCOPE", "JOURNAL"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.generate:
        rate, seconds, scope, directory = args.generate
        generate(float(rate), float(seconds), scope, directory)
        return 0
    sys.path.insert(0, str(ROOT / "tests"))
    from support.collector import Collector

    base = ROOT / "distributions" / "otelcol-mida"
    print(
        f"freshness, {args.store}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n"
        f"{'events/s':>10}{'written/s':>11}{'p50, ms':>9}{'p95, ms':>9}{'most':>7}{'samples':>9}"
        f"{'CPU, µs/event':>15}{'CPU, %':>8}{'events/commit':>15}"
    )
    with tempfile.TemporaryDirectory(prefix="mida-bench-") as directory:
        work = Path(directory)
        configs = [base / "laptop.yaml", base / "metrics.yaml"]
        with contextlib.ExitStack() as stack:
            env = {}
            if args.store != "sqlite":
                from support.servers import SearchServer

                server = stack.enter_context(SearchServer(args.store, work / args.store).start())
                configs.append(base / "elasticsearch.yaml")
                env["MIDA_ELASTICSEARCH"] = server.url
            configs += [p.resolve() for p in args.config]
            collector = stack.enter_context(Collector(work, configs, env=env))
            try:
                for rate in args.rates:
                    alone = run(collector, rate, args.seconds, probe=False)
                    ages = run(collector, rate, args.seconds, probe=True)["ages"]
                    events = 2 * alone["tasks"]
                    p50, p95 = statistics.median(ages), statistics.quantiles(ages, n=20, method="inclusive")[-1]
                    print(
                        f"{rate:10,.0f}{events / alone['took']:11,.0f}{1e3 * p50:9.0f}{1e3 * p95:9.0f}"
                        f"{1e3 * ages[-1]:7.0f}{len(ages):9}{1e6 * alone['cpu'] / events:15.0f}"
                        f"{100 * alone['cpu'] / alone['took']:8.1f}{events / alone['commits']:15.1f}",
                        flush=True,
                    )
            except Void as error:
                print(f"VOID: {error}", file=sys.stderr)
                return 1
    print("every task of every run is in the view as it was recorded")
    return 0


if __name__ == "__main__":
    sys.exit(main())
