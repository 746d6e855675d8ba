"""Real OpenSearch and Elasticsearch nodes, by tools/servers/search.sh."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from .collector import ROOT, free_port
from .poll import until

SCRIPT = ROOT / "tools" / "servers" / "search.sh"


class SearchServer:
    """One node with its data; it can be killed and started again on its port."""

    def __init__(self, kind: str, directory: Path) -> None:
        for tool in ("java", "javac", "mvn"):
            if not shutil.which(tool):
                message = f"no {tool} on the PATH: not tested on a real {kind}"
                if os.environ.get("CI"):
                    pytest.fail(message)
                pytest.skip(message)
        self.kind, self.directory, self.port = kind, directory, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        subprocess.run([SCRIPT, "get", kind], check=True, timeout=600)

    @property
    def pid(self) -> int:
        return int((self.directory / "pid").read_text())

    def start(self) -> SearchServer:
        """Start it and return once it answers."""
        # About one start in forty hangs inside the server itself; such a one is ended and tried again.
        for _ in range(3):
            done = subprocess.run(
                [SCRIPT, "start", self.kind, self.directory, str(self.port)],
                capture_output=True,
                text=True,
                timeout=180,
                check=False,
            )
            if done.returncode == 0:
                return self
            print(done.stderr)
            if Path(f"/proc/{self.pid}").exists():
                self.kill()
        raise AssertionError(f"{self.kind} does not start:\n{done.stderr}")

    def kill(self) -> None:
        """End it as a power cut would."""
        os.kill(self.pid, signal.SIGKILL)
        until(lambda: not Path(f"/proc/{self.pid}").exists(), 60, "the end of the killed server")

    def __enter__(self) -> SearchServer:
        return self

    def __exit__(self, *_: object) -> None:
        if (self.directory / "pid").exists():
            subprocess.run([SCRIPT, "stop", self.directory], check=False, timeout=60)
