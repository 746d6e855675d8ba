"""The microscopy campaign, run as its users run it: activation happens outside the scripts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from .collector import EXAMPLE
from .hosts import Host

DEMO_CONFIG = EXAMPLE / "collector.yaml"


def script_environment(journal: Path | None, **more: str) -> dict[str, str]:
    """Return the environment of the scripts: Dask's own way to load a preload, and where journals lie."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MIDA_", "DASK_"))}
    env["PYTHONWARNINGS"] = "ignore"
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    if journal is not None:
        env["DASK_DISTRIBUTED__SCHEDULER__PRELOAD"] = "mida.dask_preload"
        env["MIDA_JOURNAL_DIR"] = str(journal)
    return {**env, **more}


class Running:
    """A script, or a chain of scripts, that runs in a process group of its own."""

    def __init__(self, command: list, workdir: Path, env: dict, log: Path) -> None:
        self.log_path = log
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                cwd=workdir,
                env=env,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def finish(self, timeout: float) -> None:
        """Wait for its end, which must be a good one."""
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.abandon()
            raise AssertionError(f"not done within {timeout:g} s: {self.tail()}") from None
        if code != 0:
            raise AssertionError(f"ended with {code}: {self.tail()}")

    def abandon(self) -> None:
        """End all of it at once."""
        if self.running:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def tail(self, lines: int = 40) -> str:
        """Return the end of what it printed."""
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: Any) -> None:
        self.abandon()


def start_campaign(
    workdir: Path, journal: Path | None, rounds: int = 2, seed: int = 1, host: Host | None = None, **env: str
) -> Running:
    """Start the campaign of three scripts in `workdir`, on a host if one is given."""
    command = [EXAMPLE / "run_campaign.sh", workdir, sys.executable, seed, rounds]
    return Running(
        host.command(*command) if host else command,
        workdir,
        script_environment(journal, **env),
        workdir / "campaign.log",
    )


def start_script(name: str, workdir: Path, journal: Path | None, host: Host) -> Running:
    """Start one script of the campaign's first round on a host."""
    command = [sys.executable, EXAMPLE / f"{name}.py", "--round", 1, "--seed", 1]
    more = {"MLFLOW_DISABLE_TELEMETRY": "true", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return Running(host.command(*command), workdir, script_environment(journal, **more), workdir / f"{name}.log")
