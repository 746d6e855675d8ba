"""The configurations that we hand out are valid for the binary that we build."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
READY = ROOT / "distributions" / "otelcol-mida"
BINARY = os.environ.get("MIDA_BIN", str(ROOT / "bin" / "otelcol-mida"))
RULES = "rules: [{name: saved, match: 'saved {path:path}', whole_task: save, task: '{path}', generated: [path]}]\n"


@pytest.mark.parametrize("overlays", [[], ["logs"], ["otlp"], ["logs", "otlp"]], ids="+".join)
def test_ready_configurations_are_valid(tmp_path, overlays):
    """laptop.yaml, alone and with each of the files that add to it."""
    (tmp_path / "rules.yaml").write_text(RULES)
    command = [BINARY, "validate"]
    for name in ["laptop", *overlays]:
        command += ["--config", str(READY / f"{name}.yaml")]
    env = dict(os.environ, MIDA_OTLP_TOKEN="a-token")
    result = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr


def test_every_ready_configuration_is_tried():
    """A new file in the folder needs a case above."""
    assert {p.stem for p in READY.glob("*.yaml")} == {"laptop", "logs", "otlp"}
