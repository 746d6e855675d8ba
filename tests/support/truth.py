"""What really happened in a campaign: the lab books that its scripts keep, joined by run."""

from __future__ import annotations

import dataclasses
import re
from datetime import datetime
from pathlib import Path
from typing import Any

from .collector import read_json_lines


def seconds(iso: str) -> float:
    """Return a time of the lab book as seconds since 1970."""
    return datetime.fromisoformat(iso).timestamp()


@dataclasses.dataclass
class FileUse:
    """One file as a script read or wrote it."""

    path: str
    sha256: str
    at: float

    @classmethod
    def of(cls, record: dict) -> FileUse:
        """Make one of a record of the lab book."""
        return cls(record["absolute_path"], record["sha256"], seconds(record["at"]))


@dataclasses.dataclass
class Call:
    """One call that a script made on Dask, with what it read and wrote."""

    scheduler: str
    client: str
    record: dict
    read: list[FileUse] = dataclasses.field(default_factory=list)
    written: list[FileUse] = dataclasses.field(default_factory=list)

    @property
    def name(self) -> tuple:
        """Its identity: tool, scope, key."""
        return ("dask", self.scheduler, self.record["key"])


@dataclasses.dataclass
class Run:
    """One run of MLflow."""

    record: dict

    @property
    def name(self) -> tuple:
        """Its identity: tool, scope, key."""
        return ("mlflow", "", self.record["run_id"])


@dataclasses.dataclass
class Image:
    """One exposure of the microscope, and the lines of the log that tell about it."""

    record: dict
    run: dict
    logged_start: float
    logged_end: float

    @property
    def name(self) -> tuple:
        """Its identity: number and start of the run."""
        return ("log", self.record["run_start"], self.record["number"])


@dataclasses.dataclass
class Truth:
    """All of a campaign."""

    workdir: Path
    calls: dict[tuple, Call]
    runs: dict[tuple, Run]
    images: dict[tuple, Image]

    @property
    def activities(self) -> int:
        """Number of tasks that the view must hold."""
        return len(self.calls) + len(self.runs) + len(self.images)


def read_truth(workdir: Path) -> Truth:
    """Read the lab books of a working directory."""
    books = {b: read_json_lines(workdir / "truth" / f"{b}.jsonl") for b in ("search", "evaluate", "acquire")}
    runs = [Run(r) for r in books["evaluate"]]
    return Truth(
        workdir=workdir,
        calls=_calls(books["search"]),
        runs={r.name: r for r in runs},
        images=_images(books["acquire"], workdir / "logs" / "acquire.log"),
    )


def _calls(records: list[dict]) -> dict[tuple, Call]:
    schedulers = {r["scheduler_address"]: r for r in records if r["record"] == "run"}
    assert len(schedulers) == len([r for r in records if r["record"] == "run"]), "an address was used twice"
    by_start = {r["run_start"]: r for r in records if r["record"] == "run"}
    calls = {}
    for record in records:
        if record["record"] == "call":
            run = by_start[record["run_start"]]
            call = Call(run["scheduler"], run["client"], record)
            assert call.name not in calls, f"{call.name} was called twice"
            calls[call.name] = call
    for record in records:
        if record["record"] == "files":
            call = calls["dask", schedulers[record["scheduler_address"]]["scheduler"], record["key"]]
            call.read += [FileUse.of(f) for f in record["read"]]
            call.written += [FileUse.of(f) for f in record["written"]]
    return calls


def _images(records: list[dict], log: Path) -> dict[tuple, Image]:
    runs = {r["run_start"]: r for r in records if r["record"] == "run"}
    taken = [r for r in records if r["record"] == "image"]
    lines = _image_lines(log)
    assert len(lines) == len(taken), f"{len(lines)} exposures in the log, {len(taken)} in the lab book"
    images = {}
    for record, (number, start, end) in zip(taken, lines, strict=True):
        assert record["number"] == number, f"image {number} of the log is {record['number']} in the lab book"
        image = Image(record, runs[record["run_start"]], start, end)
        images[image.name] = image
    return images


def _image_lines(log: Path) -> list[tuple]:
    """Return number, start and end of each exposure, as the log tells them, in its order."""
    exposures: list[list[Any]] = []
    form = re.compile(r"(\S+ \S+),(\d{3}) \w+ microscope\.camera: image (\d+): (exposure|saved|aborted)")
    for line in log.read_text().splitlines() if log.exists() else []:
        if not (match := form.match(line)):
            continue
        at = datetime.strptime(match[1], "%Y-%m-%d %H:%M:%S").timestamp() + int(match[2]) / 1000
        if match[4] == "exposure":
            exposures.append([int(match[3]), at, None])
        else:
            exposures[-1][2] = at
    return [tuple(e) for e in exposures]
