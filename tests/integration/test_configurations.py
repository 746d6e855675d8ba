"""The configurations that we hand out are valid for the binary that we build."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from support.collector import Collector

ROOT = Path(__file__).resolve().parents[2]
READY = ROOT / "distributions" / "otelcol-mida"
BINARY = os.environ.get("MIDA_BIN", str(ROOT / "bin" / "otelcol-mida"))
RULES = "rules: [{name: saved, match: 'saved {path:path}', whole_task: save, task: '{path}', generated: [path]}]\n"


VALID = [
    ["laptop"],
    ["laptop", "logs"],
    ["laptop", "otlp"],
    ["laptop", "metrics"],
    ["laptop", "samples"],
    ["laptop", "elasticsearch"],
    ["laptop", "logs", "otlp", "metrics", "elasticsearch"],
    ["agent-otlp"],
    ["agent-otlp", "logs", "metrics"],
    ["gateway-otlp"],
    ["gateway-otlp", "gateway-journal", "metrics"],
    ["agent-kafka"],
    ["agent-kafka", "logs", "metrics"],
    ["integrator-kafka"],
    ["integrator-kafka", "metrics", "elasticsearch"],
]


@pytest.mark.parametrize("names", VALID, ids="+".join)
def test_ready_configurations_are_valid(tmp_path, names):
    """Each alone, and with the files that add to it."""
    (tmp_path / "rules.yaml").write_text(RULES)
    command = [BINARY, "validate"]
    for name in names:
        command += ["--config", str(READY / f"{name}.yaml")]
    env = dict(os.environ, MIDA_OTLP_TOKEN="a-token")
    result = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr


def test_every_ready_configuration_is_tried():
    """A new file in the folder needs a case above."""
    assert {p.stem for p in READY.glob("*.yaml")} == {name for names in VALID for name in names}


@pytest.mark.skipif(not os.path.isdir("/proc/net"), reason="open ports are read from /proc")
@pytest.mark.parametrize("overlays", [[], ["logs"], ["metrics"]], ids="+".join)
def test_which_ports_are_open(tmp_path, overlays):
    """The query port alone, which asks for a token; the collector's metrics are where nobody asked for them nowhere."""
    (tmp_path / "rules.yaml").write_text(RULES)
    with Collector(tmp_path, [READY / f"{name}.yaml" for name in ["laptop", *overlays]]) as collector:
        wanted = {collector.query_port}
        if "metrics" in overlays:
            wanted.add(collector.metrics_port)
            assert collector.metric("process_uptime") >= 0
        assert listening(collector.pid) == wanted


def listening(pid: int) -> set[int]:
    """Return the TCP ports on which a process listens."""
    sockets = set()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        try:
            sockets.add(os.readlink(fd))
        except FileNotFoundError:
            continue  # closed meanwhile
    ports = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            local, state, inode = (line.split()[i] for i in (1, 3, 9))
            if state == "0A" and f"socket:[{inode}]" in sockets:
                ports.add(int(local.rpartition(":")[2], 16))
    return ports
