"""What tasks used of a GPU: by its driver, as each of them asked it, and by the view."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

from .campaign import Running, script_environment
from .collector import ROOT, Collector, binary
from .observed import demo_collector
from .poll import until

PROGRAM = Path(__file__).resolve().parents[1] / "integration" / "scripts" / "gpu_use.py"

# Each task: the process in which it runs, what it does, GiB, seconds.
ONE_THREAD = {
    "processes": 3,
    "threads": 1,
    "settle": 2.5,
    "cases": [
        {"name": "hold", "tasks": [[0, "hold", 2, 3.5], [1, "idle", 0, 3.5]]},
        {"name": "burn", "tasks": [[0, "burn", 0, 5]]},
        {"name": "beside", "tasks": [[0, "burn", 0, 5], [1, "hold", 1, 5]]},
        {"name": "both", "tasks": [[0, "burn", 0, 5], [1, "burn", 0, 5]]},
        {"name": "child", "tasks": [[2, "child", 1.5, 3.5]]},
        {"name": "overflow", "tasks": [[1, "overflow", 1.5, 0]]},
    ],
}
TWO_THREADS = {
    "processes": 1,
    "threads": 2,
    "settle": 2.5,
    "cases": [{"name": "threads", "tasks": [[0, "hold", 1, 3.5], [0, "idle", 0, 3.5]]}],
}

READERS = ("nvml", "nvidia-smi")
MIB = 1 << 20

# Numbers are read once a second and lie on a line between two readings, so that a step in between is off by a quarter
# of it at most, at each end. The end of a task is read when it is heard of; nvidia-smi's last line counts until then.
WITHIN = 0.05
STEP = 0.25


def missing() -> str | None:
    """Say what is not here of what these tests need; None if nothing is."""
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"no NVIDIA GPU: {error}"
    if listed.returncode != 0 or "GPU 0" not in listed.stdout:
        return f"no NVIDIA GPU: nvidia-smi -L says {(listed.stdout + listed.stderr).strip()!r}"
    absent = [name for name in ("torch", "pynvml") if importlib.util.find_spec(name) is None]
    return f"no Python packages {absent}" if absent else None


def program(reader: str) -> Path:
    """Return the binary that reads GPUs in this way."""
    if reader == "nvidia-smi":
        return binary()
    path = Path(os.environ.get("MIDA_BIN_GPU") or ROOT / "bin" / "otelcol-mida-gpu")
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: run make build-gpu")
    return path


@dataclasses.dataclass
class Run:
    """All tasks under one reader: what they noted, what the view says of them, and what the collector cost."""

    reader: str
    notes: dict[str, dict]
    tasks: dict[str, dict]
    cost: dict

    def of(self, case: str, work: str | None = None) -> list[tuple[dict, dict]]:
        """Return note and task of each that belongs to a case."""
        keys = [k for k, n in self.notes.items() if n["case"] == case and work in (None, n["work"])]
        return [(self.notes[k], self.tasks[k]) for k in keys]


def measure(reader: str, workdir: Path, patience: float = 120) -> Run:
    """Run all cases under a collector as the demo configures it."""
    out = Run(reader, {}, {}, {})
    with demo_collector(workdir, program=program(reader)) as collector:
        for number, plan in enumerate((ONE_THREAD, TWO_THREADS)):
            before, began = _cpu_seconds(collector), time.monotonic()
            run = _program(collector, number, plan, patience)
            if number == 0:
                spent, took = _cpu_seconds(collector) - before, time.monotonic() - began
                out.cost = {"cpu_seconds": spent, "seconds": took, "in_30_s": spent / took * 30}
            # The same keys in both clusters would be another's.
            out.notes.update({n["key"]: n for n in run["notes"]})
            out.tasks.update(_tasks(collector, run))
        out.cost["gpu_failures"] = collector.metric("gpu_failures")
    return out


def _cpu_seconds(collector: Collector) -> float:
    """Return what the collector and the programs that it runs used so far."""
    process = psutil.Process(collector.pid)
    return sum(sum(p.cpu_times()[:2]) for p in (process, *process.children(recursive=True)))


def _program(collector: Collector, number: int, plan: dict, patience: float) -> dict:
    target = collector.workdir / f"gpu-{number}.json"
    environment = script_environment(collector.data / "journal", CUDA_DEVICE_ORDER="PCI_BUS_ID")
    command = [sys.executable, PROGRAM, target, json.dumps(plan)]
    with Running(command, collector.workdir, environment, target.with_suffix(".log")) as script:
        script.finish(patience)
    return json.loads(target.read_text())


def _tasks(collector: Collector, run: dict) -> dict[str, dict]:
    keys = {n["key"] for n in run["notes"]}
    client = collector.client()

    def arrived() -> dict | None:
        rows = client.query(filter={"scope": run["scheduler"]}, limit=1000)
        found = {row["task_id"]: row for row in rows if row["task_id"] in keys and row.get("telemetry_coverage")}
        return found if found.keys() == keys else None

    return until(arrived, 60, f"telemetry of {sorted(keys)}")


@dataclasses.dataclass
class Use:
    """One number of one task."""

    key: str
    what: str
    metric: str
    true: float
    recorded: float | None
    coverage: str
    reader: str
    tolerance: float  # in the unit of the metric

    @property
    def error(self) -> float:
        """How far the recorded number is from the true one, as a share of it."""
        return float("inf") if self.recorded is None else (self.recorded - self.true) / max(self.true, 1e-9)

    @property
    def wrong(self) -> bool:
        """Whether that is more than is said of it."""
        return self.recorded is None or abs(self.recorded - self.true) > self.tolerance

    def __str__(self) -> str:
        return (
            f"{self.key} ({self.what}) by {self.reader}: {self.metric} is {self.recorded}, the driver says {self.true} "
            f"(+- {self.tolerance:.4g}); {self.coverage!r}"
        )


WHAT = {
    ("hold", "hold"): "{:g} GiB for {:g} s, alone",
    ("burn", "burn"): "the GPU for 5 s, alone",
    ("beside", "burn"): "the GPU for 5 s, beside one that holds memory",
    ("beside", "hold"): "{:g} GiB for 5 s, beside one that computes",
    ("both", "burn"): "the GPU for 5 s, as another process does",
    ("child", "child"): "{:g} GiB in a process that it starts",
    ("threads", "hold"): "{:g} GiB for {:g} s, beside a task in the same process",
}


def uses(run: Run) -> list[Use]:
    """Compare what was seen of each task with what the driver told it."""
    out = []
    for key, note in run.notes.items():
        if (note["case"], note["work"]) in WHAT and note["truth"]:
            out += _compare(run, note, run.tasks[key])
    for case in ("beside", "both"):
        parts = run.of(case)
        if all("task.energy.gpu" in task.get("telemetry_delta", {}) for _, task in parts):
            whole = max(note["truth"]["energy"] for note, _ in parts)
            watts = max(note["truth"]["watts"] for note, _ in parts)
            together = sum(task["telemetry_delta"]["task.energy.gpu"] for _, task in parts)
            words = " / ".join(task["telemetry_coverage"]["task.energy.gpu"] for _, task in parts)
            what = "the GPU, two processes: their parts together"
            # One of the two lasts longer than the other, by as much as its context takes to make.
            tolerance = 2 * WITHIN * whole + 2 * STEP * watts
            out.append(Use(case, what, "task.energy.gpu", whole, together, words, run.reader, tolerance))
    return out


def _compare(run: Run, note: dict, task: dict) -> list[Use]:
    truth = note["truth"]
    peak, delta = task.get("telemetry_peak", {}), task.get("telemetry_delta", {})
    coverage = task.get("telemetry_coverage", {})
    what = WHAT[note["case"], note["work"]].format(note["amount"], 3.5)

    def use(metric: str, true: float, recorded: float | None, tolerance: float) -> Use:
        return Use(note["key"], what, metric, true, recorded, coverage.get(metric, ""), run.reader, tolerance)

    out = []
    if note["work"] in ("hold", "child"):
        name = "process.gpu.memory.usage"
        out.append(use(name, truth["memory"], peak.get(name), max(WITHIN * truth["memory"], 16 * MIB)))
    energy = WITHIN * truth["energy"] + STEP * truth["watts"]
    out.append(use("hw.energy.gpu", truth["energy"], delta.get("hw.energy.gpu"), energy))
    if note["case"] in ("hold", "burn"):  # the only process on the GPU
        out.append(use("task.energy.gpu", truth["energy"], delta.get("task.energy.gpu"), energy))
    if note["work"] == "burn":
        if run.reader == "nvml":
            name = "process.gpu.time"
            # Of two that take turns the driver sees one at a time: what counts is how often it saw this one.
            true = counted(note) if note["case"] == "both" else truth["busy"]
            out.append(use(name, true, delta.get(name), WITHIN * true + 2 * STEP))
        out.append(use("hw.gpu.utilization", truth["utilization"], peak.get("hw.gpu.utilization"), WITHIN))
        out.append(use("hw.power.gpu", truth["watts"], peak.get("hw.power.gpu"), 2 * WITHIN * truth["watts"]))
    return out


def counted(note: dict) -> float:
    """For how long a process kept the GPU busy by the driver's own samples, which its task read ten times a second."""
    first, *others = note["truth"]["samples"]
    since = max((at for _, at, _ in first["busy"]), default=round(note["truth"]["began"] * 1e6))
    seconds = 0.0
    for sample in others:
        # Each line is a mean over all samples since the last reading, with the time of the process's own newest one.
        newest = max((at for _, at, _ in sample["busy"]), default=since)
        mine = sum(percent for pid, _, percent in sample["busy"] if pid == note["truth"]["pid"])
        seconds += mine / 100 * (newest - since) / 1e6
        since = newest
    return seconds


