"""What `mida run` finds and sets around a script."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time

import pytest

from mida import observation, stores

MLFLOW_TABLES = (
    "CREATE TABLE experiments (a); CREATE TABLE runs (a); CREATE TABLE metrics (a); CREATE TABLE params (a);"
)


def database(path, script=MLFLOW_TABLES, at=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(path) as connection:
        connection.executescript(script)
    connection.close()
    if at is not None:
        os.utime(path, (at, at))


def test_stores_that_appear(tmp_path):
    """MLflow's databases that were written since: here and below, each once; no other database, and none before."""
    since = time.time() - 100
    database(tmp_path / "old.db", at=since - 1000)
    database(tmp_path / "other.db", "CREATE TABLE runs (a);")
    (tmp_path / "empty.db").touch()
    (tmp_path / "text.db").write_text("no database")
    database(tmp_path / "mida-data" / "x.db")
    database(tmp_path / ".hidden" / "x.db")
    found = stores.Stores(tmp_path, since)
    assert found.new() == []
    database(tmp_path / "mlflow.db")
    database(tmp_path / "a" / "b" / "c" / "deep.sqlite")
    assert sorted(found.new()) == sorted(f"sqlite:///{tmp_path}/{p}" for p in ("mlflow.db", "a/b/c/deep.sqlite"))
    os.utime(tmp_path / "old.db")
    assert found.new() == [f"sqlite:///{tmp_path}/old.db"]
    assert found.new() == []


def test_store_that_becomes_one_later(tmp_path):
    """A database that MLflow has only begun to make is looked at again."""
    found = stores.Stores(tmp_path, time.time() - 1)
    database(tmp_path / "mlflow.db", "CREATE TABLE runs (a);")
    assert found.new() == []
    database(tmp_path / "mlflow.db", "CREATE TABLE experiments (a); CREATE TABLE metrics (a); CREATE TABLE params (a);")
    assert found.new() == [f"sqlite:///{tmp_path}/mlflow.db"]


def test_file_store(tmp_path):
    found = stores.Stores(tmp_path, time.time() - 1)
    assert not found.file_store()
    (tmp_path / "mlruns" / "0").mkdir(parents=True)
    assert found.file_store()
    assert not stores.Stores(tmp_path, time.time() + 1000).file_store()


@pytest.mark.parametrize(
    ("uri", "named", "said"),
    [
        ("", None, ""),
        ("sqlite:///x.db", "sqlite:///x.db", ""),
        ("postgresql+psycopg2://u@h/d", "postgresql+psycopg2://u@h/d", ""),
        ("https://u:secret@mlflow.my.site", None, "'mlflow.my.site' is a server"),
        ("./mlruns", None, "'./mlruns' is no database"),
    ],
)
def test_named_store(monkeypatch, uri, named, said):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    found, problem = stores.named()
    assert found == named and said in problem and "secret" not in problem
    assert bool(problem) == bool(said)


@pytest.mark.parametrize(
    ("given", "want"),
    [
        (None, ["mida.dask_preload"]),
        ("mine", ["mine", "mida.dask_preload"]),
        ("['a.py', 'b']", ["a.py", "b", "mida.dask_preload"]),
        ("mida.dask_preload", ["mida.dask_preload"]),
    ],
)
def test_preloads_of_the_user_stay(tmp_path, given, want):
    """Dask, in the environment that is made, has the user's preloads and ours."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("DASK_")}
    if given is not None:
        env["DASK_DISTRIBUTED__SCHEDULER__PRELOAD"] = given
    code = (
        "import os, pathlib, subprocess, sys; from mida.observation import dask_environment;"
        "e = dask_environment('c', '/j', pathlib.Path(sys.argv[1]));"
        "p = 'import dask.config, distributed; print(dask.config.get(\"distributed.scheduler.preload\"))';"
        "subprocess.run([sys.executable, '-c', p], env={**os.environ, **e}, check=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == repr(want)


def test_preloads_of_dasks_configuration_stay(tmp_path):
    """A preload in the user's YAML is not overridden by the environment."""
    (tmp_path / "dask.yaml").write_text("distributed: {scheduler: {preload: [theirs]}}")
    code = "from mida.observation import preloads; print(preloads())"
    env = {k: v for k, v in os.environ.items() if not k.startswith("DASK_")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**env, "DASK_CONFIG": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "['theirs', 'mida.dask_preload']"


def test_environment_keeps_the_users_path_first(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/theirs")
    made = observation.dask_environment("c", "/journal", tmp_path)
    assert made["PYTHONPATH"] == f"/theirs{os.pathsep}{tmp_path}"
    assert (made["MIDA_CAMPAIGN"], made["MIDA_JOURNAL_DIR"]) == ("c", "/journal")
    assert (tmp_path / "mida" / "dask_preload.py").exists()
