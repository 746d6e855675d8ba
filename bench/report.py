"""The results of bench/stores.py as tables, for the terminal and for docs/benchmarks.md."""

from __future__ import annotations

import os
import platform
import statistics
import sys
from collections import defaultdict
from datetime import date
from pathlib import Path

from measured import Cost

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
BEGIN, END = "<!-- begin: bench/stores.py --write -->", "<!-- end -->"

# What is divided by what, at which sink; the goal is of the quotient.
RATIOS = (
    ("mida, 3 events", "bare loop, 3 events", None, "0.8"),
    ("mida, 1 event", "bare loop, 1 event", None, "0.8"),
    ("mida, OTLP, no claims", "contrib, OTLP", "elasticsearch", "1"),
    ("mida, OTLP", "contrib, OTLP", "elasticsearch", ""),
    ("mida, 3 events", "FlowCept, 2 messages", None, "5"),
    ("mida, 1 event", "FlowCept, 1 message", None, "5"),
)


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, file=sys.stderr, flush=True)


def servers() -> str:
    """Say as what the search servers ran, if any did."""
    heap, jvm = os.environ.get("MIDA_SERVER_HEAP", ""), os.environ.get("MIDA_SERVER_JVM", "")
    return f"; search servers with {heap} of heap{f' and {jvm}' if jvm else ''}" if heap else ""


class Results:
    """What was measured."""

    def __init__(self, tasks: int, rounds: int, apart: bool = False) -> None:
        self._tasks, self._rounds, self._apart = tasks, rounds, apart
        self._runs: dict[tuple[str, str], list[Cost]] = defaultdict(list)
        self._growth: dict[str, list[Cost]] = defaultdict(list)
        self._skipped: list[str] = []
        self._loads = [os.getloadavg()[0]]
        self.batches: dict[tuple[str, int], str] = {}

    def add(self, sink: str, name: str, cost: Cost, counted: bool) -> None:
        """Note one run beside others."""
        self._loads.append(os.getloadavg()[0])
        note = "" if counted else "   (warm-up, not counted)"
        say(f"  {sink}, {name}: {cost.rate:,.0f} tasks/s{_cpu(cost)}   load {self._loads[-1]:.1f}{note}")
        # The round that is not counted says in which order they are listed.
        costs = self._runs[sink, name]
        if counted:
            costs.append(cost)

    def grow(self, sink: str, cost: Cost) -> None:
        """Note one run of the growing ones."""
        self._loads.append(os.getloadavg()[0])
        self._growth[sink].append(cost)
        say(f"  {sink}, {cost.tasks:,} tasks: {cost.rate:,.0f} tasks/s{_cpu(cost)}   load {self._loads[-1]:.1f}")

    def skip(self, why: str) -> None:
        """Note what could not be measured."""
        self._skipped.append(why)
        say(f"\n  *** {why}\n")

    def text(self) -> str:
        """Return all of it as Markdown."""
        load = f"load {min(self._loads):.1f} to {max(self._loads):.1f}"
        parts = [
            f"{date.today()}, {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, {load}"
            f"{servers()}."
        ]
        parts += [f"**{why}**" for why in self._skipped]
        if self._runs:
            parts += [self._comparison(), self._quotients()]
        if self._growth:
            parts += [self._growing()]
        return "\n\n".join(parts) + "\n"

    def _comparison(self) -> str:
        per_task = 1e6 / self._tasks
        rows = [
            f"Medians of {self._rounds} rounds of {self._tasks:,} tasks each."
            + (" The search server had half of the cores, everything else the other half." if self._apart else ""),
            "",
            "| into | what | tasks/s | least and most | CPU, µs a task | peak memory, MB | server CPU, µs a task |",
            "|---|---|--:|--:|--:|--:|--:|",
        ]
        for (sink, name), costs in self._runs.items():
            if not costs:
                continue
            rates = sorted(c.rate for c in costs)
            cells = [
                sink,
                name,
                f"{statistics.median(rates):,.0f}",
                f"{rates[0]:,.0f} … {rates[-1]:,.0f}",
                _number(statistics.median(c.cpu for c in costs) * per_task),
                _number(statistics.median(c.peak for c in costs) / 1e6),
                _number(statistics.median(c.server for c in costs) * per_task),
            ]
            rows.append(f"| {' | '.join(cells)} |")
        rows.append("")
        for (sink, name), costs in self._runs.items():
            if any(c.lost for c in costs):
                rows.append(f"**{sink}, {name} lost {', '.join(str(c.lost) for c in costs)} tasks in the rounds.**\n")
        loops = ", ".join(f"{sink} {batch} ({events} ev.)" for (sink, events), batch in self.batches.items())
        return "\n".join([*rows, f"Batches of the bare loops: {loops}."])

    def _quotients(self) -> str:
        rows = [
            "| into | tasks/s of | by those of | median | of the rounds | goal |",
            "|---|---|---|--:|--:|--:|",
        ]
        for sink in dict.fromkeys(sink for sink, _ in self._runs):
            for ours, theirs, only, goal in RATIOS:
                a, b = self._runs.get((sink, ours)), self._runs.get((sink, theirs))
                if not a or not b or only not in (None, sink):
                    continue
                quotients = sorted(x.rate / y.rate for x, y in zip(a, b, strict=True))
                each = ", ".join(f"{q:.2f}" for q in quotients)
                rows.append(f"| {sink} | {ours} | {theirs} | {statistics.median(quotients):.2f} | {each} | {goal} |")
        return "\n".join(rows)

    def _growing(self) -> str:
        asked = list(dict.fromkeys(name for costs in self._growth.values() for c in costs for name in c.queries))
        heads = ["into", "tasks", "tasks/s", "CPU, µs a task", "peak memory, MB", "database, MB"]
        heads += [f"{name}, ms" for name in asked]
        rows = ["The collector alone, 3 events a task:", "", f"| {' | '.join(heads)} |"]
        rows.append("|---" + "|--:" * (len(heads) - 1) + "|")
        for sink, costs in self._growth.items():
            for c in costs:
                cells = [sink, f"{c.tasks:,}", f"{c.rate:,.0f}", _number(1e6 * c.cpu / c.tasks)]
                cells += [_number(c.peak / 1e6), f"{c.size / 1e6:,.1f}"]
                cells += [f"{1e3 * c.queries[name]:,.1f}" for name in asked]
                rows.append(f"| {' | '.join(cells)} |")
        return "\n".join(rows)

    def write(self, text: str) -> None:
        """Put the text between the marks of the page."""
        write_between(BEGIN, text)


def write_between(begin: str, text: str) -> None:
    """Put a text into the page, from a mark to the next end."""
    page = PAGE.read_text()
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(END)
    if not rest or END not in rest:
        raise SystemExit(f"{PAGE}: has no {begin} … {END}")
    PAGE.write_text(f"{before}{begin}\n{text}{END}{after}")


def _cpu(cost: Cost) -> str:
    return f", {1e6 * cost.cpu / cost.tasks:,.0f} µs CPU a task, {cost.peak / 1e6:,.0f} MB" if cost.cpu else ""


def _number(value: float) -> str:
    return f"{value:,.0f}" if value else ""
