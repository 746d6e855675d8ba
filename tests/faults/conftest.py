"""Collect what the fault tests did, and write the report."""

from __future__ import annotations

import os
import platform
import time

import pytest

from support.collector import ROOT

REPORT = ROOT / "docs" / "faults.md"
ROWS: list[tuple[str, str, str, str]] = []

HEAD = """# Faults: what was broken, and what was lost

Written by `make test-faults`. Each test runs the microscopy campaign (`examples/microscopy/`), breaks something
while it runs, and then compares the view with the ground truth that the scripts wrote themselves: every Dask call with
its arguments and result, every MLflow run, every image, with values and types, and every link in both directions;
nothing missing, nothing extra. A short form of both is part of `make test`.

| fault | details | compared | result |
|---|---|---|---|
"""


@pytest.fixture
def report():
    """Return a function that adds a row to the report."""

    def add(fault: str, details: str, compared: str, result: str) -> None:
        ROWS.append((fault, details, compared, result))

    return add


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the report when something was tested."""
    if not ROWS:
        return
    rows = "".join(f"| {' | '.join(row)} |\n" for row in ROWS)
    when = time.strftime("%Y-%m-%d", time.gmtime())
    system = f"{platform.system()} {platform.release().split('-')[0]}, {platform.machine()}"
    where = f"{system}, Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    REPORT.write_text(f"{HEAD}{rows}\nRun on {when}, {where}.\n")
