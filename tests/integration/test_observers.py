"""Observers that a campaign brings along: added, drained and removed while the collector runs."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

import mida
from support.campaign import script_environment
from support.collector import ROOT, Collector
from support.poll import until

LAPTOP = ROOT / "distributions" / "otelcol-mida" / "laptop.yaml"
RULES = {
    "workflow": "acquire",
    "rules": [{"name": "an image", "match": "image {number:int} done", "whole_task": "image", "task": "{number}"}],
}
MLFLOW_RUNS = """
import sys, mlflow
mlflow.set_tracking_uri(sys.argv[1])
mlflow.set_experiment("search")
for i in range(int(sys.argv[2])):
    with mlflow.start_run():
        mlflow.log_param("layers", i)
        mlflow.log_metric("loss", i / 10)
"""


@pytest.fixture
def collector(tmp_path):
    """Run the collector as laptop.yaml configures it, in a directory that no configured observer finds anything in."""
    overlay = {"receivers": {"dask": {"schedulers": []}, "mlflow": {"tracking_uri": "sqlite:///other.db"}}}
    with Collector(tmp_path, [LAPTOP, overlay]) as running:
        yield running


def log_lines(path: Path, numbers: range) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as log:
        log.writelines(f"image {n} done\n" for n in numbers)


def mlflow_runs(uri: str, count: int) -> None:
    command = [sys.executable, "-c", MLFLOW_RUNS, uri, str(count)]
    subprocess.run(command, check=True, env=script_environment(None), timeout=300)


def test_with_block_brings_everything_over(collector, tmp_path):
    """What ran inside a ``with mida.campaign(...)`` block is in the view at its end, and no observer is left."""
    uri = f"sqlite:///{tmp_path}/runs.db"
    client = collector.client()
    with mida.campaign(
        "search",
        observers=[mida.MLflow(uri), mida.Logs(tmp_path / "logs" / "*.log", rules=RULES)],
        client=client,
    ):
        log_lines(tmp_path / "logs" / "a.log", range(500))
        subprocess.run(
            [sys.executable, "-c", MLFLOW_RUNS, uri, "7"], check=True, env=script_environment(None), timeout=300
        )
    images = client.query(filter={"campaign_id": "search", "activity_id": "image"}, projection=["task_id", "status"])
    differing = {(r["task_id"], r["status"]) for r in images} ^ {(f"image/{n}", "FINISHED") for n in range(500)}
    assert not differing, sorted(differing)[:10]
    runs = client.query(filter={"kind": "mlflow"}, projection=["used.layers", "generated.loss", "campaign_id"])
    assert sorted((r["used.layers"], r["generated.loss"]) for r in runs) == [(i, i / 10) for i in range(7)]
    assert {r["campaign_id"] for r in runs} == {"search"}
    assert mida.Observers(client).list() == []
    assert client.completeness("search")["state"] == "complete"


def test_named_observer_goes_on_after_a_restart(collector, tmp_path):
    """One with a name keeps its position over campaigns and over a kill of the collector."""
    observers = mida.Observers(collector.client())
    logs = mida.Logs(tmp_path / "logs" / "*.log", rules=RULES, id="images", campaign="c")
    log_lines(tmp_path / "logs" / "a.log", range(10))
    assert observers.add(logs)["state"] == "running"
    assert observers.stop("images")["drained"] is True
    log_lines(tmp_path / "logs" / "a.log", range(10, 20))
    observers.start("images")
    collector.kill()
    collector.start()
    observers = mida.Observers(collector.client())
    until(
        lambda: len(collector.client().query(filter={"campaign_id": "c"})) == 20, 60, "all lines, read once more or not"
    )
    (observer,) = observers.list()
    assert observer["state"] == "running" and observer["id"] == "images"
    assert observers.remove("images")["drained"] is True
    assert len(collector.client().query(filter={"campaign_id": "c"})) == 20


def test_hundred_observers_under_load(collector, tmp_path):
    """Added, drained and removed a hundred times beside a log that grows: nothing leaks, nothing is lost."""
    client = collector.client()
    observers = mida.Observers(client)
    observers.add(mida.Logs(tmp_path / "busy" / "*.log", rules=RULES, id="busy", campaign="busy"))
    enough, written = threading.Event(), [0]

    def write() -> None:
        while not enough.wait(0.02):
            log_lines(tmp_path / "busy" / "b.log", range(written[0], written[0] + 20))
            written[0] += 20

    writer = threading.Thread(target=write)
    writer.start()
    try:
        sizes = []
        for i in range(101):
            path = tmp_path / "logs" / f"{i}.log"
            log_lines(path, range(10))
            added = observers.add(mida.Logs(path, rules=RULES, campaign=f"c{i}"))
            log_lines(path, range(10, 20))
            assert observers.remove(added["id"])["drained"] is True
            if i in (10, 100):
                sizes.append(open_files(collector.pid))
    finally:
        enough.set()
        writer.join()
    assert observers.remove("busy")["drained"] is True
    counts = {c["campaign_id"]: c["tasks"] for c in client.campaigns()}
    differing = set(counts.items()) ^ {*((f"c{i}", 20) for i in range(101)), ("busy", written[0])}
    assert not differing, differing
    assert sizes[1] <= sizes[0] + 2, "open files after 10 and after 100 observers"
    assert observers.list() == []


def open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def test_command_line(collector, tmp_path):
    """The shell's way: add, list, stop, remove; a relative database is one of the current directory."""

    def run(*arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "mida", *arguments, "--state-directory", str(collector.data)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    assert "No observers were registered" in run("observers")
    said = run("observers", "add", "mlflow", "tracking_uri=sqlite:///runs.db", "campaign=search", "--id", "runs")
    assert said == "runs is running\n"
    mlflow_runs(f"sqlite:///{tmp_path}/runs.db", 2)
    assert "everything that it observed is in the view" in run("observers", "stop", "runs")
    assert len(collector.client().query(filter={"kind": "mlflow"})) == 2
    table = run("observers")
    assert "runs" in table and "stopped" in table and "search" in table
    assert "runs is running" in run("observers", "start", "runs")
    assert "runs is removed" in run("observers", "remove", "runs")
    run("observers", "add", "dask", 'schedulers=["tcp://127.0.0.1:9"]', "--id", "nowhere")
    kept = run("observers", "remove", "nowhere", code=1)
    assert "nowhere is stopped" in kept and "tcp://127.0.0.1:9 was never attached to" in kept and "--force" in kept
    assert "removed" in run("observers", "remove", "nowhere", "--force", code=1)
    refused = run("observers", "add", "mlflow", "tracking_uri=sqlite:////etc/x.db", code=2)
    assert "tracking_uri" in refused and "allow::directories" in refused
    assert "there is no such observer" in run("observers", "stop", "runs", code=1)
    unknown = run("observers", "add", "spark", code=2)
    assert "kind" in unknown and "dask, mlflow, tasklog" in unknown


DISCOVER = {"extensions": {"taskcontroller": {"discover": {}}}}
LOCAL_CLUSTER = """
import sys
from distributed import Client, LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.readline()
        print(client.submit(sum, [1, 2], pure=False).result(), flush=True)
        sys.stdin.readline()
"""


def test_discovered(tmp_path):
    """What is found is offered, and observed when somebody asks: a cluster on any port, a database, logs."""
    overlay = {"receivers": {"dask": {"schedulers": []}, "mlflow": {"tracking_uri": "sqlite:///other.db"}}}
    mlflow_runs(f"sqlite:///{tmp_path}/search.db", 2)
    log_lines(tmp_path / "logs" / "a.log", range(20))
    (tmp_path / "mlruns" / "0").mkdir(parents=True)
    (tmp_path / "mlruns" / "0" / "meta.yaml").write_text("experiment_id: '0'\n")
    script = tmp_path / "cluster_of_mine.py"
    script.write_text(LOCAL_CLUSTER)
    with (
        Collector(tmp_path, [LAPTOP, overlay, DISCOVER]) as collector,
        subprocess.Popen(
            [sys.executable, script], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as job,
    ):
        try:
            address = job.stdout.readline().strip()
            client = collector.client()
            observers = mida.Observers(client)

            def offers() -> dict:
                found = observers.discovered()
                assert any("file store" in note and "migrate-filestore" in note for note in found["notes"]), found
                return {o["id"]: o for o in found["discovered"] if str(tmp_path) in str(o) or address in str(o)}

            until(lambda: len(offers()) == 3, 60, "a cluster, a database, logs")
            assert {o["kind"] for o in offers().values()} == {"dask", "mlflow", "tasklog"}
            assert not any(o["observed"] for o in offers().values())
            shown = subprocess.run(
                [sys.executable, "-m", "mida", "observers", "discovered", "--state-directory", str(collector.data)],
                capture_output=True,
                text=True,
                timeout=120,
                check=True,
            ).stdout
            assert address in shown and "cluster_of_mine.py" in shown and "search.db" in shown
            for id in offers():
                assert observers.add_discovered(id, campaign="found")["state"] == "running"
            assert all(o["observed"] and o["observed_by"] == id for id, o in offers().items())
            until(
                lambda: client.query(filter={"campaign_id": "found", "kind": "log"}, projection=["task_id"]),
                60,
                "the log's tasks",
            )
            until(lambda: len(client.query(filter={"campaign_id": "found", "kind": "mlflow"})) == 2, 60, "the runs")
            until(lambda: "attached to a running Dask cluster" in collector.log, 60, "the cluster is attached to")
            job.stdin.write("\n")
            job.stdin.flush()
            assert job.stdout.readline() == "3\n"
            until(lambda: client.query(filter={"campaign_id": "found", "kind": "dask"}), 60, "the cluster's task")
            parts = {p["what"]: p for o in client.doctor("found")["observers"] for p in o["parts"]}
            assert parts[address]["state"] == "reached", parts
            assert parts[f"sqlite:///{tmp_path}/search.db"]["saw"]["runs"] == 2, parts
            journal = next(p for what, p in parts.items() if what.startswith("journals in "))
            assert journal["saw"]["events"] > 0 and "dropped" not in journal, parts
        finally:
            job.kill()


def test_nothing_is_discovered_unasked(collector):
    """laptop.yaml does not look for anything, and says how to change that."""
    with pytest.raises(mida.NotFoundError, match=r"discover: \{\}"):
        mida.Observers(collector.client()).discovered()
