"""Everything that a job and its observation consist of, broken in every way, during 50,000 calls."""

from __future__ import annotations

import os
import time

import pytest
from breaking import FAULTS

from support.poll import until
from support.report import add_row
from support.verdict import judge

TASKS = int(os.environ.get("MIDA_FAULT_TASKS") or 50_000)
CELLS = [(fault, how) for fault, (_, _, hows) in FAULTS.items() for how in hows]


def marks(fault: str) -> list:
    """Return what a fault needs."""
    return [pytest.mark.mounts] if "disk" in fault else []


@pytest.mark.parametrize(
    ("fault", "how"), [pytest.param(*cell, marks=marks(cell[0]), id="-".join(cell)) for cell in CELLS]
)
def test_cell(tmp_path, fault, how):
    """Nothing shows twice, and all that happened is in the view, or completeness says what is not."""
    system_of, break_it, _ = FAULTS[fault]
    name, began, said = f"{fault} {how}", time.monotonic(), ""
    try:
        with system_of(tmp_path, TASKS) as system:
            until(lambda: system.job.results() >= TASKS // 5, 900, "a fifth of the results", interval=0.5)
            said = break_it(system, how)
            again = system.job.finish(600)
            if again:
                said += f"; the user had to start the job again ({again} times)"
            system.job.stop()
            verdict = judge(system, time.monotonic(), 900)
    except BaseException as error:
        reason = str(error).splitlines()[0][:300] if str(error) else ""
        add_row("matrix", [name, said, f"{TASKS}", "", "", "", "", f"**FAILED**: {type(error).__name__}: {reason}"])
        raise
    said += f"; {time.monotonic() - began:.0f} s in all"
    add_row("matrix", [name, said, *verdict.cells()])
    assert not verdict.problems, "\n".join(verdict.problems)
