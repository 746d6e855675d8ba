"""Everything that a job and its observation consist of, broken in every way, during 50,000 calls."""

from __future__ import annotations

import os
import time

import pytest

from support.breaking import FAULTS, WITH_SEARCH, run_cell
from support.report import add_row
from support.servers import SearchCluster

TASKS = int(os.environ.get("MIDA_FAULT_TASKS") or 50_000)
STOPPED = float(os.environ.get("MIDA_FAULT_STOPPED") or 360)
CELLS = [(fault, how) for fault, (_, _, hows) in FAULTS.items() for how in hows]


def marks(fault: str) -> list:
    """Return what a fault needs."""
    return [pytest.mark.mounts] if "disk" in fault else []


@pytest.fixture(scope="session")
def search(tmp_path_factory):
    """Start three search nodes, which serve all cells that need them, each with indices of its own."""
    with SearchCluster(tmp_path_factory.mktemp("search")) as cluster:
        yield cluster


@pytest.mark.parametrize(
    ("fault", "how"), [pytest.param(*cell, marks=marks(cell[0]), id="-".join(cell)) for cell in CELLS]
)
def test_cell(tmp_path, request, fault, how):
    """Nothing shows twice, and all that happened is in the view, or completeness says what is not."""
    said, began = [], time.monotonic()
    row = [f"{TASKS}", "", "", "", "", ""]
    try:
        nodes = request.getfixturevalue("search") if fault in WITH_SEARCH else None
        verdict = run_cell(tmp_path, fault, how, TASKS, STOPPED, said, nodes)
        row = verdict.cells()
    except BaseException as error:
        reason = str(error).splitlines()[0][:300] if str(error) else ""
        row[-1] = f"**FAILED**: {type(error).__name__}: {reason}"
        raise
    finally:
        said.append(f"{time.monotonic() - began:.0f} s in all")
        add_row("matrix", [f"{fault} {how}", "; ".join(said), *row])
    assert not verdict.problems, "\n".join(verdict.problems)
