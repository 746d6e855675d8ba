"""The links that must be there, derived from the ground truth by content and time; and no other."""

from __future__ import annotations

import dataclasses

from .compare import identify
from .truth import Truth, seconds
from .view import Link, View


@dataclasses.dataclass
class Generation:
    """A version of a file: who wrote it, when, with which content."""

    name: tuple
    at: float
    sha256: str


def generations(truth: Truth) -> dict[str, list[Generation]]:
    """Return all versions of each file that a task wrote, oldest first."""
    found: dict[str, list[Generation]] = {}
    for name, call in truth.calls.items():
        for use in call.written:
            found.setdefault(use.path, []).append(Generation(name, use.at, use.sha256))
    for name, image in truth.images.items():
        record = image.record
        if record["status"] == "saved":
            at = seconds(record["at"])
            found.setdefault(record["absolute_path"], []).append(Generation(name, at, record["sha256"]))
    for name, run in truth.runs.items():
        for file in run.record["artifacts"]:
            at = seconds(file["at"])
            found.setdefault(file["absolute_path"], []).append(Generation(name, at, file["sha256"]))
    for versions in found.values():
        versions.sort(key=lambda g: g.at)
    return found


def writer(versions: list[Generation], sha256: str, at: float) -> tuple | None:
    """Return who wrote the version that was read; its content must be the one that was read."""
    before = [g for g in versions if g.at <= at]
    if not before:
        return None
    newest = before[-1]
    assert newest.sha256 == sha256, f"{newest.name} wrote another content than was read"
    return newest.name


def expected_links(truth: Truth) -> dict[tuple, str]:
    """Return (who generated, who used) → why."""
    versions = generations(truth)
    links: dict[tuple, str] = {}

    def read(name: tuple, path: str, sha256: str, at: float) -> None:
        source = writer(versions.get(path, []), sha256, at)
        if source is not None and source != name:
            links.setdefault((source, name), f"read {path}")

    for name, call in truth.calls.items():
        for argument, value in call.record["arguments"].items():
            if isinstance(value, dict) and "$key" in value:
                links[("dask", call.scheduler, value["$key"]), name] = f"argument {argument}"
        for use in call.read:
            read(name, use.path, use.sha256, use.at)
    for name, run in truth.runs.items():
        model = run.record.get("model")
        for file in [*run.record["inputs"], *([model] if model else [])]:
            read(name, file["absolute_path"], file["sha256"], seconds(file["at"]))
    for name, image in truth.images.items():
        chosen = image.run.get("read")
        if chosen:
            links.setdefault((("mlflow", "", chosen["run_id"]), name), "chose the position")
    return links


def compare_links(truth: Truth, view: View, links: list[Link]) -> list[str]:
    """Compare the view's links with those that must be there; return what differs, in both directions."""
    pairs, _ = identify(truth, view)
    names = {task["id"]: name for name, task in pairs.items()}
    want = expected_links(truth)
    got: dict[tuple, list[Link]] = {}
    differences = []
    for link in links:
        ends = (names.get(link.source), names.get(link.target))
        if None in ends:
            differences.append(f"a link from or to an unknown task: {link}")
        else:
            got.setdefault(ends, []).append(link)
    for (source, target), why in want.items():
        if (source, target) not in got:
            differences.append(f"missing link: {show(source, truth)} → {show(target, truth)}: {why}")
    for (source, target), found in got.items():
        if (source, target) not in want:
            evidence = ", ".join(f"{link.evidence} {link.entity}" for link in found)
            differences.append(f"extra link: {show(source, truth)} → {show(target, truth)}: {evidence}")
        elif all(link.doubt for link in found):
            doubts = [link.doubt for link in found]
            differences.append(f"a doubtful link: {show(source, truth)} → {show(target, truth)}: {doubts}")
    return differences


def upstream_of(links: dict[tuple, str], name: tuple) -> set[tuple]:
    """Return everything that a task came from, through any number of steps."""
    found: set[tuple] = set()
    stack = [name]
    while stack:
        here = stack.pop()
        for source, target in links:
            if target == here and source not in found:
                found.add(source)
                stack.append(source)
    return found


def show(name: tuple, truth: Truth) -> str:
    """Return a name as people read it."""
    if name in truth.images:
        record = truth.images[name].record
        return f"image {record['number']} of round {record['round']}"
    if name in truth.runs:
        record = truth.runs[name].record
        return f"evaluation {record['name']} of round {record['round']}"
    if name in truth.calls:
        record = truth.calls[name].record
        return f"{record['key'][:24]} of round {record['round']}"
    return str(name)
