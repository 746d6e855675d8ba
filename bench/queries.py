"""Measure how soon SQLite, OpenSearch and Elasticsearch answer the collector's API, with many tasks in the view.

Each store gets the same tasks. Every question is asked once without being counted, then several times; reported are
medians, in milliseconds, of the time and of the CPU that the collector and the server took: on a machine with other
work the second says more. The answers must be the same everywhere, else the exit code is 1; one that the collector
breaks off (query_timeout) is named so.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import mida

from measured import Void, cpu
from peers import Missing
from pipeline import CAMPAIGN, Pipeline, Server
from report import say, servers, write_between
from stores import SINKS, names, server_of
from workload import Tasks, write_journals

BEGIN = "<!-- begin: bench/queries.py --write -->"
SLOW = 5.0  # seconds of a question that is asked no more often
HYPERPARAMETERS = "used.layers,used.learning_rate,used.epochs,used.batch_size,used.dropout,used.momentum"
RESULTS = "generated.loss,generated.accuracy,generated.steps,elapsed"
SHOWN = ["id", "task_id", "status", "used.layers", "generated.loss", "elapsed"]
TRAINED = {"activity_id": "train", "status": "FINISHED"}
MINE = json.dumps({"campaign_id": CAMPAIGN})

QUERIES: dict[str, dict] = {
    "Listing 1: least loss by layers": {
        "projection": ["used.layers", "generated.loss"],
        "aggregation": [["min", "generated.loss"]],
        "sort": [["used.layers", "ascending"]],
    },
    "tasks by activity and status": {"projection": ["activity_id", "status"], "aggregation": [["count", "id"]]},
    "mean elapsed by activity": {
        "projection": ["activity_id"],
        "aggregation": [["avg", "elapsed"], ["max", "elapsed"]],
    },
    "mean and median loss by optimizer": {
        "projection": ["used.optimizer"],
        "aggregation": [["avg", "generated.loss"], ["median", "generated.loss"]],
        "filter": TRAINED,
    },
    "page, the last that ended": {"projection": SHOWN, "sort": [["ended_at", "descending"]], "limit": 100},
    "page, by status and activity": {
        "projection": SHOWN,
        "filter": TRAINED,
        "sort": [["started_at", "descending"]],
        "limit": 500,
    },
    "page, by a number": {"projection": SHOWN, "filter": {"used.layers": {"$gt": 6}}, "limit": 500},
    "page, by a text": {"projection": SHOWN, "filter": {"used.optimizer": "adam"}, "limit": 500},
    "page, by a number and sorted by another": {
        "projection": SHOWN,
        "filter": {"used.layers": {"$gt": 6}, "activity_id": "train"},
        "sort": [["generated.loss", "ascending"]],
        "limit": 500,
    },
    "page, sorted by a number": {"projection": SHOWN, "sort": [["generated.loss", "ascending"]], "limit": 500},
    "page, whole tasks": {"filter": TRAINED, "limit": 500},
    "page, by a pattern of the key": {"projection": SHOWN, "filter": {"task_id": {"$regex": "0777$"}}, "limit": 500},
}
ROUTES: dict[str, tuple[str, dict]] = {
    "campaigns": ("campaigns", {}),
    "fields": ("fields", {"filter": MINE}),
    "timeline, 8,000 tasks": ("timeline", {"filter": MINE, "sample": "8000"}),
    "lineage by activity": ("lineage/activities", {"filter": MINE}),
    "scatter": ("correlation/scatter", {"x": "used.layers", "y": "generated.loss", "limit": "1000"}),
    "correlation, 6 x 4": ("correlation", {"x": HYPERPARAMETERS, "y": RESULTS}),
    "correlation of all fields": ("correlation", {}),
}


@dataclasses.dataclass
class Took:
    """The seconds that answers to one question took."""

    wall: list[float] = dataclasses.field(default_factory=list)
    cpu: list[float] = dataclasses.field(default_factory=list)
    broken_off: bool = False

    def shown(self) -> str:
        """Return the medians after the first, in milliseconds."""
        wall, cpu = (1e3 * statistics.median(took[1:] or took) for took in (self.wall, self.cpu))
        return f"{'> ' if self.broken_off else ''}{wall:,.0f} ({cpu:,.0f})"


def ask_all(pipeline: Pipeline, server: Server | None, repeats: int) -> tuple[dict[str, Took], dict[str, object]]:
    """Return what each question took, and the answers."""
    client = pipeline.collector.client(timeout=120)
    one = client.query(["id"], filter={"activity_id": "evaluate"}, sort=["id"], limit=1)[0]["id"]
    asked: dict[str, Callable[[], object]] = {
        name: lambda body=body: client.page(body) for name, body in QUERIES.items()
    }
    asked["lineage of one task"] = lambda: client.lineage(one, depth=10)
    for name, (path, params) in ROUTES.items():
        asked[name] = lambda path=path, params=params: client.get(f"/api/v1/{path}", list(params.items()))
    pids = [pipeline.collector.pid, *([server.pid] if server else [])]
    took, answers = {}, {}
    for name, call in asked.items():
        took[name] = of = Took()
        for _ in range(repeats + 1):
            start, before = time.perf_counter(), sum(map(cpu, pids))
            try:
                answers[name] = call()
            except mida.MidaError as error:
                if "no answer within" not in str(error):
                    raise
                answers[name], of.broken_off = None, True
            of.wall.append(time.perf_counter() - start)
            of.cpu.append(sum(map(cpu, pids)) - before)
            if of.wall[-1] > SLOW:
                break
        say(f"    {name}: {of.shown()} ms")
    return took, answers


def differs(a: object, b: object) -> bool:
    """Whether two answers differ by more than the last digits of sums, and columns that one calls approximate."""
    if isinstance(a, dict) and isinstance(b, dict):
        both = a.get("warnings", []) + b.get("warnings", [])
        rough = {str(w).split(": approximate")[0] for w in both if ": approximate" in str(w)}
        if rough:
            a, b = ({**x, "warnings": [], "rows": without(rough, x["rows"])} for x in (a, b))
        return any(differs(a.get(k), b.get(k)) for k in a.keys() | b.keys() if k != "next_cursor")
    if isinstance(a, list) and isinstance(b, list):
        return len(a) != len(b) or any(differs(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, float) and isinstance(b, float):
        return abs(a - b) > 1e-9 * max(1.0, abs(a), abs(b))
    return a != b


def without(columns: set[str], rows: list[dict]) -> list[dict]:
    """Return the rows without some columns."""
    return [{k: v for k, v in row.items() if k not in columns} for row in rows]


def table(tasks: int, load: str, measured: dict[str, dict[str, Took]]) -> str:
    """Return what was measured as Markdown."""
    heads = ["question", *(f"{sink}, ms (of CPU)" for sink in measured)]
    rows = [
        f"{date.today()}, {os.cpu_count()} cores, {tasks:,} tasks, {load}{servers()}.",
        "",
        f"| {' | '.join(heads)} |",
        "|---" + "|--:" * len(measured) + "|",
    ]
    for name in next(iter(measured.values())):
        cells = [took[name].shown() for took in measured.values()]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=200_000, help="tasks in each store (default: 200000)")
    parser.add_argument("--repeats", type=int, default=5, help="answers that count (default: 5)")
    parser.add_argument(
        "--only", type=lambda t: names(t, SINKS), default=list(SINKS), help=f"some of {','.join(SINKS)}"
    )
    parser.add_argument("--write", action="store_true", help="write the table into docs/benchmarks.md as well")
    args = parser.parse_args()
    measured: dict[str, dict[str, Took]] = {}
    loads, wrong, first = [os.getloadavg()[0]], [], {}
    with tempfile.TemporaryDirectory(prefix="mida-bench-") as directory:
        root = Path(directory)
        journals = root / "journals"
        write_journals(Tasks(args.tasks), 1, CAMPAIGN, journals)
        for sink in args.only:
            try:
                with server_of(sink, root) as server:
                    (root / f"run-{sink}").mkdir()
                    with Pipeline(root / f"run-{sink}", server, sink) as pipeline:
                        cost = pipeline.from_journals(journals, args.tasks, 1)
                        say(f"  {sink}: {args.tasks:,} tasks stored, {cost.rate:,.0f} a second")
                        measured[sink], answers = ask_all(pipeline, server, args.repeats)
                        loads.append(os.getloadavg()[0])
            except Missing as error:
                say(f"\n  *** {sink} is NOT measured: {error}\n")
                continue
            except Void as error:
                print(f"VOID: {error}", file=sys.stderr)
                return 1
            first = first or answers
            both = [name for name in first if None not in (first[name], answers[name])]
            wrong += [f"{sink}: {name}" for name in both if differs(first[name], answers[name])]
    text = table(args.tasks, f"load {min(loads):.1f} to {max(loads):.1f}", measured)
    print("\n" + text)
    if wrong:
        print(f"answers that are not those of {args.only[0]}: {'; '.join(wrong)}", file=sys.stderr)
        return 1
    if args.write:
        write_between(BEGIN, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
