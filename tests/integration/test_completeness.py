"""Completeness says yes when all is there, and no, with names, when something is not."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mida.capture import Policy
from mida.cli import main
from mida.observer import Recorder
from support.campaign import Running, script_environment
from support.collector import Collector
from support.observed import demo_collector
from support.poll import until

SCRIPTS = Path(__file__).resolve().parent / "scripts"
ONLY_MLFLOW = {"service": {"pipelines": {"logs": {"receivers": ["mlflow"]}}}}
ONLY_DASK = {"service": {"pipelines": {"logs": {"receivers": ["dask"]}}}}
PATIENCE = 90


def answer(collector: Collector) -> dict:
    return collector.client().completeness("microscopy")


def when_state(collector: Collector, state: str) -> dict:
    """Wait for a state of the campaign, and return the answer."""

    def reached() -> dict | None:
        got = answer(collector)
        assert got["state"] == state, got
        return got

    return until(reached, PATIENCE, f"a campaign that is {state}", interval=0.5)


def witness(got: dict, words: str) -> dict:
    (found,) = [w for w in got["witnesses"] if words in w["what"]]
    return found


def said(collector: Collector, capsys: pytest.CaptureFixture) -> tuple[int, str]:
    """Return exit status and output of ``mida completeness``."""
    capsys.readouterr()
    code = main(["completeness", "--campaign", "microscopy", "--state-directory", str(collector.data)])
    return code, capsys.readouterr().out


class Cluster:
    """The Dask program of two workers, and the orders that it takes."""

    def __init__(self, collector: Collector, other_journal: str) -> None:
        command = [sys.executable, SCRIPTS / "two_workers.py", other_journal]
        self._process = subprocess.Popen(
            [str(part) for part in command],
            cwd=collector.workdir,
            env=script_environment(collector.data / "journal"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.workers = self._answer()["workers"]

    def order(self, *words: object) -> None:
        self._process.stdin.write(" ".join(map(str, words)) + "\n")
        self._process.stdin.flush()
        if words[0] != "close":
            assert self._answer() == {"done": words[0]}

    def close(self) -> None:
        self.order("close")
        assert self._process.wait(60) == 0

    def _answer(self) -> dict:
        line = self._process.stdout.readline()
        assert line, "the program ended"
        return json.loads(line)


@contextlib.contextmanager
def cluster(collector: Collector, other_journal: Path | None = None) -> Iterator[Cluster]:
    """Run the Dask program of two workers."""
    running = Cluster(collector, str(other_journal or ""))
    try:
        yield running
    finally:
        if running._process.poll() is None:
            running._process.kill()
        running._process.wait()
        running._process.stdin.close()
        running._process.stdout.close()


def test_yes(tmp_path, capsys):
    """5,000 tasks on two workers: open while the cluster lives, complete when it has ended."""
    with demo_collector(tmp_path, ONLY_DASK) as collector:
        assert said(collector, capsys) == (2, "microscopy: unknown\n  no observer has reported\n")
        target = tmp_path / "two_maps.json"
        command = [sys.executable, SCRIPTS / "two_maps.py", target, "2500"]
        env = script_environment(collector.data / "journal")
        with Running(command, tmp_path, env, tmp_path / "two_maps.log") as script:
            when_state(collector, "unknown")
            script.finish(240)
        got = when_state(collector, "complete")
        tasks, workers = witness(got, "saw finish"), witness(got, "workers in")
        assert (tasks["expected"], tasks["found"]) == (5000, 5000)
        assert (workers["expected"], workers["found"]) == (2, 2)
        assert got["complete"] == 3 and all(o["host"] for o in got["observers"])
        assert said(collector, capsys)[0] == 0


def test_a_queue_that_overflows(tmp_path, capsys):
    """What did not fit into an observer's queue is named as a range, with its reason, observer and host."""
    with demo_collector(tmp_path, ONLY_DASK) as collector:
        recorder = Recorder(
            str(collector.data / "journal"), "script", {"kind": "script", "scope": "s"}, Policy(None), queue_events=20
        )
        for i in range(30):  # it is not started yet: nobody takes anything out
            recorder.put(lambda i=i: {"event": "mida.task.finished", "time": 1, "key": str(i), "status": "FINISHED"}, 1)
        recorder.start()
        recorder.close()
        got = when_state(collector, "missing")
        (o,) = got["observers"]
        assert (o["observer"], o["state"], o["dropped"], o["missing"]) == (recorder.observer, "missing", 10, 0)
        assert o["dropped_ranges"] == [[21, 30, "queue full"]] and o["host"]
        code, out = said(collector, capsys)
        assert code == 1
        assert f"observer {recorder.observer} on {o['host']}: events 21 to 30 dropped (queue full)" in out


