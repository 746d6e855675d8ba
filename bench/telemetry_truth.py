"""Compare what tasks used by their own count with what the view says, on clusters of several shapes.

Every case is run as so many tasks at a time as the cluster has threads, under a collector of the demo.
With ``--write`` the table goes into docs/telemetry.md. The exit code is 1 when a number of a task of a second or more
is more than 5 % off, or when a task that did nothing got a neighbour's CPU time.
"""

from __future__ import annotations

import argparse
import datetime
import os
import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.observed import demo_collector  # noqa: E402
from support.used import Use, run_known  # noqa: E402

DOC = ROOT / "docs" / "telemetry.md"
WITHIN, LONG = 0.05, 1.0
NOISE = 0.05  # seconds of CPU that a task which sleeps may have

CASES = [
    {"work": "burn", "amount": 0.005},
    {"work": "burn", "amount": 0.1},
    {"work": "burn", "amount": 1.0, "beside": "idle"},
    {"work": "hold", "amount": 200},
    {"work": "touch", "amount": 300},
    {"work": "write", "amount": 64},
    {"work": "spawn", "amount": 0.5},
    {"work": "helped", "amount": 0.6},
]
LONGER = {"work": "burn", "amount": 3.0}
LONGEST = {"work": "burn", "amount": 30.0}
SHAPES = [(p, t) for p in (1, 2, 4) for t in (1, 2, 4)]
NAMES = {
    "burn": "{:g} s of CPU",
    "idle": "nothing, for {:g} s, beside one that burns",
    "hold": "{:g} MiB for a second",
    "touch": "{:g} MiB for a moment",
    "write": "{:g} MiB written",
    "spawn": "4 processes, {:g} s of CPU each",
    "helped": "2 more threads, {:g} s of CPU each",
}


def cases(tasks: int) -> list[dict]:
    """Return what so many tasks do at a time; of eight and more, a quarter of the memory, which would be gigabytes."""
    part = 4 if tasks >= 8 else 1
    return [{**c, "amount": c["amount"] / part} if c["work"] in ("hold", "touch") else c for c in CASES]


def rows(uses: list[Use]) -> tuple[list[str], list[str]]:
    """Return the lines of the table, and what is wrong."""
    lines, wrong = [], []
    groups: dict[tuple, list[Use]] = {}
    for u in uses:
        groups.setdefault((u.work, u.amount, u.metric, u.processes, u.threads), []).append(u)
    for (work, amount, metric, processes, threads), group in groups.items():
        own = [u for u in group if u.coverage.startswith("exclusive")]
        thread = [u for u in group if u.coverage == "thread" and work in ("burn", "write")]
        own = own or thread  # nobody else works for those
        elapsed = statistics.median(u.elapsed for u in group)
        words = " / ".join(sorted({u.coverage for u in group}))
        name = NAMES[work].format(amount)
        if work == "idle":
            most = max(u.recorded or 0 for u in group)
            result = f"at most {most:.4f} s"
            if most > NOISE:
                wrong.append(f"a task that did nothing got {most:.3f} s of CPU: {name}")
        elif own:
            off = max(u.error for u in own)
            result = f"{off:.1%}"
            sure = [u for u in own if "interpolated" not in u.coverage]
            if elapsed >= LONG and any(u.error > WITHIN for u in sure):
                wrong.append(f"{off:.1%} off: {name}, {metric}, {processes} x {threads}: {own}")
        else:
            result = "not told apart"
        lines.append(f"| {name} | `{metric}` | {processes} x {threads} | {elapsed:.2f} | {result} | {words} |")
    return lines, wrong


def main() -> int:
    """Run all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into docs/telemetry.md")
    parser.add_argument("--long", action="store_true", help="a task of 30 s of CPU, too")
    shapes = " ".join(f"{p}x{t}" for p, t in SHAPES)
    parser.add_argument("--shapes", default=shapes, help=f"processes x threads (default: {shapes})")
    options = parser.parse_args()
    os.environ.setdefault("MIDA_BIN", str(ROOT / "bin" / "otelcol-mida"))
    uses: list[Use] = []
    made = tempfile.TemporaryDirectory(prefix="mida-truth-")
    with made as directory, demo_collector(Path(directory)) as collector:
        for shape in options.shapes.split():
            processes, _, threads = shape.partition("x")
            uses += run_known(collector, int(processes), int(threads), cases(int(processes) * int(threads)))
        uses += run_known(collector, 1, 1, [LONGER, *([LONGEST] if options.long else [])])
    lines, wrong = rows(uses)
    head = [
        f"Measured on {datetime.date.today():%Y-%m-%d} on a machine with {os.cpu_count()} cores, which had a load of "
        f"{os.getloadavg()[1]:.1f} at the end. The worst of each case's tasks counts.",
        "",
        "| a task uses | metric | processes x threads | lasts (s) | off by | coverage |",
        "|---|---|---|---|---|---|",
    ]
    table = "\n".join(head + lines)
    print(table)
    if options.write:
        before, _, rest = DOC.read_text().partition("<!-- truth -->\n")
        _, _, after = rest.partition("<!-- /truth -->")
        DOC.write_text(f"{before}<!-- truth -->\n{table}\n<!-- /truth -->{after}")
    for line in wrong:
        print("WRONG:", line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
