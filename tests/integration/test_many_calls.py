"""Two cells of the fault matrix in short form: a job that ends as Slurm ends it, and a full disk below the journals."""

from __future__ import annotations

import pytest

from support.breaking import run_cell

CALLS = 2000


@pytest.mark.parametrize(
    ("fault", "how"),
    [("job", "restarted"), pytest.param("full-journal-disk", "stopped", marks=pytest.mark.mounts)],
)
def test_nothing_is_lost(tmp_path, fault, how):
    """Nobody was killed by force, so nothing may be missing, and completeness must say so."""
    said: list[str] = []
    verdict = run_cell(tmp_path, fault, how, CALLS, 3, said)
    print(said, verdict.cells())
    assert not verdict.problems, "\n".join(verdict.problems)
    assert not verdict.comparison.missing and verdict.completeness["state"] == "complete", verdict.words()
