"""Run pytest; in CI (CI=true) a run that leaves out a test it was not told to leave out fails."""

from __future__ import annotations

import os
import sys

import pytest


class NoSkips:
    """Plugin that turns a passing run that left out tests into a failing one."""

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Count what was skipped before the closing line is written."""
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is None or session.exitstatus != pytest.ExitCode.OK:
            return
        left_out = list(reporter.stats.get("skipped", []))
        if not (session.config.option.markexpr or session.config.option.keyword):
            # What needs root or a GPU is left out without it, and tests/conftest.py says so.
            left_out += [
                i
                for i in reporter.stats.get("deselected", [])
                if not (i.get_closest_marker("two_users") or i.get_closest_marker("gpu"))
            ]
        if left_out:
            reporter.write_line(f"CI leaves out no test, but {len(left_out)} were", red=True)
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


if __name__ == "__main__":
    in_ci = os.environ.get("CI") == "true"
    sys.exit(pytest.main(sys.argv[1:], plugins=[NoSkips()] if in_ci else []))
