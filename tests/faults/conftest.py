"""Collect what the fault tests did, and write the report."""

from __future__ import annotations

import os
import platform
import time

import pytest

from support.collector import ROOT

REPORT = ROOT / "docs" / "faults.md"
ROWS: dict[str, str] = {}

HEAD = """# Faults: what was broken, and what was lost

Written by `make test-faults`. Each test runs the microscopy campaign (`examples/microscopy/`), breaks something
while it runs, and then compares the view with the ground truth that the scripts wrote themselves: every Dask call with
its arguments and result, every MLflow run, every image, with values and types, and every link in both directions;
nothing missing, nothing extra. A short form of both is part of `make test`.

| fault | details | compared | result | run |
|---|---|---|---|---|
"""


@pytest.fixture
def report():
    """Return a function that adds a row to the report."""

    def add(fault: str, details: str, compared: str, result: str) -> None:
        ROWS[fault] = f"| {fault} | {details} | {compared} | {result} | {where()} |\n"

    return add


def where() -> str:
    """Say when, and on what, a test ran."""
    system = f"{platform.system()} {platform.release().split('-')[0]} {platform.machine()}"
    load = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    return f"{time.strftime('%Y-%m-%d', time.gmtime())}, {system}, Python {platform.python_version()}, {load}"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the report; the row of a test that was not run stays."""
    if not ROWS:
        return
    lines = REPORT.read_text().splitlines(keepends=True) if REPORT.exists() else []
    old = {line.split(" | ")[0].removeprefix("| "): line for line in lines if line.startswith("| ")}
    old.pop("fault", None)
    REPORT.write_text(HEAD + "".join({**old, **ROWS}.values()))
