"""The benchmark of the stores still works; what it measures on a test machine says nothing."""

from __future__ import annotations

import subprocess
import sys

from support.collector import ROOT


def test_the_benchmark_of_stores_runs() -> None:
    sizes = ["--tasks", "200", "--rounds", "1", "--sizes", "300"]
    done = subprocess.run(
        [sys.executable, ROOT / "bench" / "stores.py", *sizes, "--only", "sqlite", "--peers", ""],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for row in ("| sqlite | mida, 3 events |", "| sqlite | bare loop, 1 event |", "| sqlite | 300 |"):
        assert row in done.stdout, done.stdout
    # One quotient for each number of events a task.
    assert done.stdout.count("| bare loop, 3 events |") == 2, done.stdout