def test_a_deleted_journal_segment(tmp_path, capsys):
    """The events of a segment that somebody deleted before it was read are named, though the observer ended well."""
    with demo_collector(tmp_path, ONLY_DASK) as collector:
        collector.stop()
        recorder = Recorder(
            str(collector.data / "journal"),
            "script",
            {"kind": "script", "scope": "s"},
            Policy(None),
            journal={"segment_bytes": 20_000},
        )
        recorder.start()
        segments = set()
        for i in range(40):
            text = "x" * 2000
            event = {"event": "mida.task.finished", "time": 1, "key": str(i), "status": "FINISHED", "stdout": text}
            recorder.put(lambda e=event: dict(e), 100)
            until(lambda i=i: not recorder._queue, 20, "an event that is written", interval=0.01)
            segments.add(recorder.path)
        recorder.close()
        paths = sorted(p for p in segments if p)
        assert len(paths) >= 4
        Path(paths[1]).unlink()
        collector.start()
        # What is missing is said as soon as a checkpoint behind it was read; the last one says all.
        until(lambda: [o["final"] for o in answer(collector)["observers"]] == [True], 60, "the last checkpoint is read")
        got = when_state(collector, "missing")
        (o,) = got["observers"]
        assert o["final"] and o["dropped"] == 0 and o["missing"] >= 3, o
        ((first, last),) = o["missing_ranges"]
        assert last - first + 1 == o["missing"] == o["last_seq"] - o["arrived"] and first > 1
        code, out = said(collector, capsys)
        assert code == 1 and f"events {first} to {last} did not arrive" in out and recorder.observer in out


def test_a_worker_left_unobserved(tmp_path, capsys):
    """A worker whose journal nobody reads is named while the cluster lives, and so are its tasks."""
    with demo_collector(tmp_path, ONLY_DASK) as collector, cluster(collector, tmp_path / "elsewhere") as dask:
        dask.order("run", 7, "a")
        got = when_state(collector, "missing")
        workers = witness(got, "workers in")
        assert (workers["expected"], workers["found"]) == (2, 1)
        assert workers["detail"] == f"not observed: {dask.workers[1]}"
        dask.close()

        def counted() -> dict:
            tasks = witness(answer(collector), "saw finish")
            assert tasks["state"] == "missing", tasks
            return tasks

        tasks = until(counted, PATIENCE, "the tasks of that worker")
        assert (tasks["expected"], tasks["found"]) == (14, 7)
        assert f"{dask.workers[1]}: 7 finished, 0 recorded" in tasks["detail"]
        code, out = said(collector, capsys)
        assert code == 1 and f"not observed: {dask.workers[1]}" in out


def test_a_worker_killed_before_its_flush(tmp_path, capsys):
    """What the scheduler saw finish on a worker that then died with its records is counted and named."""
    with demo_collector(tmp_path, ONLY_DASK) as collector, cluster(collector) as dask:
        dask.order("run", 5, "written")
        until(lambda: len(collector.client().query(filter={"status": "FINISHED"})) == 10, 60, "the first tasks")
        dask.order("hold")
        dask.order("run", 6, "lost")
        dask.order("kill")
        got = when_state(collector, "missing")
        tasks, workers = witness(got, "saw finish"), witness(got, "workers in")
        assert (tasks["expected"], tasks["found"]) == (22, 16)
        assert f"{dask.workers[1]}: 11 finished, 5 recorded, the worker is gone" in tasks["detail"]
        assert workers["state"] != "missing"
        dask.close()
        code, out = said(collector, capsys)
        assert code == 1 and f"{dask.workers[1]}: 11 finished, 5 recorded" in out


def test_a_broken_log_rule(tmp_path, capsys):
    """Entries that a rule should have taken are counted and named; with the right rule all are there, up to now."""
    (tmp_path / "logs").mkdir()
    lines = [f"2026-11-22 21:50:5{i},000 INFO camera: image {i}: saved img_{i}.npz" for i in range(5)]
    (tmp_path / "logs" / "run.log").write_text("\n".join(lines) + "\n")

    def overlay(match: str) -> dict:
        rule = {"name": "saved", "match": match, "task": "{number}", "whole_task": "acquire", "generated": ["path"]}
        receiver = {
            "include": ["logs/*.log"],
            "line": "{time} {level} {logger}: {message}",
            "rules_file": "",  # not the demo's
            "rules": [rule],
            "ignore": [],
            "base_dir": ".",
        }
        return {"receivers": {"tasklog": receiver}, "service": {"pipelines": {"logs": {"receivers": ["tasklog"]}}}}

    broken = tmp_path / "broken"
    with demo_collector(tmp_path, overlay("picture {number:int}: saved {path:path}"), data=broken) as collector:

        def all_counted() -> dict:
            got = answer(collector)
            assert got["state"] == "missing" and witness(got, "entries of the log")["expected"] == 5, got
            return witness(got, "entries of the log")

        entries = until(all_counted, PATIENCE, "entries that no rule took")
        assert (entries["of"], entries["found"]) == (str(tmp_path / "logs" / "run.log"), 0)
        code, out = said(collector, capsys)
        assert code == 1 and "run.log" in out and "no rule is for 5 (the first at byte 0)" in out
    with demo_collector(
        tmp_path, overlay("image {number:int}: saved {path:path}"), data=tmp_path / "right"
    ) as collector:

        def all_read() -> dict:
            got = answer(collector)
            assert got["state"] == "unknown" and got["complete_up_to"] > 0, got
            states = {w["state"] for w in got["witnesses"]}
            assert states == {"complete"}, got
            # What an earlier checkpoint says is complete, too, up to its time.
            assert witness(got, "entries of the log")["found"] == 5, got
            return got

        got = until(all_read, PATIENCE, "a log that is read to its end")
        assert witness(got, "bytes of the log")["found"] == (tmp_path / "logs" / "run.log").stat().st_size
        code, out = said(collector, capsys)
        assert code == 2 and "complete up to" in out


