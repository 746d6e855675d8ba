"""docs/getting-started.md, followed to the letter: an empty virtual environment, the wheel, yesterday's work."""

from __future__ import annotations

import os
import platform
import re
import signal
import subprocess
import sys
import venv
from pathlib import Path

from support.campaign import script_environment
from support.collector import ROOT, binary
from support.poll import until

GO_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}
PAGE = ROOT / "docs" / "getting-started.md"
YESTERDAY = """
import datetime, os, pathlib, mlflow
base = datetime.datetime.now() - datetime.timedelta(days=1)
at = lambda seconds: (base + datetime.timedelta(seconds=seconds))
pathlib.Path("images").mkdir()
pathlib.Path("logs").mkdir()
with open("logs/acquire.log", "w") as log:
    for n in range(1, 6):
        path = f"images/img_{n}.npz"
        pathlib.Path(path).write_bytes(bytes(100 * n))
        os.utime(path, (at(n).timestamp(),) * 2)
        log.write(f"{at(n):%Y-%m-%d %H:%M:%S},104 INFO image {n}: saved {path} defects={20 + n}\\n")
client = mlflow.MlflowClient("sqlite:///mlflow.db")
experiment = client.create_experiment("evaluation")
for n in range(1, 6):
    run = client.create_run(experiment, start_time=int(at(100 + n).timestamp() * 1000))
    client.log_param(run.info.run_id, "image", f"images/img_{n}.npz")
    client.log_metric(run.info.run_id, "mse", abs(n - 3) / 10, timestamp=int(at(100 + n).timestamp() * 1000))
    client.set_terminated(run.info.run_id, end_time=int(at(101 + n).timestamp() * 1000))
"""


def blocks(language: str) -> list[str]:
    """Return the code blocks of the page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def test_page_leads_to_a_linked_answer(tmp_path):
    """Every command of the page up to the lineage, with the files that it shows, and nothing besides."""
    wheels = tmp_path / "wheels"
    make = [
        sys.executable,
        ROOT / "tools" / "wheel.py",
        "--program",
        binary(),
        "--platform",
        this_platform(),
        "--out",
        wheels,
    ]
    subprocess.run([str(part) for part in make], check=True, timeout=300)
    venv.create(tmp_path / "empty", with_pip=True)
    work = tmp_path / "work"
    work.mkdir()
    env = {
        "PATH": f"{tmp_path / 'empty' / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin",
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    subprocess.run(
        [sys.executable, "-c", YESTERDAY],
        cwd=work,
        env=script_environment(None, MLFLOW_DISABLE_TELEMETRY="true"),
        check=True,
        timeout=300,
    )
    for text in blocks("yaml"):
        (work / text.split("\n", 1)[0].removeprefix("# ")).write_text(text)
    assert {p.name for p in work.glob("*.yaml")} == {"mida.yaml", "rules.yaml"}

    install, up, ask, trace = blocks("sh")
    (wheel,) = wheels.glob("*.whl")
    shell(re.sub(r"mida-\S+\.whl", str(wheel), install), work, env)
    assert shell("pip list --format=freeze", work, env).split()[:1] == ["mida==0.1.0"], "it brings nothing along"

    with (work / "up.out").open("wb") as out:
        running = subprocess.Popen(up.split(), cwd=work, env=env, stdout=out, stderr=subprocess.STDOUT)
    try:
        said = until(lambda: answered(shell(ask, work, env, check=False)), 60, "an answer with all runs")
        assert "yesterday: 10 tasks, 10 finished" in said
        rows = said[said.index("task_id") :].splitlines()
        best = rows[1].split()[0]
        assert rows[1].split()[1:] == ["images/img_3.npz", "0.0"], rows
        lineage = shell(trace.replace("TASK_ID", best), work, env)
        assert "acquire_image" in lineage and "images/img_3.npz" in lineage and "img_2" not in lineage, lineage
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == 0, (work / "up.out").read_text()
    finally:
        if running.poll() is None:
            running.kill()
            running.wait()
    assert "logs/*.log (1 file now), with the rules in rules.yaml" in (work / "up.out").read_text()
    assert shell(trace.replace("TASK_ID", best), work, env) == lineage, "questions work after the end, too"


def this_platform() -> str:
    """Return this machine as Go names it."""
    machine = platform.machine().lower()
    return f"{sys.platform}/{GO_NAMES.get(machine, machine)}"


def answered(said: str) -> str:
    """Return the answer once it has a row for each of the five runs, and the log's tasks."""
    return said if said.count("images/img_") == 5 and "10 tasks" in said else ""


def shell(commands: str, work: Path, env: dict, check: bool = True) -> str:
    """Run lines as a person types them, and return what they print."""
    done = subprocess.run(
        ["sh", "-ec", commands], cwd=work, env=env, capture_output=True, text=True, timeout=300, check=False
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done.stdout
