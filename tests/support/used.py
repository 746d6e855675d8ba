"""What tasks used: by their own count, and by the view."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

from .campaign import Running, script_environment
from .collector import Collector
from .poll import until

PROGRAM = Path(__file__).resolve().parents[1] / "integration" / "scripts" / "known_use.py"


@dataclasses.dataclass
class Use:
    """One number of one task."""

    key: str
    work: str
    amount: float
    metric: str
    true: float
    recorded: float | None
    coverage: str
    elapsed: float
    threads: int
    processes: int

    @property
    def error(self) -> float:
        """How far the recorded number is from the true one, as a share of it."""
        return float("inf") if self.recorded is None else abs(self.recorded - self.true) / max(self.true, 1e-9)


def run_known(
    collector: Collector,
    processes: int,
    threads: int,
    cases: list[dict],
    prefix: tuple = (),
    settle: float = 2.0,
) -> list[Use]:
    """Run the program that knows what it uses, and compare with the view.

    Parameters
    ----------
    prefix : tuple
        The command under which the program runs, such as ``unshare``.
    """
    target = collector.workdir / f"known-{processes}-{threads}-{len(list(collector.workdir.glob('known-*')))}.json"
    plan = json.dumps({"processes": processes, "threads": threads, "cases": cases, "settle": settle})
    command = [*prefix, sys.executable, PROGRAM, target, plan]
    environment = script_environment(collector.data / "journal")
    with Running(command, collector.workdir, environment, target.with_suffix(".log")) as script:
        script.finish(600)
    run = json.loads(target.read_text())
    keys = {note["key"] for note in run["notes"]}
    client = collector.client()

    def arrived() -> dict:
        rows = client.query(filter={"scope": run["scheduler"], "status": "FINISHED"}, limit=10_000)
        found = {row["task_id"]: row for row in rows if row["task_id"] in keys and row.get("telemetry_delta")}
        return found if found.keys() == keys else {}

    tasks = until(arrived, 60, f"telemetry of {len(keys)} tasks")
    return [use for note in run["notes"] for use in _compare(note, tasks[note["key"]], run)]


def _compare(note: dict, task: dict, run: dict) -> list[Use]:
    out = []
    for metric, true in note["used"].items():
        if metric == "process.memory.usage":  # so much more than when it began
            recorded = task["telemetry_peak"].get(metric, 0) - task.get("telemetry_start", {}).get(metric, 0)
        else:
            recorded = task["telemetry_delta"].get(metric)
        elapsed = task["ended_at"] - task["started_at"]
        out.append(
            Use(
                note["key"],
                note["work"],
                note["amount"],
                metric,
                true,
                recorded,
                task["telemetry_coverage"].get(metric, ""),
                elapsed,
                run["threads"],
                run["processes"],
            )
        )
    return out
