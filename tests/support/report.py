"""docs/faults.md: one row a fault, each written when its test ends; the rows of tests that were not run stay."""

from __future__ import annotations

import fcntl
import os
import platform
import re
import time

from .collector import ROOT

REPORT = ROOT / "docs" / "faults.md"

CAMPAIGN_HEAD = """# Faults: what was broken, and what was lost

Written by `make test-faults`, each row by one test; a test that was not run keeps its row.

## Of a campaign

The microscopy campaign (`examples/microscopy/`) runs, something is broken meanwhile, and the view is compared with the
ground truth that the scripts wrote themselves: every Dask call with its arguments and result, every MLflow run, every
image, with values and types, and every link in both directions; nothing missing, nothing extra. A short form of both is
part of `make test`.

| fault | details | compared | result | run |
|---|---|---|---|---|
"""

MATRIX_HEAD = """
## The matrix

Each row: a Dask cluster of its own (a scheduler, two workers with their nannies, a client) makes many small calls;
after a fifth of them something is broken; the last fifth is made when that is over. Each call noted itself on disk at
its end (one appended line), the client what it got as results. At the end

- *missing*: calls that ran to their end and that the view does not show as finished with their values. *Given up by
  Dask* are calls that ran on while the cluster closed: nobody got the result, and the view must call them cancelled, or
  lost with their worker where a signal ended that;
- *doubled*: tasks that the view shows more than once;
- *completeness*: what `GET /api/v1/completeness` says. *unknown* are observers whose processes were killed by force, so
  that they could not say that they had ended. All others must be complete, unless they name what they lost.

A row fails when a task shows twice, a value differs, something is missing that completeness does not state, an
observer that ended well is called anything but complete without naming a range, or one that was killed is called
complete. What a killed process held in memory may be missing (at most 100 ms of records; the table says how long
before the kill the oldest missing call had ended); the campaign must not be called complete then. Nobody helps:
collectors, Kafka and OpenSearch recover by themselves, and *view complete* is the time that takes after everything
else has ended.

*Killed* is `kill -9`; what does not come back by itself is started 10 s later. *Stopped* is SIGSTOP, then SIGCONT.
*Restarted* is SIGTERM, and a start 10 s after the end. Workers, scheduler, job and full disks are observed by one
collector with SQLite (`laptop.yaml`). Agent and broker: `agent-kafka.yaml`, a broker, an integrator with SQLite. The
rest: two integrators and three OpenSearch nodes, where each index has one replica; messages have no keys, so that parts
of one task go to any integrator.

| fault | what happened | calls | missing | doubled | completeness | view complete | result | run |
|---|---|---|---|---|---|---|---|---|
"""


def add_row(table: str, cells: list[str]) -> None:
    """Write a row into a table, ``campaign`` or ``matrix``, in place of the one that begins with the same cell."""
    row = "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in [*cells, where()]) + " |\n"
    with _locked():
        tables = _read()
        tables[table][cells[0]] = row
        REPORT.write_text(_text(tables))


def _text(tables: dict[str, dict[str, str]]) -> str:
    text = CAMPAIGN_HEAD + "".join(tables["campaign"].values())
    rows = [tables["matrix"][name] for name in sorted(tables["matrix"])]
    if rows:
        text += MATRIX_HEAD + "".join(rows)
        seconds = sum(int(found) for row in rows for found in re.findall(r"(\d+) s in all", row))
        text += f"\nOne after the other, these {len(rows)} rows take {seconds / 3600:.1f} hours.\n"
    return text


def _read() -> dict[str, dict[str, str]]:
    tables: dict[str, dict[str, str]] = {"campaign": {}, "matrix": {}}
    table = tables["campaign"]
    for line in REPORT.read_text().splitlines(keepends=True) if REPORT.exists() else []:
        if line.startswith("## The matrix"):
            table = tables["matrix"]
        name = line.split(" | ")[0].removeprefix("| ")
        if line.startswith("| ") and name != "fault":
            table[name] = line
    return tables


class _locked:
    """Several test runs write at a time."""

    def __enter__(self) -> None:
        self._directory = os.open(REPORT.parent, os.O_RDONLY)
        fcntl.flock(self._directory, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self._directory)


def where() -> str:
    """Say when, and on what, a test ran."""
    system = f"{platform.system()} {platform.release().split('-')[0]} {platform.machine()}"
    load = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    return f"{time.strftime('%Y-%m-%d', time.gmtime())}, {system}, Python {platform.python_version()}, {load}"
