"""`%load_ext mida` in a real IPython, and `with mida.campaign(...)` without a collector before it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from support.up import QUIET, Up, kinds, no_collector_left, own_environment

RULES = "rules: [{name: an image, match: 'image {number:int} done', whole_task: image, task: '{number}'}]\n"
DASK_CELL = """
from dask.distributed import Client, LocalCluster
def double(x):
    return 2 * x
with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster:
    with Client(cluster) as client:
        print(client.gather(client.map(double, [1, 2, 3])))
"""
MLFLOW_CELL = """
import mlflow
mlflow.set_tracking_uri("sqlite:///mlflow.db")
with mlflow.start_run():
    mlflow.log_param("layers", 3)
    mlflow.log_metric("loss", 0.5)
"""


def ipython(directory: Path, *cells: str) -> str:
    """Run cells in one session, stopping at a cell that fails as a notebook does, and return what it printed."""
    program = (
        "import json, sys; from IPython.core.interactiveshell import InteractiveShell;"
        "shell = InteractiveShell.instance(colors='nocolor')\n"
        "for cell in json.loads(sys.argv[1]):\n"
        "    if not shell.run_cell(cell, store_history=True).success: sys.exit(3)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(cells)],
        cwd=directory,
        env=own_environment(IPYTHONDIR=str(directory / ".ipython")),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode in (0, 3), done.stdout + done.stderr
    return f"[{done.returncode}] {done.stdout}{done.stderr}"


def test_cells(tmp_path):
    """A cell's Dask and MLflow are in the view when it has ended; the collector ends with the session."""
    said = ipython(
        tmp_path,
        "%load_ext mida",
        "%%mida observe search\n" + DASK_CELL,
        "%mida query --campaign search --fields activity_id,used.x,generated.value --sort used.x --format csv",
        "import os; assert 'MIDA_JOURNAL_DIR' not in os.environ",
        "%%mida observe runs --dask false\n" + MLFLOW_CELL,
        "%mida status --campaign runs",
    )
    assert said.startswith("[0]"), said
    assert "[2, 4, 6]" in said and "campaign search holds 3 tasks (3 dask)" in said, said
    assert "double,1,2" in said and "double,3,6" in said, said
    assert "campaign runs holds 1 tasks (1 mlflow)" in said and "runs: 1 task, 1 finished" in said, said
    assert no_collector_left(tmp_path)
    assert kinds(tmp_path, "search") == {"dask": 3} and kinds(tmp_path, "runs") == {"mlflow": 1}


def test_observed_until_the_session_ends(tmp_path):
    """Without %mida end the end of the session brings everything over; while it lasts, what appears is visible."""
    cells = [
        "%load_ext mida",
        "%mida observe mine",
        MLFLOW_CELL,
        DASK_CELL,
        "%mida observe other",
        "print('not reached')",
    ]
    said = ipython(tmp_path, *cells)
    assert said.startswith("[3]") and "campaign mine is observed already; %mida end ends that" in said, said
    assert "not reached" not in said and "campaign mine holds 4 tasks (3 dask, 1 mlflow)" in said, said
    assert kinds(tmp_path, "mine") == {"dask": 3, "mlflow": 1}


def test_cell_that_fails(tmp_path):
    """What it did is in the view; its traceback is shown once; the cells behind it do not run."""
    (tmp_path / "rules.yaml").write_text(RULES)
    (tmp_path / "logs").mkdir()
    cell = "open('logs/a.log', 'w').write('image 1 done\\n'); 1 / 0"
    said = ipython(
        tmp_path, "%load_ext mida", f"%%mida observe c --logs logs/*.log --dask false\n{cell}", "print('no')"
    )
    assert said.startswith("[3]") and said.count("ZeroDivisionError: division by zero") == 1, said
    assert "campaign c holds 1 tasks (1 log)" in said and "\nno\n" not in said, said


def test_wrong_words(tmp_path):
    """What cannot be meant is said in a line; a command of a terminal does not take the kernel's place."""
    for line, want in {
        "%mida run -- ls": "mida run: is for a terminal",
        "%%mida status\n1": "want %%mida observe NAME",
        "%mida observe c --mlflow http://localhost": "a server's address is no database",
        "%mida status": "no collector found",
    }.items():
        said = ipython(tmp_path, "%load_ext mida", line, "print('alive')")
        assert want in said and "Traceback" not in said, said


CAMPAIGN = """
import sys, mida
with mida.campaign("c", observers=[mida.Logs("logs/*.log", rules="rules.yaml")]) as campaign:
    open("logs/a.log", "w").write("image 1 done\\n")
    HOW
print("after")
"""


def campaign(directory: Path, how: str) -> subprocess.CompletedProcess:
    """Run a script with such a block, which ends in its own way."""
    (directory / "rules.yaml").write_text(RULES)
    (directory / "logs").mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-c", CAMPAIGN.replace("HOW", how)],
        cwd=directory,
        env=own_environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_campaign_brings_a_collector_along(tmp_path):
    """However the block ends, what it did is in the view, and no collector stays."""
    for how, code in {"pass": 0, "raise ValueError": 1, "sys.exit(4)": 4, "campaign.client.campaigns()": 0}.items():
        done = campaign(tmp_path, how)
        assert done.returncode == code and ("after" in done.stdout) == (code == 0), done.stderr
        assert no_collector_left(tmp_path), how
        assert kinds(tmp_path, "c") == {"log": 1}, how


def test_campaign_that_is_never_left(tmp_path):
    """A script that enters it by hand, and ends: the interpreter's end is the campaign's."""
    (tmp_path / "rules.yaml").write_text(RULES)
    (tmp_path / "logs").mkdir()
    script = (
        "import mida; c = mida.campaign('c', observers=[mida.Logs('logs/*.log', rules='rules.yaml')]); c.__enter__();"
        "open('logs/a.log', 'w').write('image 1 done\\n')"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=own_environment(), check=True, timeout=300)
    assert no_collector_left(tmp_path)
    assert kinds(tmp_path, "c") == {"log": 1}


def test_campaign_uses_the_collector_that_runs(tmp_path):
    """Also one that runs for a directory above; nothing of its own is started."""
    below = tmp_path / "below"
    below.mkdir()
    with Up(tmp_path, *QUIET) as up:
        assert campaign(below, "pass").returncode == 0
        assert len(up.client().query(filter={"campaign_id": "c"})) == 1
    assert not (below / "mida-data").exists()


def test_campaign_without_a_program(tmp_path):
    """Where none runs and none can be started, the message says both ways out."""
    (tmp_path / "rules.yaml").write_text(RULES)
    script = "import mida, mida.program; mida.campaign('c').__enter__()"
    env = own_environment(MIDA_BIN=str(tmp_path / "nothing"))
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "MIDA_BIN" in done.stderr and "is no program that can be run" in done.stderr
