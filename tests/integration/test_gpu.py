"""Tasks that use a known amount of a real GPU: what the view says they used, and what the driver told them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.gpus import READERS, Run, counted, measure, of_gpus, uses, write

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module", params=READERS)
def run(request, tmp_path_factory) -> Run:
    """All cases under one reader. MIDA_GPU_KEEP names a directory in which what was seen is kept."""
    out = measure(request.param, tmp_path_factory.mktemp(f"gpu-{request.param}"))
    if keep := os.environ.get("MIDA_GPU_KEEP"):
        write(out, Path(keep) / f"{request.param}.json")
    print(f"\nthe collector with {out.reader}: {out.cost}")
    return out


def right(run: Run, *metrics: str, case: str | None = None) -> None:
    """Each number of these is as the driver said, within what its tolerance allows, and there are some."""
    of_these = [u for u in uses(run) if u.metric in metrics and (case is None or u.key.startswith(case))]
    assert of_these
    wrong = [str(u) for u in of_these if u.wrong]
    assert not wrong, "\n".join(wrong)


def words(run: Run, case: str, work: str, metric: str) -> set[str]:
    """Return the coverage of a number without what only says how well it is known."""
    unsure = (", interpolated", ", partial")
    out = set()
    for _, task in run.of(case, work):
        text = task["telemetry_coverage"].get(metric, "none")
        for word in unsure:
            text = text.replace(word, "")
        out.add(text)
    return out


def test_the_driver_names_the_processes_that_are_here(run):
    """Otherwise no number of a process can be compared: it would be one of a container with its own process numbers."""
    for case, work in (("hold", "hold"), ("burn", "burn")):
        ((note, _),) = run.of(case, work)
        listed = {pid for sample in note["truth"]["samples"] for pid in sample["listed"]}
        assert str(note["truth"]["pid"]) in {str(pid) for pid in listed}


def test_every_task_ended_as_it_should(run):
    """Only the one that wants too much fails."""
    errors = {k: n["error"] for k, n in run.notes.items() if n["error"] and n["work"] != "overflow"}
    assert not errors
    assert run.cost["gpu_failures"] == 0


def test_memory(run):
    """A process has what its driver says, the context included; children count."""
    right(run, "process.gpu.memory.usage")
    assert words(run, "hold", "hold", "process.gpu.memory.usage") == {"exclusive"}
    for note, task in run.of("hold", "hold") + run.of("child"):
        assert task["telemetry_peak"]["process.gpu.memory.usage"] >= note["truth"]["asked"]


def test_busy_time(run):
    """Only the driver itself tells how long a process kept the GPU busy; who only holds memory did not."""
    if run.reader != "nvml":
        assert not [t for t in run.tasks.values() if "process.gpu.time" in t["telemetry_delta"]]
        return
    right(run, "process.gpu.time")
    ((_, beside),) = run.of("beside", "hold")
    assert beside["telemetry_delta"]["process.gpu.time"] < 0.25


def test_what_the_gpu_did(run):
    """Utilization and power of the GPU."""
    right(run, "hw.gpu.utilization", "hw.power.gpu")
    ids = {tuple(t["attributes"]["hw.gpu.ids"]) for _, t in run.of("hold", "hold") + run.of("burn") + run.of("both")}
    assert len(ids) == 1 and len(next(iter(ids))) == 1, ids


def test_energy(run):
    """Of the whole GPU, and the task's part of it: all while nobody else is there."""
    right(run, "hw.energy.gpu")
    right(run, "task.energy.gpu")
    power = "" if run.reader == "nvml" else ", from power"
    assert words(run, "burn", "burn", "hw.energy.gpu") == {f"gpu{power}"}
    for case in ("hold", "burn"):
        assert words(run, case, case, "task.energy.gpu") == {f"gpu_exclusive, exclusive{power}"}
    rule = "gpu_time_share" if run.reader == "nvml" else "gpu_process_share"
    for case in ("beside", "both"):
        assert words(run, case, "burn", "task.energy.gpu") == {f"{rule}, exclusive{power}"}
    # Both compute all the time. NVIDIA's driver sees one of them at a time, and not each as often as the other.
    seen = [counted(note) if run.reader == "nvml" else 1 for note, _ in run.of("both")]
    parts = [task["telemetry_delta"]["task.energy.gpu"] for _, task in run.of("both")]
    assert parts[0] / sum(parts) == pytest.approx(seen[0] / sum(seen), abs=0.1), (parts, seen)


def test_a_process_without_a_gpu(run):
    """What its neighbours use is not its own."""
    ((_, task),) = run.of("hold", "idle")
    assert of_gpus(task) == []


def test_two_tasks_in_one_process(run):
    """Both have what their process has, and it says so."""
    for work in ("hold", "idle"):
        assert words(run, "threads", work, "process.gpu.memory.usage") == {"shared_by=2"}


def test_more_memory_than_there_is(run):
    """What PyTorch says on a real GPU is known by one word."""
    ((note, task),) = run.of("overflow")
    assert "out of memory" in note["error"], note["error"]
    assert task["status"] == "FAILED"
    assert task["error"]["type"] == "gpu_out_of_memory"
    assert task["attributes"]["exception.type"].endswith("OutOfMemoryError")
