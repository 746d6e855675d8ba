"""What the two questions of the paper must be answered with, derived from the lab books of the survey alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from .collector import read_json_lines
from .compare import Differences
from .dossier import as_they_are, facts
from .links import expected_links, upstream_of
from .truth import Call, Image, Truth

REFUSED, NANNY, KERNEL = "refused", "nanny", "kernel"


@dataclasses.dataclass
class Overflow:
    """A training that ran out of memory, and how the scripts know it."""

    call: Call
    how: str
    pid: int | None


def overflows(truth: Truth) -> list[Overflow]:
    """Return the trainings that raised a MemoryError, or whose worker was ended for its memory."""
    records = read_json_lines(truth.workdir / "truth" / "search.jsonl")
    pids: dict[tuple, int] = {}
    for r in records:
        if r["record"] == "files":
            pids[r["scheduler_address"], r["key"]] = r["pid"]
    restarted = {r["pid"] for r in records if r["record"] == "worker_restart"}
    runs = {r["scheduler"]: r for r in records if r["record"] == "run"}
    kernel = {r["run_start"]: r["kernel_kills"] for r in records if r["record"] == "run_end"}
    found = []
    for call in trainings(truth, "error"):
        run = runs[call.scheduler]
        pid = pids.get((run["scheduler_address"], call.record["key"]))
        if call.record["exception"] == "MemoryError":
            found.append(Overflow(call, REFUSED, pid))
        elif pid in restarted:
            found.append(Overflow(call, NANNY, pid))
        elif kernel[run["run_start"]]:
            found.append(Overflow(call, KERNEL, pid))
    return found


def trainings(truth: Truth, status: str) -> list[Call]:
    """Return the trainings that ended so."""
    return [c for c in truth.calls.values() if c.record["function"] == "train" and c.record["status"] == status]


@dataclasses.dataclass
class Data:
    """A data set of a training: who made it, through which calls, of which images."""

    made_by: Call
    through: list[Call]  # from the images to the data set
    images: list[Image]


def data_of(truth: Truth, call: Call) -> Data:
    """Follow what a training read to the images, by the content of each file."""
    upstream = upstream_of(expected_links(truth), call.name)
    through = sorted((truth.calls[n] for n in upstream & truth.calls.keys()), key=lambda c: c.written[0].at)
    images = sorted((truth.images[n] for n in upstream & truth.images.keys()), key=lambda i: i.record["number"])
    assert call.read[0].path == through[-1].written[0].path
    return Data(through[-1], through, images)


def given(call: Call) -> dict:
    """Return what a call was given, without names of files and results of others."""
    return {k: v for k, v in call.record["arguments"].items() if not isinstance(v, (dict, list)) and "path" not in k}


def said(call: Call) -> dict:
    """Return what a call returned, without names of files."""
    return {k: v for k, v in call.record["result"].items() if "path" not in k}


def expected_origins(truth: Truth, calls: list[Call]) -> dict[tuple, dict]:
    """Return (task, raw file) → the columns that its row must have."""
    rows = {}
    for call in calls:
        data = data_of(truth, call)
        row = {"dataset": data.made_by.record["arguments"]["dataset_path"]}
        row |= {f"used.{k}": v for k, v in given(call).items()}
        row |= {f"dataset.{k}": v for k, v in said(data.made_by).items()}
        row["through"] = " → ".join(c.record["function"] for c in data.through)
        for step in data.through:
            row |= {f"through.{step.record['function']}.{k}": v for k, v in given(step).items()}
        for image in data.images:
            record = image.record
            raw = {f"raw.used.parameters.{k}": v for k, v in record["parameters"].items()}
            raw |= {f"raw.generated.{k}": v for k, v in record["values"].items()}
            raw |= {"raw.used.number": record["number"], "raw.used.position": record["position"]}
            raw |= {"raw.used.sample": record["sample"], "raw.activity_id": "acquire_image"}
            rows[call.record["key"], record["path"]] = {**row, **raw}
    return rows


def compare_training(truth: Truth, ids: dict[tuple, str], call: Call, result: dict) -> Differences:
    """Compare the report on a training with what the scripts noted: all that went into its model."""
    found = Differences()
    data = data_of(truth, call)

    def expect(field: str, want: object, got: object) -> None:
        found.expect(call.record["key"], field, want, got)

    expect("task", ids[call.name], result["task"]["id"])
    expect("value", call.record["result"]["loss"], result["value"])
    (training,) = result["training"]
    hyperparameters = {k: v for k, v in facts(training["hyperparameters"]).items() if not k.startswith("dataset.")}
    expect("hyperparameters", given(call), hyperparameters)
    expect("architecture", {k: given(call)[k] for k in ("layers", "units")}, facts(training["architecture"]))
    expect("metrics", said(call), facts(training["metrics"]))
    as_they_are("model", {call.written[0].path: call.written[0].sha256}, result["models"], expect)
    (model,) = result["models"]
    units, layers = given(call)["units"], given(call)["layers"]
    inputs = [data.through[1].record["arguments"]["patch_size"] ** 2, *[units] * layers]
    widths = zip(inputs, [*inputs[1:], 1], strict=True)
    shapes = [(f"dense_{i}", f"({a + 1}, {b})") for i, (a, b) in enumerate(widths)]
    expect("layers and shapes", shapes, [(a["name"], a["shape"]) for a in model["header"]["arrays"]])

    (used,) = training["datasets"]
    as_they_are("data set", {call.read[0].path: call.read[0].sha256}, [used], expect)
    expect("its metadata", said(data.made_by), facts(used["metadata"]))
    patches = said(data.made_by)["patches"]
    arrays = [("patches", f"({patches}, {inputs[0]})"), ("labels", f"({patches},)")]
    expect("its header", arrays, [(a["name"], a["shape"]) for a in used["header"]["arrays"]])

    steps = {s["task"]["id"]: s for s in result["transformations"]}
    expect("transformations", sorted(ids[c.name] for c in data.through), sorted(steps))
    for step in data.through:
        shown, name = steps[ids[step.name]], step.record["function"]
        expect(f"{name}: parameters", given(step), facts(shown["parameters"]))
        expect(f"{name}: values", said(step), facts(shown["values"]))
        expect(f"{name}: inputs", sorted(relative(truth, f.path) for f in step.read), sorted(shown["inputs"]))
        expect(f"{name}: outputs", [relative(truth, f.path) for f in step.written], shown["outputs"])

    raw = {i.record["absolute_path"]: i.record["sha256"] for i in data.images}
    as_they_are("raw files", raw, result["raw"]["files"], expect)
    made = {s["task"]["id"]: s for s in result["raw"]["made_by"]}
    expect("images", sorted(ids[i.name] for i in data.images), sorted(made))
    for image in data.images:
        shown = made[ids[image.name]]
        parameters = facts(shown["parameters"]).items()
        optics = {k.removeprefix("parameters."): v for k, v in parameters if k.startswith("parameters.")}
        expect("the instrument's parameters", image.record["parameters"], optics)
        expect("what it measured", image.record["values"], facts(shown["values"]))
    expect("left out", [], result["omitted"])
    expect("tasks of the lineage", 1 + len(data.through) + len(data.images), result["lineage"]["tasks"])
    return found


def relative(truth: Truth, path: str) -> str:
    """Return a path as the scripts name it."""
    return str(Path(path).relative_to(truth.workdir.resolve()))