def mlflow_witnesses(collector: Collector) -> dict[str, dict]:
    """Return what was counted of MLflow, by the first words."""
    names = {"runs counted": "database", "MLflow runs": "runs", "params": "params", "metrics": "metrics"}
    return {names[start]: w for w in answer(collector)["witnesses"] for start in names if w["what"].startswith(start)}


def all_mlflow(collector: Collector, runs: int) -> dict[str, dict]:
    """Wait until the observer tells of so many runs and the view has all of them and all that they hold."""

    def counted() -> dict[str, dict]:
        got = mlflow_witnesses(collector)
        assert [w["found"] for w in (got["database"], got["runs"])] == [runs, runs], got
        assert {w["state"] for w in got.values()} == {"complete"}, got
        return got

    return until(counted, PATIENCE, "MLflow runs that are all counted", interval=0.5)


def test_mlflow_runs_params_and_metrics(tmp_path, capsys):
    """What the view lacks of the MLflow database is counted, and its run and observer are named."""
    command = [sys.executable, SCRIPTS / "mlflow_runs.py"]
    done = subprocess.run(command, cwd=tmp_path, check=True, stdout=subprocess.PIPE)
    whole, poor, lost = json.loads(done.stdout)
    database = tmp_path / "view" / "mida.db"
    with demo_collector(tmp_path, ONLY_MLFLOW, data=tmp_path / "view") as collector:
        got = all_mlflow(collector, 3)
        with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as source:
            params, metrics = (
                source.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in ("params", "latest_metrics")
            )
        assert (params, metrics) == (9, 6)
        assert got["params"]["expected"] == got["params"]["found"] >= params
        assert got["metrics"]["expected"] == got["metrics"]["found"] >= metrics
        assert "missing" not in said(collector, capsys)[1]
    # Somebody takes a param and a metric out of the view, where no collector sees it.
    with contextlib.closing(sqlite3.connect(database)) as view, view:
        n, state = view.execute(
            "SELECT n, state FROM states JOIN tasks USING (n) WHERE task_id = ?", (poor,)
        ).fetchone()
        text = bytes(state).decode()
        cut = text.replace('"depth":1,', "").replace('"accuracy":0.75,', "")
        assert len(cut) < len(text) - 20, text
        view.execute("UPDATE states SET state = ? WHERE n = ?", (cut.encode(), n))
    with demo_collector(tmp_path, ONLY_DASK, data=tmp_path / "view") as collector:
        (observer,) = answer(collector)["observers"]
        assert observer["final"] and observer["state"] == "complete"
        now = mlflow_witnesses(collector)
        assert {name for name, w in now.items() if w["state"] == "missing"} == {"params", "metrics"}, now
        for name in ("params", "metrics"):
            assert now[name]["expected"] - now[name]["found"] == 1, now
        code, out = said(collector, capsys)
        assert code == 1
        (line,) = [line for line in out.splitlines() if "missing: params" in line]
        assert f"observer {observer['observer']} on {observer['host']}" in line and f"run {poor} has" in line
        assert whole not in out and lost not in out
    # And then a whole run.
    with contextlib.closing(sqlite3.connect(database)) as view, view:
        (n,) = view.execute("SELECT n FROM tasks WHERE task_id = ?", (lost,)).fetchone()
        for table in ("states", "leaves", "tasks"):
            view.execute(f"DELETE FROM {table} WHERE n = ?", (n,))
    with demo_collector(tmp_path, ONLY_MLFLOW, data=tmp_path / "view") as collector:
        got = when_state(collector, "missing")
        runs = witness(got, "against runs in the view")
        assert (runs["expected"], runs["found"]) == (3, 2)
        code, out = said(collector, capsys)
        assert code == 1 and f"run {lost} is not in the view" in out and observer["observer"] in out
        assert whole not in out
