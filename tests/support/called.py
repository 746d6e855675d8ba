"""What tests/faults/scripts/many.py noted of its calls, and how a view and its completeness are judged by that."""

from __future__ import annotations

import collections
import dataclasses
from pathlib import Path

import mida

from .collector import read_json_lines
from .ids import task_id

CAMPAIGN = "faults"
SHOWN = [
    "id",
    "task_id",
    "scope",
    "status",
    "campaign_id",
    "workflow_id",
    "activity_id",
    "used",
    "generated",
    "error.type",
]


@dataclasses.dataclass
class Called:
    """The calls that ran to their end, by the task's unique id; several lines are several executions."""

    calls: dict[str, list[dict]]
    schedulers: dict[str, str]  # of each session
    results: set[str]  # of which calls the program got the result


def read_called(notes: Path) -> Called:
    """Read the notes."""
    sessions = [read_json_lines(p)[0] for p in notes.glob("session-*.jsonl")]
    schedulers = {s["session"]: s["scheduler"] for s in sessions}
    calls: dict[str, list[dict]] = collections.defaultdict(list)
    for path in notes.glob("calls-*.jsonl"):
        for line in read_json_lines(path):
            key = f"measure-{line['session']}-{line['number']}"
            calls[task_id("dask", schedulers[line["session"]], key)].append(line)
    results = set()
    for path in notes.glob("results-*.jsonl"):
        for line in read_json_lines(path):
            key = f"measure-{line['session']}-{line['number']}"
            name = task_id("dask", schedulers[line["session"]], key)
            same = calls[name]
            assert same and all(c["result"] == line["result"] for c in same), f"the notes disagree: {line}, {same}"
            results.add(name)
    return Called(dict(calls), schedulers, results)


@dataclasses.dataclass
class Comparison:
    """What differs between the notes and the view."""

    missing: dict[str, list[dict]]  # calls that ran to their end and are not in the view as such
    cancelled: int  # calls that ran to their end when Dask had given them up: nobody got the result
    doubled: int
    wrong: list[str]


def compare(called: Called, rows: list[dict], whole: set[str]) -> Comparison:
    """Compare all calls with all rows of the view.

    Parameters
    ----------
    whole : set
        Sessions of which all is known, what only the scheduler knows too.
    """
    found = {row["id"]: row for row in rows}
    names = {(row["scope"], row["task_id"]) for row in rows}
    out = Comparison({}, 0, len(rows) - min(len(found), len(names)), [])
    for name, row in found.items():
        if row["status"] == "FINISHED" and name not in called.calls:
            out.wrong.append(f"it never ran to its end: {row}")
    for name, lines in called.calls.items():
        row, line = found.get(name), lines[0]
        # Only a worker knows what went in.
        if row is None or not row.get("used") or not (row["status"] in ("FINISHED", "CANCELLED") or _lost(row)):
            out.missing[name] = lines
            continue
        want = {
            "used": {"number": line["number"], "session": line["session"]},
            "generated": line["result"],
            "scope": called.schedulers[line["session"]],
            "activity_id": "measure",
            "campaign_id": CAMPAIGN,
            "status": "FINISHED",
        }
        if row["status"] != "FINISHED" and name not in called.results:
            out.cancelled += 1
            want["status"] = row["status"]
            # A worker that closed meanwhile did not see the result.
            want["generated"] = row.get("generated") and want["generated"]
        got = {k: row.get(k) for k in want}
        got["used"] = {k: v for k, v in row["used"].items() if k != "notes"}
        if got != want:
            out.wrong.append(f"want {want}, got {row}")
        elif line["session"] in whole and not row.get("workflow_id"):
            out.wrong.append(f"no workflow: {row}")
    return out


def _lost(row: dict) -> bool:
    """Whether a call went with its worker, which was ended by a signal while it ran."""
    return row["status"] == "FAILED" and row.get("error.type") == "worker_lost"


def read_rows(client: mida.Client) -> list[dict]:
    """Read all Dask tasks of the view, no more of each than is compared."""
    return client.query(projection=SHOWN, filter={"kind": "dask"})


def recorded(client: mida.Client) -> int:
    """Count the tasks of which the view shows what went into them."""
    filter = {"kind": "dask", "used.number": {"$exists": True}}
    return client.page({"filter": filter, "projection": ["id"], "limit": 1})["total"]


def pid_of(observer: str) -> int:
    """Return the process of an observer of Dask: role.host.pid.start.random."""
    return int(observer.split(".")[-3])
