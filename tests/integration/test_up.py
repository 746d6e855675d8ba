"""`mida up`: one's own campaign without a configuration of one's own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import yaml

from support.campaign import script_environment
from support.collector import binary
from support.poll import until
from support.up import QUIET, Up, mida_command

RULES = """
workflow: acquire
rules:
  - {name: an image, match: 'image {number:int} done', whole_task: image, task: '{number}'}
"""
MLFLOW_RUNS = """
import sys, mlflow
mlflow.set_tracking_uri("sqlite:///mlflow.db")
mlflow.set_experiment("search")
for i in range(int(sys.argv[1])):
    with mlflow.start_run():
        mlflow.log_param("layers", i)
        mlflow.log_metric("loss", i / 10)
"""
MIDA_YAML = """
campaign: mine
logs: logs/*.log
mlflow: sqlite:///mlflow.db
dask: auto
"""


def work(directory: Path, images: range, runs: int = 3) -> None:
    """Write a log and an MLflow store."""
    (directory / "rules.yaml").write_text(RULES)
    (directory / "logs").mkdir(exist_ok=True)
    subprocess.run(
        [sys.executable, "-c", MLFLOW_RUNS, str(runs)],
        cwd=directory,
        env=script_environment(None, MLFLOW_DISABLE_TELEMETRY="true"),
        check=True,
        timeout=300,
    )
    with (directory / "logs" / "a.log").open("a") as log:
        log.writelines(f"image {n} done\n" for n in images)


def counts(client, campaign: str) -> dict[str, int]:
    rows = client.query(["kind"], [("count", "id")], {"campaign_id": campaign})
    return {row["kind"]: row["count"] for row in rows}


def test_ctrl_c_brings_the_rest_over(tmp_path):
    """What was written just before Ctrl-C is in the view; the next one goes on; nothing comes twice."""
    flags = ["--campaign", "mine", "--logs", "logs/*.log", "--mlflow", "sqlite:///mlflow.db", "--dask", "auto"]
    with Up(tmp_path, *flags) as up:
        assert "Observing campaign mine" in up.said and "Ctrl-C" in up.said
        assert "NOT observed: logs/*.log" in up.said, "there is no rules.yaml yet"
    work(tmp_path, range(10))
    with Up(tmp_path, *flags) as up:
        work(tmp_path, range(10, 3000), runs=2)
        assert up.interrupt() == 0, up.said
        assert "stopped before everything was read" not in up.said
    (tmp_path / "mlflow.db").rename(tmp_path / "away.db")
    (tmp_path / "logs").rename(tmp_path / "away")
    with Up(tmp_path, *flags) as up:
        assert counts(up.client(), "mine") == {"log": 3000, "mlflow": 5}
        assert "not there yet" in up.said and "no file yet" in up.said


DASK = """
from dask.distributed import Client, LocalCluster
def double(x):
    return 2 * x
if __name__ == "__main__":
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        print(client.gather(client.map(double, range(200))))
"""


def test_ctrl_c_after_a_preloaded_cluster(tmp_path):
    """The line that ``mida up`` prints for scripts with Dask works, and its end waits for the journals."""
    (tmp_path / "search.py").write_text(DASK)
    with Up(tmp_path, "--campaign", "mine", "--mlflow", "false") as up:
        activation = re.search(
            r"^ +(DASK_DISTRIBUTED__SCHEDULER__PRELOAD=\S+ MIDA_JOURNAL_DIR=\S+)$", up.said, re.MULTILINE
        )
        script = f"{activation[1]} {sys.executable} search.py"
        subprocess.run(script, shell=True, cwd=tmp_path, env=script_environment(None), check=True, timeout=300)
        assert up.interrupt() == 0, up.said
        assert "stopped before everything was read" not in up.said
    with Up(tmp_path, *QUIET) as up:
        assert counts(up.client(), "mine") == {"dask": 200}


def test_file_flags_and_printed_configuration_are_the_same(tmp_path):
    """mida.yaml alone, and the collector with what ``mida config show`` prints, observe the same."""
    for name in ("file", "printed"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mida.yaml").write_text(MIDA_YAML)
        work(tmp_path / name, range(20))
    printed = mida_command("config", "show", "--endpoint", "127.0.0.1:0", cwd=tmp_path / "printed")
    assert yaml.safe_load(printed)["receivers"]["tasklog"]["rules_file"] == "rules.yaml"
    (tmp_path / "printed" / "full.yaml").write_text(printed)
    commands = {"file": None, "printed": [binary(), "--config", "full.yaml"]}
    for name, command in commands.items():
        with Up(tmp_path / name, command=command) as up:
            until(lambda up=up: counts(up.client(), "mine") == {"log": 20, "mlflow": 3}, 60, f"all of {name}")


def test_second_one_is_refused(tmp_path):
    """A collector that runs already is named, and goes on."""
    with Up(tmp_path, "--mlflow", "false") as up:
        said = mida_command("up", cwd=tmp_path, code=2)
        assert "a collector runs already for mida-data" in said and "mida status" in said
        assert up.client().campaigns() == []
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        with Up(elsewhere, "--mlflow", "false") as other:  # both have the usual port in mind
            assert other.client().endpoint != up.client().endpoint


def test_ends_when_nobody_holds_the_lock(tmp_path):
    """A collector that a program started for itself outlives no kill -9 of that program."""
    lock = tmp_path / "users.lock"
    lock.touch(mode=0o600)
    holder = (
        "import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_SH); print('locked', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as user:
        try:
            assert user.stdout.readline() == "locked\n"
            with Up(tmp_path, "--while-locked", str(lock)) as up:
                assert up.said == "", "it is silent"
                user.kill()
                assert up.wait() == 0, up.said
        finally:
            user.kill()
    assert not (tmp_path / "mida-data" / "endpoint.json").exists()
