"""Real OpenSearch and Elasticsearch nodes, by tools/servers/search.sh."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from .collector import ROOT, free_port
from .poll import until

SCRIPT = ROOT / "tools" / "servers" / "search.sh"


class SearchServer:
    """One node with its data; it can be killed and started again on its port.

    Settings make it one of a cluster.
    """

    def __init__(self, kind: str, directory: Path, **settings: str) -> None:
        for tool in ("java", "javac", "mvn"):
            if not shutil.which(tool):
                message = f"no {tool} on the PATH: not tested on a real {kind}"
                if os.environ.get("CI"):
                    pytest.fail(message)
                pytest.skip(message)
        self.kind, self.directory, self.port = kind, directory, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._settings = [f"{key}={value}" for key, value in settings.items()]
        subprocess.run([SCRIPT, "get", kind], check=True, timeout=600)

    @property
    def pid(self) -> int:
        return int((self.directory / "pid").read_text())

    def start(self) -> SearchServer:
        """Start it and return once it answers."""
        # About one start in forty hangs inside the server itself; such a one is ended and tried again.
        for _ in range(3):
            done = subprocess.run(
                [SCRIPT, "start", self.kind, self.directory, str(self.port), *self._settings],
                capture_output=True,
                text=True,
                timeout=400,
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

    def pids(self) -> list[int]:
        """Return its process."""
        return [self.pid]

    def stop(self) -> None:
        """Ask it to end, and wait for that."""
        os.kill(self.pid, signal.SIGTERM)
        until(lambda: not Path(f"/proc/{self.pid}").exists(), 180, "the end of the server")

    def __enter__(self) -> SearchServer:
        return self

    def __exit__(self, *_: object) -> None:
        if (self.directory / "pid").exists():
            subprocess.run([SCRIPT, "stop", self.directory], check=False, timeout=60)


class SearchCluster:
    """Three OpenSearch nodes on one machine, each with the data of the others."""

    def __init__(self, directory: Path, size: int = 3) -> None:
        ports = [free_port() for _ in range(size)]
        names = [f"node-{i}" for i in range(1, size + 1)]
        common = {
            "discovery.type": "zen",
            "discovery.seed_hosts": ",".join(f"127.0.0.1:{port}" for port in ports),
            "cluster.initial_cluster_manager_nodes": ",".join(names),
        }
        self.nodes = [
            SearchServer("opensearch", directory / name, **{**common, "node.name": name, "transport.port": str(port)})
            for name, port in zip(names, ports, strict=True)
        ]

    @property
    def urls(self) -> list[str]:
        """Addresses of all nodes."""
        return [node.url for node in self.nodes]

    def _each(self, what: Callable[[SearchServer], object]) -> None:
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            list(pool.map(what, self.nodes))

    def start(self) -> SearchCluster:
        """Start all nodes, and return once all are in the cluster."""
        self._each(SearchServer.start)
        return self.ready()

    def ready(self) -> SearchCluster:
        """Return once all nodes are in the cluster, and hold what they should."""

        def whole() -> bool:
            health = self.health()
            assert health["number_of_nodes"] == len(self.nodes) and health["status"] == "green", health
            return True

        until(whole, 300, "a whole cluster", interval=0.5)
        return self

    def health(self) -> dict:
        """Return what the first node that answers says of the cluster."""
        for url in self.urls:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/_cluster/health", timeout=10) as answer:
                return json.load(answer)
        raise AssertionError("no node answers")

    def pids(self) -> list[int]:
        """Return the processes of all nodes."""
        return [node.pid for node in self.nodes]

    def kill(self) -> None:
        """End all nodes at once."""
        self._each(SearchServer.kill)

    def stop(self) -> None:
        """Ask all nodes to end."""
        self._each(SearchServer.stop)

    def __enter__(self) -> SearchCluster:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self._each(SearchServer.__exit__)
