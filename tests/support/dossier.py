"""What the report on a result must name, derived from the ground truth alone."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from .compare import Differences
from .links import expected_links, upstream_of
from .truth import Call, Run, Truth

EXPECTED_IN_RESULT = ("accuracy", "loss", "val_loss")


def ranked(truth: Truth, ids: dict[tuple, str], k: int) -> list[tuple]:
    """Return the names of the evaluations with the least error; equal ones by id, as the query language sorts."""
    runs = [name for name, run in truth.runs.items() if "mse" in run.record["metrics"]]
    return sorted(runs, key=lambda name: (truth.runs[name].record["metrics"]["mse"], ids[name]))[:k]


def compare_result(truth: Truth, ids: dict[tuple, str], name: tuple, result: dict) -> Differences:
    """Compare the report on one evaluation with what its scripts noted; return what differs."""
    run, found = truth.runs[name], Differences()
    upstream = upstream_of(expected_links(truth), name)
    train = _training(truth, run)
    dataset = truth.calls["dask", train.scheduler, train.record["arguments"]["dataset"]["$key"]]

    def expect(field: str, want: object, got: object) -> None:
        found.expect(run.record["name"], field, want, got)

    expect("task", ids[name], result["task"]["id"])
    expect("value", run.record["metrics"]["mse"], result["value"])
    expect("metrics", run.record["metrics"], facts(result["metrics"]))
    expect("tasks", sorted(ids[n] for n in {*upstream, name}), sorted(_tasks(result)))
    expect("tasks of the lineage", len(upstream) + 1, result["lineage"]["tasks"])
    _compare_training(truth, ids, train, dataset, result, expect)
    _compare_plots(truth, run, upstream, result, expect)
    _compare_data(truth, ids, run, dataset, result, expect)
    settings = {
        image.run["read"]["absolute_path"] for n, image in truth.images.items() if n in upstream and image.run["read"]
    }
    expect("settings", sorted(settings), paths(result["settings"]))
    expect("trials", _discarded(truth, upstream), result["cost"]["trials_by_activity"].get("train", 0))
    expect("tasks that cost", len(upstream) + 1, result["cost"]["lineage"]["tasks"])
    return found


def _discarded(truth: Truth, upstream: set[tuple]) -> int:
    """Count the trainings that were alternatives to one of the lineage and that nobody used (docs/provenance.md)."""
    links = expected_links(truth)
    count = 0
    for name, call in truth.calls.items():
        if call.record["function"] != "train" or name in upstream:
            continue
        taken = {
            n for n in upstream & truth.calls.keys() if n[1] == name[1] and truth.calls[n].record["function"] == "train"
        }
        compare = {target for source, target in links if source in taken}
        count += bool(taken) and {target for source, target in links if source == name} <= compare
    return count


def _training(truth: Truth, run: Run) -> Call:
    """Return the call that wrote the evaluated content, by its digest: a copy has another path."""
    content = run.record["model"]["sha256"]
    writers = [c for c in truth.calls.values() if any(f.sha256 == content for f in c.written)]
    (train,) = [c for c in writers if c.record["function"] == "train"]
    return train


def _compare_training(truth, ids, train, dataset, result, expect) -> None:
    arguments, returned = train.record["arguments"], train.record["result"]
    expect("trainings", [ids[train.name]], [t["task"]["id"] for t in result["training"]])
    (training,) = result["training"]
    given = {k: v for k, v in arguments.items() if k not in ("dataset", "model_path")}
    expect("hyperparameters", given, facts(training["hyperparameters"]))
    expect("architecture", {k: given[k] for k in ("layers", "units")}, facts(training["architecture"]))
    expect("metrics", {k: returned[k] for k in EXPECTED_IN_RESULT}, facts(training["metrics"]))
    expect("split", {"train/validation split": None}, facts(training["split"]))  # it is made inside the function
    (data,) = training["datasets"]
    (written,) = dataset.written
    expect("dataset", written.path, _path(data))
    expect("dataset's digest", written.sha256, data["sha256"])
    said = {k: v for k, v in dataset.record["result"].items() if k != "dataset_path"}
    expect("dataset's metadata", said, facts(data["metadata"]))
    patches = f"({said['patches']}, {dataset.record['arguments']['patch_size'] ** 2})"
    expect("dataset's header", [("patches", patches), ("labels", f"({said['patches']},)")], _arrays(data))

    (transformation,) = result["transformations"]
    expect("transformation", ids[dataset.name], transformation["task"]["id"])
    expect(
        "its parameters",
        {"patch_size": dataset.record["arguments"]["patch_size"]},
        facts(transformation["parameters"]),
    )
    expect("its inputs", sorted(dataset.record["arguments"]["image_paths"]), sorted(transformation["inputs"]))
    expect("its outputs", [dataset.record["arguments"]["dataset_path"]], transformation["outputs"])

    model = truth.runs["mlflow", "", result["task"]["task_id"]].record["model"]
    (own,) = train.written
    steps = [
        c for c in truth.calls.values() if c.record["function"] == "publish" and model["absolute_path"] != own.path
    ]
    steps = [c for c in steps if any(f.sha256 == model["sha256"] for f in c.written)]
    expect("between", sorted(ids[c.name] for c in steps), [s["task"]["id"] for s in result["between"]])
    expect("models", sorted({own.path, model["absolute_path"]}), paths(result["models"]))
    as_they_are(
        "models", {path: model["sha256"] for path in {own.path, model["absolute_path"]}}, result["models"], expect
    )


def _compare_plots(truth, run, upstream, result, expect) -> None:
    def plots(record: dict) -> dict:
        return {f["absolute_path"]: f["sha256"] for f in record["artifacts"] if f["path"].endswith(".png")}

    earlier: dict[str, str] = {}
    for name in upstream & truth.runs.keys():
        earlier |= plots(truth.runs[name].record)
    for mine, want in ((True, plots(run.record)), (False, earlier)):
        got = {_path(p): p for p in result["plots"] if p["of_result"] is mine}
        digests = {path: hashlib.sha256(base64.b64decode(p.get("data", ""))).hexdigest() for path, p in got.items()}
        expect("plots" if mine else "earlier plots", want, digests)


def _compare_data(truth, ids, run, dataset, result, expect) -> None:
    raw = {f.path: f.sha256 for f in dataset.read}
    tested = {f["absolute_path"]: f["sha256"] for f in run.record["inputs"]}
    for field, want, files in (
        ("raw files", raw, result["raw"]["files"]),
        ("files of the evaluation", tested, result["evaluation"]["files"]),
    ):
        as_they_are(field, want, files, expect)
        arrays = [("image", "(128, 128)"), ("defects", "(128, 128)"), ("position", "(2,)")]
        expect(field + "' headers", [arrays] * len(want), [_arrays(f) for f in files])
    expect("overlap", sorted(raw.keys() & tested.keys()), result["evaluation"]["overlap"])

    images = {ids[name]: image.record for name, image in truth.images.items()}
    for step in [*result["raw"]["made_by"], *result["evaluation"]["made_by"]]:
        record, given = images[step["task"]["id"]], facts(step["parameters"])
        optics = {k.removeprefix("parameters."): v for k, v in given.items() if k.startswith("parameters.")}
        expect("the instrument's parameters", record["parameters"], optics)
        expect("image", [record["number"], record["position"]], [given["number"], given["position"]])
        expect("what it measured", record["values"], facts(step["values"]))
        expect("its file", [record["path"]], step["outputs"])
    made = [images[s["task"]["id"]] for s in result["raw"]["made_by"]]
    space = {r["name"].removeprefix("parameters."): r["values"] for r in result["raw"]["parameter_space"]}
    for parameter in made[0]["parameters"]:
        expect(f"space of {parameter}", sorted({m["parameters"][parameter] for m in made}), space[parameter])


def as_they_are(field: str, used: dict[str, str], files: list[dict], expect) -> None:
    """Files are named as they are now; that one is another than the one that was used is said."""
    now = {path: hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in used}
    expect(field, now, {_path(f): f["sha256"] for f in files})
    expect(f"{field} that changed", {p for p in used if now[p] != used[p]}, {_path(f) for f in files if "changed" in f})


def facts(listed: list[dict]) -> dict:
    """Return name → value."""
    return {f["name"]: f["value"] for f in listed}


def _arrays(file: dict) -> list[tuple]:
    return [(a["name"], a["shape"]) for a in (file["header"] or {}).get("arrays", [])]


def _path(file: dict) -> str:
    """Return the path in the identity of a file of this machine."""
    return "/" + file["entity"].partition(":/")[2]


def paths(files: list[dict]) -> list[str]:
    """Return the paths of files."""
    return sorted(_path(f) for f in files)


def _tasks(result: dict) -> list[str]:
    """Return the ids of all tasks that the report tells of, in whichever part."""
    steps = [*result["training"], *result["between"], *result["transformations"], *result["raw"]["made_by"]]
    steps += [*result["evaluation"]["made_by"], *result["earlier"]]
    return [result["task"]["id"], *(s["task"]["id"] for s in steps)]