def of_gpus(task: dict) -> list[str]:
    """Name all that a task says of GPUs."""
    parts = ("telemetry_start", "telemetry_end", "telemetry_peak", "telemetry_delta", "telemetry_coverage")
    return sorted({name for part in parts for name in task.get(part, {}) if "gpu" in name})


def write(run: Run, path: Path) -> None:
    """Keep all of it in a file."""
    path.write_text(json.dumps(dataclasses.asdict(run), indent=1))


def read(path: Path) -> Run:
    """Return what was kept."""
    return Run(**json.loads(path.read_text()))


def table(runs: list[Run]) -> list[str]:
    """Return the lines of a table of all."""
    lines = ["| a task uses | metric | by | driver says | seen | off by | coverage |", "|---|---|---|---|---|---|---|"]
    for run in runs:
        for u in uses(run):
            seen, off = ("none", "") if u.recorded is None else (_amount(u.metric, u.recorded), f"{u.error:+.1%}")
            true = _amount(u.metric, u.true)
            lines.append(f"| {u.what} | `{u.metric}` | {u.reader} | {true} | {seen} | {off} | {u.coverage} |")
    return lines


def summary(runs: list[Run]) -> list[str]:
    """Return a table of that number of each kind which is furthest off, all readers side by side."""
    kinds: dict[tuple[str, str], dict[str, list[Use]]] = {}
    for run in runs:
        for u in uses(run):
            kinds.setdefault((u.metric, _kind(u)), {}).setdefault(u.reader, []).append(u)
    names = [run.reader for run in runs]
    lines = [f"| metric | of tasks that | {' | '.join(names)} |", "|---" * (2 + len(names)) + "|"]
    for (metric, kind), by_reader in kinds.items():
        cells = [_worst(by_reader.get(name, [])) for name in names]
        lines.append(f"| `{metric}` | {kind} | {' | '.join(cells)} |")
    return lines


def _kind(u: Use) -> str:
    if u.key in ("beside", "both"):
        return "are two on one GPU: their parts together"
    if u.metric == "process.gpu.time" and u.key.startswith("both"):
        return "compute for 5 s as another does, of what the driver counted for each"
    return "use 1 to 2 GiB" if "GiB" in u.what else "compute for 5 s"


def _worst(of: list[Use]) -> str:
    if not of:
        return ""
    u = max(of, key=lambda u: abs(u.error))
    seen = "none" if u.recorded is None else _amount(u.metric, u.recorded)
    return f"{u.error:+.1%}: {seen} of {_amount(u.metric, u.true)} (worst of {len(of)})"


def _amount(metric: str, value: float) -> str:
    if "memory" in metric:
        return f"{value / MIB:.0f} MiB"
    unit = {"hw.gpu.utilization": "", "hw.power.gpu": " W", "process.gpu.time": " s"}.get(metric, " J")
    return f"{value:.2f}{unit}" if value < 100 else f"{value:.0f}{unit}"
