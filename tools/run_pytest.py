"""Run pytest; in CI (CI=true) a run that skips a test, for whatever reason, fails."""

from __future__ import annotations

import os
import sys

import pytest


class NoSkips:
    """Plugin that turns a passing run with skipped tests into a failing one."""

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Count what was skipped before the closing line is written."""
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is None or session.exitstatus != pytest.ExitCode.OK:
            return
        if skipped := reporter.stats.get("skipped"):
            reporter.write_line(f"CI accepts no skipped test: {len(skipped)}", red=True)
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


if __name__ == "__main__":
    in_ci = os.environ.get("CI") == "true"
    sys.exit(pytest.main(sys.argv[1:], plugins=[NoSkips()] if in_ci else []))
