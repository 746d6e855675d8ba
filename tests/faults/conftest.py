"""The report of the fault tests."""

from __future__ import annotations

import pytest

from support.report import add_row


@pytest.fixture
def report():
    """Return a function that adds a row about a fault of a campaign to the report."""

    def add(fault: str, details: str, compared: str, result: str) -> None:
        add_row("campaign", [fault, details, compared, result])

    return add
